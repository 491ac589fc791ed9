/**
 * The query of a push: `extra_label=NAME=VALUE` (repeatable), `historical=true`, and what `weir import` says
 * about the part of a file that it sends. Anything else is an error: a misspelt `extra_lable` would lose a
 * label for good.
 */
import { BadInput, quote } from "../errors.ts";

export interface PushParameters {
  /** Added where a sample has no such tag of its own. */
  readonly extraLabels?: ReadonlyMap<string, string>;
  /** The body is this part of a file; its offset commits with its rows. */
  readonly imported?: ImportedPart;
  /** Rows that do not count in running totals, though they come without a file. */
  readonly historical?: boolean;
}

export interface ImportedPart {
  /** Hash of the file's first line. */
  readonly file: string;
  readonly fromOffset: number;
  readonly toOffset: number;
  /** Hash of the last line before `toOffset`. */
  readonly lastLineHash: string;
}

/** The settings of the same names. */
export interface TagLimits {
  readonly tagsMax: number;
  readonly nameBytesMax: number;
  readonly tagValueBytesMax: number;
}

const IMPORT = ["import_file", "import_from", "import_to", "import_line"] as const;

const KNOWN: readonly string[] = ["extra_label", "historical", ...IMPORT];

const NONE: PushParameters = {};

/** Reads the query (without its `?`); throws `BadInput` that names the parameter. */
export function readPushParameters(query: string, limits: TagLimits): PushParameters {
  if (query === "") return NONE;
  const search = new URLSearchParams(query);
  for (const name of search.keys()) {
    if (!KNOWN.includes(name)) {
      throw new BadInput(`Query parameter ${quote(name)} is unknown; expected ${KNOWN.join(", ")}.`, name);
    }
  }
  return {
    extraLabels: readExtraLabels(search.getAll("extra_label"), limits),
    imported: readImportedPart(search),
    historical: readFlag(search, "historical"),
  };
}

function readExtraLabels(
  pairs: readonly string[],
  limits: TagLimits,
): ReadonlyMap<string, string> | undefined {
  if (pairs.length === 0) return undefined;
  const wrong = (pair: string, what: string) =>
    new BadInput(`Query parameter extra_label=${quote(pair)} ${what}.`, "extra_label");
  if (pairs.length > limits.tagsMax) {
    throw wrong(pairs[limits.tagsMax], `is one of ${pairs.length}; at most ${limits.tagsMax} are taken`);
  }
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw wrong(pair, "is not NAME=VALUE");
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    if (name.startsWith("__") || name === "le" || name === "quantile") {
      throw wrong(pair, "has a reserved name (le, quantile, and names that begin with __)");
    }
    if (Buffer.byteLength(name) > limits.nameBytesMax) {
      throw wrong(
        pair,
        `has a name of ${Buffer.byteLength(name)} bytes; at most ${limits.nameBytesMax} are taken`,
      );
    }
    if (Buffer.byteLength(value) > limits.tagValueBytesMax) {
      throw wrong(
        pair,
        `has a value of ${Buffer.byteLength(value)} bytes; at most ${limits.tagValueBytesMax} are taken`,
      );
    }
    if (labels.has(name)) throw wrong(pair, "names a label for the second time");
    labels.set(name, value);
  }
  // As with tags, an empty value is no label.
  for (const [name, value] of labels) if (value === "") labels.delete(name);
  return labels;
}

function readImportedPart(search: URLSearchParams): ImportedPart | undefined {
  if (!IMPORT.some((name) => search.has(name))) return undefined;
  const fromOffset = readOffset(search, "import_from");
  const toOffset = readOffset(search, "import_to");
  if (toOffset < fromOffset) {
    throw new BadInput(
      `Query parameter import_to=${toOffset} is before import_from=${fromOffset}; it must not be.`,
      "import_to",
    );
  }
  return {
    file: readHash(search, "import_file"),
    fromOffset,
    toOffset,
    lastLineHash: readHash(search, "import_line"),
  };
}

function readOffset(search: URLSearchParams, name: string): number {
  const text = search.get(name);
  if (text !== null && /^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw new BadInput(
    `Query parameter ${name} is ${text === null ? "missing" : quote(text)}; expected a byte offset.`,
    name,
  );
}

function readHash(search: URLSearchParams, name: string): string {
  const text = search.get(name);
  if (text !== null && /^[\w:.-]{1,128}$/.test(text)) return text;
  throw new BadInput(
    `Query parameter ${name} is ${text === null ? "missing" : quote(text)}; expected a hash.`,
    name,
  );
}

function readFlag(search: URLSearchParams, name: string): boolean | undefined {
  const text = search.get(name);
  if (text === null || text === "false") return undefined;
  if (text === "true" || text === "") return true;
  throw new BadInput(`Query parameter ${name} is ${quote(text)}; expected true or false.`, name);
}
