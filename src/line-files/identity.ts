/**
 * Decides whether a file was imported before, and from which offset its import continues. src/commands/import/README.md
 * explains the rules. Their aim: each line is stored once. If that cannot be decided, nothing is stored, and the import
 * reports the reason.
 */
import { type Fingerprint, sharedLines } from "./fingerprint.ts";

/** Where a file was found: short hashes of its path ("p…"), its inode ("i…") and its stem ("s…"). */
export interface Traces {
  readonly places: readonly string[];
  /** When it was last written, milliseconds since the epoch; 0 if unknown. */
  readonly modifiedMs: number;
}

/** The data about a file that the gateway stores for imports, besides the imported offset. */
export interface Identity extends Traces {
  /** SHA-256 of the content up to the offset at which the import stopped. */
  readonly hash: string;
  /** The marks of that content. */
  readonly marks: string;
  /** The worker in the labels of its lines; empty if there is none. */
  readonly worker: string;
  /** The key of the format and mapping that made events of its lines; absent if its lines are events. */
  readonly format?: string;
}

/** A file that was imported at least in part. */
export interface KnownFile {
  /** The import's name. */
  readonly file: string;
  /** Bytes of the content that were imported. */
  readonly byteOffset: number;
  readonly lastLineHash: string;
  /** Undefined if an older version imported it. */
  readonly identity: Identity | undefined;
}

/** A file's content up to some offset. */
export interface Place {
  readonly fingerprint: Fingerprint;
  /** The hash of the line that ends there, for a file that has no other identity. */
  readonly lastLineHash: string | undefined;
}

/** The content of a file at the offsets at which imports of other files stopped. */
export interface Look {
  /** By offset, up to the end of the file. */
  readonly at: ReadonlyMap<number, Place>;
  /** The content up to the offset that was read. */
  readonly end: Fingerprint;
  /** Whether that is the whole content. */
  readonly isWhole: boolean;
}

interface Subject {
  readonly traces: Traces;
  look(known: readonly KnownFile[]): Promise<Look>;
  findDatedLine(hashes: ReadonlySet<string>): Promise<boolean>;
}

export type Verdict =
  /** It is `known`: its lines after `from` are new. */
  | {
      readonly kind: "known";
      readonly known: KnownFile;
      readonly from: Fingerprint;
    }
  | { readonly kind: "new" }
  /** It is the beginning of `known`, and more of `known` was imported. */
  | { readonly kind: "earlier"; readonly known: KnownFile; readonly bytes: number }
  /** It cannot be decided. The message is one sentence. */
  | { readonly kind: "unclear"; readonly message: string };

/** Two files that share this many lines, one of them with a time, are one file that was changed. */
const REWRITTEN_LINES = 32;
const PLACES_MAX = 12;

/**
 * Compares a file with those that begin with the same line.
 *
 * @param worker the worker in the labels of its lines: files of two workers are two files
 * @param isOwn whether it is known to be one of them: then equal content is enough, however short it is
 */
export async function identify(
  file: Subject,
  all: readonly KnownFile[],
  worker: string,
  isOwn = false,
): Promise<Verdict> {
  const known = all.filter((each) => {
    const before = each.identity?.worker ?? "";
    return before === "" || worker === "" || before === worker;
  });
  if (known.length === 0) return { kind: "new" };
  const look = await file.look(known);
  const { traces } = file;

  const equal = known
    .filter((each) => isEqualTo(each, look))
    .sort((a, b) => rank(b, traces) - rank(a, traces) || b.byteOffset - a.byteOffset);
  const goOn = (each: KnownFile) => ({
    kind: "known" as const,
    known: each,
    from: look.at.get(each.byteOffset)!.fingerprint,
  });
  for (const each of equal) {
    const { fingerprint } = look.at.get(each.byteOffset)!;
    const isSure = isOwn || fingerprint.isDated() || rank(each, traces) > 0;
    if (isSure || each.identity === undefined) return goOn(each);
  }
  const shorter = known.filter((each) => isBeginningOf(each, look));
  const successorOf = shorter.find(({ identity }) => identity !== undefined && isSuccessor(identity, traces));
  if (successorOf !== undefined) {
    // It became shorter in its place and was written since. So it began again, unless it still has earlier lines.
    return look.end.isDated()
      ? {
          kind: "unclear",
          message: changed(
            sharedLines(successorOf.identity?.marks ?? "", look.end.marks),
            successorOf.byteOffset,
          ),
        }
      : { kind: "new" };
  }

  const isMore = (from: Fingerprint) => look.end.lines > from.ended().lines;
  for (const each of equal) {
    // One line without a time, such as a worker's first line, does not distinguish two files.
    const { fingerprint } = look.at.get(each.byteOffset)!;
    if (!isMore(fingerprint)) return { kind: "unclear", message: unclearEqual(each, look) };
    if (fingerprint.ended().lines > 1) return goOn(each);
  }
  for (const each of shorter) {
    const isSeen = each.identity !== undefined && rank(each, traces) > 1;
    if (each.identity === undefined || isSeen || look.end.isDated())
      return { kind: "earlier", known: each, bytes: look.end.bytes };
    if (look.end.lines > 1) return { kind: "unclear", message: unclearCopy(each, look) };
  }
  return await identifyRewritten(
    file,
    known.filter((each) => !equal.includes(each) && !shorter.includes(each)),
    look,
  );
}

