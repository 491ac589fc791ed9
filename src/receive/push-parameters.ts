/**
 * The query of a push: `extra_label=NAME=VALUE` (repeatable), `historical=true`, `strict=true`, and what `weir
 * import` sends about its part of a file. Any other parameter is an error: a misspelt `extra_lable` would lose a
 * label for good.
 */

import { readFlag, rejectUnknown, wrongParameter } from "../http/parameters.ts";
import { holdsReplacement } from "../http/url-text.ts";
import type { PushOptions } from "../ingest/contract.ts";
import { BadInput, quote } from "../model/errors.ts";
import type { SenderTerms } from "../model/protocol.ts";
import type { Labels } from "../model/sample.ts";
import { checkLabels, type NameLimits } from "../series/naming.ts";

type Asked = Pick<PushOptions, "extraLabels" | "imported" | "historical"> & {
  /** Undefined if the request has no such parameter. */
  readonly strict?: boolean;
};

const IMPORT = [
  "import_file",
  "import_from",
  "import_to",
  "import_line",
  "import_first_line",
  "import_identity",
] as const;

/** About 100 marks of a file's lines and a few hashes (src/commands/import/README.md) take 1 KB. */
const IDENTITY_CHARACTERS_MAX = 2_048;

const KNOWN: readonly string[] = ["extra_label", "historical", ...IMPORT];

/** A worker always sends the same query. 256 queries of 16 KB, the longest possible URL, are 4 MB. */
const REMEMBERED_MAX = 256;

export class PushParameters {
  readonly #limits: NameLimits;
  readonly #terms: SenderTerms;
  readonly #known: readonly string[];
  /** Equal queries get the same object of labels, so that admission need not check it again. */
  readonly #remembered = new Map<string, Asked>();

  /**
   * @param terms the words for the problem of a label
   * @param more parameters of the route beside those of every push
   */
  constructor(limits: NameLimits, terms: SenderTerms, more: readonly string[] = []) {
    this.#limits = limits;
    this.#terms = terms;
    this.#known = [...KNOWN, ...more];
  }

  /** Reads a query (without its `?`). Throws `BadInput` that names the parameter. */
  read(query: string): Asked {
    const before = this.#remembered.get(query);
    if (before !== undefined) return before;
    const asked = readQuery(new URLSearchParams(query), this.#limits, this.#terms, this.#known);
    if (asked.imported === undefined) {
      if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
      this.#remembered.set(query, asked);
    }
    return asked;
  }
}

function readQuery(
  search: URLSearchParams,
  limits: NameLimits,
  terms: SenderTerms,
  known: readonly string[],
): Asked {
  // Those of an import are for `weir import` alone.
  const shown = known.filter((each) => !(IMPORT as readonly string[]).includes(each));
  rejectUnknown(search, known, shown);
  return {
    extraLabels: readExtraLabels(search.getAll("extra_label"), limits, terms),
    imported: readImportedPart(search),
    historical: readFlag(search, "historical"),
    strict: readFlag(search, "strict"),
  };
}

/** Sorted by name, as `Labels` are. An empty value is no label, as with tags. */
function readExtraLabels(
  pairs: readonly string[],
  limits: NameLimits,
  terms: SenderTerms,
): Labels | undefined {
  if (pairs.length === 0) return undefined;
  const wrong = (what: string) => new BadInput(`Query parameter extra_label ${what}.`, "extra_label");
  const labels = new Map<string, string>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (holdsReplacement(pair)) throw wrong(`is ${quote(pair)}, which contains bytes that are not UTF-8`);
    if (at < 1) throw wrong(`is ${quote(pair)}; expected NAME=VALUE`);
    const name = pair.slice(0, at);
    if (labels.has(name)) throw wrong(`names ${quote(name)} twice`);
    labels.set(name, pair.slice(at + 1));
  }
  const sorted = [...labels].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1));
  // They are added to samples of any kind, so the strictest kind is checked.
  const refused = checkLabels(new Map(sorted), "observation", limits, terms);
  if (refused !== undefined) throw wrong(`is rejected: ${refused.refused}`);
  return new Map(sorted);
}

function readImportedPart(search: URLSearchParams): PushOptions["imported"] {
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
    firstLineHash: search.has("import_first_line") ? readHash(search, "import_first_line") : undefined,
    identity: readIdentity(search.get("import_identity") ?? ""),
  };
}

function readIdentity(text: string): string {
  if (text.length <= IDENTITY_CHARACTERS_MAX && /^[\x20-\x7e]*$/.test(text)) return text;
  const expected = `at most ${IDENTITY_CHARACTERS_MAX} ASCII characters`;
  throw wrongParameter("import_identity", text, expected);
}

function readOffset(search: URLSearchParams, name: string): number {
  const text = search.get(name);
  if (text !== null && /^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  throw wrongParameter(name, text, "a byte offset");
}

function readHash(search: URLSearchParams, name: string): string {
  const text = search.get(name);
  if (text !== null && /^[\w:.-]{1,128}$/.test(text)) return text;
  throw wrongParameter(name, text, "a hash");
}
