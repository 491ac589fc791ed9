/**
 * What became of the lines of an import, as a person reads it at the end: counts, what was rejected by reason
 * with an example each, and which retention would have kept what was too old.
 */
import { quote } from "../../errors.ts";
import { type Chunk, isBlank } from "./chunks.ts";
import { grouped } from "./progress.ts";
import type { ChunkAnswer } from "./target.ts";

const DAY_MS = 86_400_000;
const NEWLINE = 0x0a;

export interface Counts {
  stored: number;
  duplicates: number;
  rejected: number;
}

interface Reason {
  count: number;
  /** Where the first such line stands, and what is wrong with it. */
  example: string;
}

export class Report {
  readonly total: Counts = { stored: 0, duplicates: 0, rejected: 0 };
  readonly #reasons = new Map<string, Reason>();
  #oldestMs = Number.POSITIVE_INFINITY;

  /** Counts the lines of a chunk of the file at `path`. */
  add(path: string, chunk: Chunk, answer: ChunkAnswer): void {
    this.total.stored += answer.accepted;
    this.total.duplicates += answer.duplicates;
    this.total.rejected += answer.rejected;
    if (answer.rejected === 0) return;
    for (const [cause, count] of Object.entries(answer.causes)) this.#reason(cause).count += count;
    const lines = linesOf(chunk.body);
    const bodyOffset = chunk.toOffset - chunk.body.length;
    for (const { index, reason, cause } of answer.errors) {
      const line = lines[index];
      if (this.#reason(cause).example === "") {
        const told = reason.replace(
          /\bbyte (\d+) of the body\b/g,
          (_, at) => `byte ${bodyOffset + Number(at)} of the file`,
        );
        const place =
          line === undefined ? "" : ` (line at byte ${bodyOffset + line.byteOffset - chunk.body.byteOffset})`;
        this.#reason(cause).example = `${fileText(path)}${place}: ${told}`;
      }
    }
    // The gateway lists only the first errors. A line older than one that is too old is too old as well.
    if ((answer.causes.timestamp ?? 0) > 0) {
      for (const line of lines) this.#oldestMs = Math.min(this.#oldestMs, eventTimeMs(line));
    }
  }

  /** Counts a line that the gateway did not get, or would not read. */
  addUnread(path: string, offset: number, cause: string, what: string): void {
    this.total.rejected += 1;
    const reason = this.#reason(cause);
    reason.count += 1;
    if (reason.example === "") reason.example = `${fileText(path)} (line at byte ${offset}): ${what}`;
  }

  #reason(cause: string): Reason {
    let reason = this.#reasons.get(cause);
    if (reason === undefined) {
      reason = { count: 0, example: "" };
      this.#reasons.set(cause, reason);
    }
    return reason;
  }

  /** The lines of the report on what was rejected; empty where nothing was. */
  rejections(nowMs: number): string[] {
    if (this.total.rejected === 0) return [];
    const reasons = [...this.#reasons].sort(([, a], [, b]) => b.count - a.count);
    const width = Math.max(...reasons.map(([, { count }]) => grouped(count).length));
    const lines = reasons.map(
      ([cause, { count, example }]) => `  ${grouped(count).padStart(width)}  ${cause.padEnd(10)}${example}`,
    );
    lines.unshift("Rejected, with the first of each kind:");
    if (this.#oldestMs < nowMs) {
      const oldest = new Date(this.#oldestMs).toISOString();
      lines.push(
        `The oldest line is of ${oldest}: a gateway with --retention-days ${daysThatKeep(this.#oldestMs, nowMs)} keeps it.`,
      );
    }
    return lines;
  }
}

/** Retention counts UTC days, today included: a sample is kept while its day is not before today - (N - 1). */
function daysThatKeep(oldestMs: number, nowMs: number): number {
  return Math.floor(nowMs / DAY_MS) - Math.floor(oldestMs / DAY_MS) + 1;
}

/** `1,000 stored, 3 duplicates, 2 rejected`, without what is 0 but for `stored`. */
export function countsText({ stored, duplicates, rejected }: Counts): string {
  const parts = [`${grouped(stored)} stored`];
  if (duplicates > 0) parts.push(`${grouped(duplicates)} ${duplicates === 1 ? "duplicate" : "duplicates"}`);
  if (rejected > 0) parts.push(`${grouped(rejected)} rejected`);
  return parts.join(", ");
}

/** The lines of a chunk that are not blank: those that the gateway counts. */
function linesOf(body: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(NEWLINE, at);
    const line = body.subarray(at, end === -1 ? body.length : end);
    if (!isBlank(line)) lines.push(line);
    at = end === -1 ? body.length : end + 1;
  }
  return lines;
}

/** 2001-09-09. Seconds, read as milliseconds, are before it until the year 33658, and no retention covers it. */
const MILLISECONDS_FROM = 1_000_000_000_000;

/**
 * The time of an event in ms; infinity, which is never the least, where it has none that can be read, or a number
 * that looks like seconds.
 */
function eventTimeMs(line: Uint8Array): number {
  try {
    const event = JSON.parse(new TextDecoder().decode(line)) as Record<string, unknown>;
    const time = event["@timestamp"] ?? event.timestamp;
    const ms = typeof time === "string" ? Date.parse(time) : Number(time);
    const isSeconds = typeof time === "number" && ms < MILLISECONDS_FROM;
    return Number.isFinite(ms) && !isSeconds ? ms : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** For a message on a file: its name as it was given, quoted where it has odd characters. */
export function fileText(path: string): string {
  return /^[\w./@+,:~-]+$/.test(path) ? path : quote(path);
}