/**
 * Decides about a file that shares its beginning with imported files, but differs later: a new file, or a changed one.
 */
async function identifyRewritten(file: Subject, others: readonly KnownFile[], look: Look): Promise<Verdict> {
  for (const { byteOffset, identity } of others) {
    const shared = sharedLines(identity?.marks ?? "", look.end.marks);
    if (shared >= REWRITTEN_LINES && look.end.isDated(shared)) {
      return { kind: "unclear", message: changed(shared, byteOffset) };
    }
  }
  const lastLines = new Set(others.map(({ lastLineHash }) => lastLineHash));
  if (others.length > 0 && (await file.findDatedLine(lastLines))) {
    return {
      kind: "unclear",
      message:
        "it begins like a file that was imported before, and has the line at which that import stopped at another " +
        "offset: it was changed since, and its new lines cannot be determined",
    };
  }
  return { kind: "new" };
}

/** The identity of a file, to be stored for the next import. */
export function identityOf(
  content: Fingerprint,
  traces: Traces,
  worker: string,
  before: Identity | undefined,
  format?: string,
): Identity {
  const { hash, marks } = { hash: content.hash, marks: content.ended().marks };
  const places = [...new Set([...traces.places, ...(before?.places ?? [])])].slice(0, PLACES_MAX);
  const modifiedMs = Math.max(traces.modifiedMs, before?.modifiedMs ?? 0);
  return {
    ...{ hash, marks, worker: before?.worker || worker, places, modifiedMs },
    ...(format === undefined ? {} : { format }),
  };
}

/** Reads an identity from the text that the gateway stores; undefined if it is malformed. */
export function readIdentity(text: string): Identity | undefined {
  try {
    const { hash, marks, worker, places, modifiedMs, format } = JSON.parse(text) as Partial<Identity>;
    if (typeof hash !== "string" || typeof marks !== "string" || !Array.isArray(places)) return undefined;
    return { hash, marks, worker: worker ?? "", places, modifiedMs: modifiedMs ?? 0, format };
  } catch {
    return undefined;
  }
}

function isEqualTo({ byteOffset, identity, lastLineHash }: KnownFile, { at }: Look): boolean {
  const there = at.get(byteOffset);
  if (there === undefined) return false;
  return identity === undefined
    ? there.lastLineHash === lastLineHash
    : there.fingerprint.hash === identity.hash;
}

/** Whether the file ends before the imported offset of `known`, and is equal up to its end. */
function isBeginningOf({ byteOffset, identity }: KnownFile, { end, isWhole, at }: Look): boolean {
  if (!isWhole || at.has(byteOffset)) return false;
  return identity === undefined || (end.marks !== "" && identity.marks.startsWith(end.marks));
}

/** How certainly a file has the place of `known`: 2 by its path or inode, 1 by its stem, else 0. */
function rank({ identity }: KnownFile, { places }: Traces): number {
  const shared = places.filter((each) => identity?.places.includes(each));
  return shared.some((each) => !each.startsWith("s")) ? 2 : shared.length > 0 ? 1 : 0;
}

function isSuccessor(before: Identity, { places, modifiedMs }: Traces): boolean {
  const isThere = places.some((each) => !each.startsWith("s") && before.places.includes(each));
  return isThere && modifiedMs > before.modifiedMs;
}

function changed(lines: number, byteOffset: number): string {
  return (
    `at least its first ${lines} lines were imported before, up to byte ${byteOffset}, but before that byte it ` +
    "ends or differs: it was changed since, and its new lines cannot be determined"
  );
}

function unclearEqual({ byteOffset }: KnownFile, { end }: Look): string {
  const [lines, none] =
    end.lines === 1 ? ["1 line is", "it does not have"] : [`${end.lines} lines are`, "none has"];
  return (
    `its ${lines} all of a file that was imported up to byte ${byteOffset}, and ${none} a ` +
    "time: it cannot be determined whether it is a copy of that file or another file"
  );
}

function unclearCopy({ byteOffset }: KnownFile, { end }: Look): string {
  return (
    `its ${end.lines} lines are also the first of a file that was imported up to byte ${byteOffset}, and none has a ` +
    "time: it cannot be determined whether it is a copy of that file or another file"
  );
}

/** The name of a new import: the hash of the first line, with a number from 2 on if another file has that name. */
export function freeName(firstLineHash: string, known: readonly KnownFile[]): string {
  const taken = new Set(known.map(({ file }) => file));
  if (!taken.has(firstLineHash)) return firstLineHash;
  let number = 2;
  while (taken.has(`${firstLineHash}.${number}`)) number++;
  return `${firstLineHash}.${number}`;
}
