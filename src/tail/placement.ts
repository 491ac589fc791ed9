/**
 * Decides where the reading of a followed file begins. What the follower knows of the file itself decides first: its
 * inode, and up to where it was read. Otherwise the rules of `weir import` decide by the content
 * (src/commands/import/README.md), so that a copy of a file is not stored twice.
 */
import type { Remainder } from "../line-files/chunks.ts";
import type { EventFile } from "../line-files/event-file.ts";
import type { Fingerprint } from "../line-files/fingerprint.ts";
import { type Identity, identify, type KnownFile, type Verdict } from "../line-files/identity.ts";
import type { LineStore } from "../line-files/line-store.ts";
import type { FileRecord } from "./tail-state.ts";

/** What is known of a file before its content is compared. */
export interface PlacedFile {
  readonly content: EventFile;
  readonly worker: string;
  readonly isRotated: boolean;
  /** How far it was read, if it was. */
  readonly record: FileRecord | undefined;
  /** Imports of what the file had before it was truncated. Lines without a time do not make it a copy of them. */
  readonly earlierImports: ReadonlySet<string>;
}

/** What is known of the other followed files. */
export interface OtherFiles {
  /** Imports of files that exist under another inode. */
  readonly imports: ReadonlySet<string>;
  /** Files of which lines were skipped, and none is stored. A copy of one continues where the skipped lines end. */
  readonly skipped: readonly FileRecord[];
}

export type Placement =
  | {
      readonly kind: "at";
      readonly from: Fingerprint;
      /** The name of the import that it continues; undefined if a new one begins. */
      readonly file: string | undefined;
      readonly firstLine: string;
      /** The offset that the gateway has of this import. */
      readonly stored: number;
      readonly identity: Identity | undefined;
      /** Why lines before `from` are not read, if nobody asked for that. */
      readonly warning?: string;
    }
  /** Nothing can be read until the file changes. */
  | { readonly kind: "wait"; readonly reason: string };

/** @throws Interrupted, and what an unreadable file throws */
export async function placeFile(file: PlacedFile, store: LineStore, others: OtherFiles): Promise<Placement> {
  const { record } = file;
  const own = record?.file === undefined ? undefined : await store.named(record.file);
  const firstLine = await file.content.firstLineHash(true);
  if (firstLine === undefined) return { kind: "wait", reason: "it has no whole line yet" };
  let ownSkipped: readonly FileRecord[] = [];
  if (record !== undefined && record.offset > 0) {
    const last = asKnown(record);
    const { at } = await file.content.look(own === undefined ? [last] : [last, own]);
    const reached = (known: KnownFile | undefined) => {
      const place = known === undefined ? undefined : at.get(known.byteOffset);
      return place?.fingerprint.hash === known?.identity?.hash ? place?.fingerprint : undefined;
    };
    const [here, there] = [reached(last), reached(own)];
    if (record.file !== undefined) {
      const continued = { kind: "at", file: record.file, firstLine } as const;
      // The gateway has more than the state says, or it lost what it had acknowledged, as after a restore.
      const isOther = own !== undefined && (own.byteOffset > record.offset || own.byteOffset < record.stored);
      if (there !== undefined && (isOther || here === undefined))
        return { ...continued, from: there, stored: own!.byteOffset, identity: own!.identity };
      if (here !== undefined && there !== undefined)
        return { ...continued, from: here, stored: own!.byteOffset, identity: own!.identity };
      // The gateway has forgotten the import: nothing of it is within retention, or the store is new.
      if (here !== undefined && own === undefined)
        return { ...continued, from: here, stored: 0, identity: undefined };
      // Another file has that name by now.
      if (here !== undefined) return { ...begin(here, firstLine), identity: undefined };
    } else if (here !== undefined) ownSkipped = [record];
  }
  return await placeByContent(file, store, others, firstLine, ownSkipped);
}

async function placeByContent(
  { content, worker, isRotated, earlierImports, record }: PlacedFile,
  store: LineStore,
  { imports, skipped }: OtherFiles,
  firstLine: string,
  ownSkipped: readonly FileRecord[],
): Promise<Placement> {
  const stored = await store.withFirstLine(firstLine);
  let verdict = await identify(content, stored, worker);
  if (await isUndated(content, verdict)) {
    // Files that begin alike, such as those of two days, each with the line that a worker writes at its start. A copy
    // of a file that exists under another name would be under the name of a rotated file.
    const isOther = ({ file }: KnownFile) =>
      earlierImports.has(file) || file === record?.file || (!isRotated && imports.has(file));
    const others = stored.filter((each) => !isOther(each));
    if (others.length < stored.length) verdict = await identify(content, others, worker);
  }
  const skips = [...ownSkipped, ...skipped.filter((each) => each.firstLine === firstLine)].map(asKnown);
  if (verdict.kind !== "known" && skips.length > 0) {
    const local = await identify(content, skips, worker);
    if (local.kind === "known") return begin(local.from, firstLine);
  }
  switch (verdict.kind) {
    case "known": {
      const { file, byteOffset, identity } = verdict.known;
      return { kind: "at", from: verdict.from, file, firstLine, stored: byteOffset, identity };
    }
    case "new":
      return begin(content.beginning(), firstLine);
    case "earlier":
      return {
        kind: "wait",
        reason: `it is an earlier copy of a file that is stored up to byte ${verdict.known.byteOffset}`,
      };
    case "unclear":
      return { ...begin(await wholeLines(content), firstLine), warning: verdict.message };
  }
}

function begin(from: Fingerprint, firstLine: string) {
  return { kind: "at", from, file: undefined, firstLine, stored: 0, identity: undefined } as const;
}

/** Whether a verdict depends on lines without a time, which two files may share. */
async function isUndated(content: EventFile, verdict: Verdict): Promise<boolean> {
  if (verdict.kind === "new") return false;
  return verdict.kind === "known" ? !verdict.from.isDated() : !(await content.hasTimes());
}

/** The fingerprint of all whole lines that the file has. */
export async function wholeLines(content: EventFile): Promise<Fingerprint> {
  let end = content.beginning();
  const onRemainder = (remainder: Remainder) => {
    if (remainder.kind === "overlong") end = remainder.after ?? end;
  };
  for await (const { after } of content.chunks(content.beginning(), onRemainder)) end = after;
  return end;
}

function asKnown({ file = "", offset, identity }: FileRecord): KnownFile {
  return { file, byteOffset: offset, lastLineHash: "", identity };
}
