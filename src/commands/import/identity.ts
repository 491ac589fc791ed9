/**
 * Decides whether a file is one that was imported before, and from where to go on; README.md beside this file explains
 * the rules. They have one aim: each line is stored once, and where that cannot be known nothing is stored and the
 * reason is given.
 */
import { type Fingerprint, sharedLines } from "./fingerprint.ts";

/** Where a file was seen: short hashes of its path ("p…"), its number on its disk ("i…") and its stem ("s…"). */
export interface Traces {
  readonly places: readonly string[];
  /** When it was written last, milliseconds since the epoch; 0 where that is not known. */
  readonly modifiedMs: number;
}

/** What the gateway keeps of a file for us, beside how far it was imported. */
export interface Identity extends Traces {
  /** SHA-256 of the content up to where the import stopped. */
  readonly hash: string;
  /** The marks of that content. */
  readonly marks: string;
  /** The worker that its lines were labelled with; empty for none. */
  readonly worker: string;
}

/** A file of which something was imported. */
export interface KnownFile {
  /** The import's name. */
  readonly file: string;
  /** Bytes of the content that were imported. */
  readonly byteOffset: number;
  readonly lastLineHash: string;
  /** Undefined where an older version imported it. */
  readonly identity: Identity | undefined;
}

/** A file's content up to some offset. */
export interface Place {
  readonly fingerprint: Fingerprint;
  /** Of the line that ends there, where a file is known by nothing else. */
  readonly lastLineHash: string | undefined;
}

/** What was seen of a file where imports of others stopped. */
export interface Look {
  /** By offset, as far as the file reaches. */
  readonly at: ReadonlyMap<number, Place>;
  /** The content as far as it was read. */
  readonly end: Fingerprint;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

interface Subject {
  readonly traces: Traces;
  look(known: readonly KnownFile[]): Promise<Look>;
  findDatedLine(hashes: ReadonlySet<string>): Promise<boolean>;
}

export type Verdict =
  /** It is `known`: its lines behind `from` are new. */
  | {
      readonly kind: "known";
      readonly known: KnownFile;
      readonly from: Fingerprint;
    }
  | { readonly kind: "new" }
  /** It is the beginning of `known`, of which more was imported. */
  | { readonly kind: "earlier"; readonly known: KnownFile; readonly bytes: number }
  /** Nobody can know; the message is one sentence. */
  | { readonly kind: "unclear"; readonly message: string };

/** Two files that share so many lines, one of them with a time, are one of which a part was changed. */
const REWRITTEN_LINES = 32;
const PLACES_MAX = 12;

/**
 * Compares a file with those that begin with the same line.
 *
 * @param worker the worker that its lines will be labelled with: files of two workers are two
 * @param isOwn whether it is meant to be one of them: then equal content is enough, however little it is
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
    // It got shorter where it lies and was written since: it began anew, unless lines of before are left in it.
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
    // One line without a time, such as a worker writes at its start, does not tell one file from another.
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

/** A file that shares its beginning with others, but not all that was imported of them: another file, or one changed. */
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
        "it begins like a file that was imported before, and has the line where that import stopped at another place: " +
        "it was changed since, so that nobody knows which of its lines are new",
    };
  }
  return { kind: "new" };
}

/** What to keep of a file for the next time. */
export function identityOf(
  content: Fingerprint,
  traces: Traces,
  worker: string,
  before: Identity | undefined,
): Identity {
  const { hash, marks } = { hash: content.hash, marks: content.ended().marks };
  const places = [...new Set([...traces.places, ...(before?.places ?? [])])].slice(0, PLACES_MAX);
  const modifiedMs = Math.max(traces.modifiedMs, before?.modifiedMs ?? 0);
  return { hash, marks, worker: before?.worker || worker, places, modifiedMs };
}

/** An identity from the text that the gateway keeps; undefined where it is none. */
export function readIdentity(text: string): Identity | undefined {
  try {
    const { hash, marks, worker, places, modifiedMs } = JSON.parse(text) as Partial<Identity>;
    if (typeof hash !== "string" || typeof marks !== "string" || !Array.isArray(places)) return undefined;
    return { hash, marks, worker: worker ?? "", places, modifiedMs: modifiedMs ?? 0 };
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

/** Whether the file ends before the place up to which `known` was imported, and is equal so far. */
function isBeginningOf({ byteOffset, identity }: KnownFile, { end, isWhole, at }: Look): boolean {
  if (!isWhole || at.has(byteOffset)) return false;
  return identity === undefined || (end.marks !== "" && identity.marks.startsWith(end.marks));
}

/** How surely a file is where `known` was: 2 by its path or number, 1 by its stem. */
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
    "ends or differs: it was changed since, so that nobody knows which of its lines are new"
  );
}

function unclearEqual({ byteOffset }: KnownFile, { end }: Look): string {
  const [lines, none] =
    end.lines === 1 ? ["1 line is", "it does not have"] : [`${end.lines} lines are`, "none has"];
  return (
    `its ${lines} all of a file that was imported up to byte ${byteOffset}, and ${none} a ` +
    "time: it is a copy of that file or another one, which nobody can know"
  );
}

function unclearCopy({ byteOffset }: KnownFile, { end }: Look): string {
  return (
    `its ${end.lines} lines are also the first of a file that was imported up to byte ${byteOffset}, and none has a ` +
    "time: it is a copy of that file or another one, which nobody can know"
  );
}
