/**
 * The report of an import. For each file it has counts, the rejected lines by cause with one example per kind of reason,
 * and the first warnings. At the end it has the counts of all files, and the retention that would have kept lines that
 * were too old.
 */
import { DAY_MS } from "../../model/duration.ts";
import { messageKind, quote } from "../../model/errors.ts";
import { unitHint } from "../../model/time.ts";
import { timeUs } from "../../wire/event-time.ts";
import type { FileChunk } from "../../line-files/chunks.ts";
import { isBlank } from "../../line-files/fingerprint.ts";
import { grouped } from "./progress.ts";
import type { PartAnswer } from "../../line-files/line-store.ts";

const NEWLINE = 0x0a;
/** The maximum warnings of one file that are shown, one of each kind. */
const WARNINGS_SHOWN_MAX = 3;
/** Different warnings of one file that are counted by themselves. */
const WARNINGS_KEPT_MAX = 100;

export interface Counts {
  stored: number;
  duplicates: number;
  rejected: number;
  /** Lines that were stored with a warning. */
  warnings: number;
}

/** Examples of one cause that are shown, one of each kind of reason. */
const EXAMPLES_SHOWN_MAX = 5;

interface Reason {
  count: number;
  /** By kind of reason: where the first such line is, and what is wrong with it. One more than are shown. */
  readonly examples: Map<string, string>;
}

/** The report of all files. */
export class Report {
  readonly total: Counts = { stored: 0, duplicates: 0, rejected: 0, warnings: 0 };
  oldestMs = Number.POSITIVE_INFINITY;
  /** Whether a file had lines that were too old and lines that were stored. */
  isPartlyTooOld = false;

  /** Begins the report of a file. */
  file(): FileReport {
    return new FileReport(this);
  }

  /** A sentence with the retention that keeps the oldest line that was too old; undefined if no line was too old. */
  retentionHint(nowMs: number): string | undefined {
    if (this.oldestMs >= nowMs) return undefined;
    const oldest = new Date(this.oldestMs).toISOString();
    const hint = `The oldest line is of ${oldest}: a gateway with --retention-days ${daysThatKeep(this.oldestMs, nowMs)} keeps it.`;
    return this.isPartlyTooOld
      ? `${hint} Rejected lines of a file with stored lines are not read again.`
      : hint;
  }
}

/** Lines whose answer is reported, with the newlines of the file before them. */
interface ReportedChunk extends Pick<FileChunk, "body" | "toOffset"> {
  readonly before: Pick<FileChunk["before"], "newlines">;
}

export class FileReport {
  readonly counts: Counts = { stored: 0, duplicates: 0, rejected: 0, warnings: 0 };
  readonly #all: Report;
  readonly #reasons = new Map<string, Reason>();
  /** The first warnings of different texts: where the first such line is, and the number of such lines. */
  readonly #warnings = new Map<string, { readonly text: string; count: number }>();

  constructor(all: Report) {
    this.#all = all;
  }

  /** Counts the lines of a chunk. */
  add(chunk: ReportedChunk, answer: PartAnswer): void {
    const warnings = answer.warnings.reduce((sum, { events = 1 }) => sum + events, answer.warningsOmitted);
    this.#count("stored", answer.accepted);
    this.#count("duplicates", answer.duplicates);
    this.#count("rejected", answer.rejected);
    this.#count("warnings", warnings);
    if (answer.rejected === 0 && warnings === 0) {
      this.#noteTooOld();
      return;
    }
    for (const [cause, count] of Object.entries(answer.causes)) this.#reason(cause).count += count;
    const lines = linesOf(chunk.body);
    const bodyOffset = chunk.toOffset - chunk.body.length;
    const placed = (index: number, message: string) => {
      const line = lines[index];
      const text = message.replace(
        /\bbyte (\d+) of the body\b/g,
        (_, at) => `byte ${bodyOffset + Number(at)} of the file`,
      );
      if (line === undefined) return text;
      const at = line.byteOffset - chunk.body.byteOffset;
      const number = chunk.before.newlines + newlinesIn(chunk.body.subarray(0, at)) + 1;
      return `line ${number} at byte ${bodyOffset + at}: ${text}`;
    };
    for (const { index, reason, cause } of answer.errors) {
      addExample(this.#reason(cause), reason, () => placed(index, reason));
    }
    for (const { index, message, events = 1 } of answer.warnings) {
      const before = this.#warnings.get(message);
      if (before !== undefined) before.count += events;
      else if (this.#warnings.size < WARNINGS_KEPT_MAX)
        this.#warnings.set(message, { text: placed(index, message), count: events });
    }
    // The gateway lists only the first errors. A line that is older than one that is too old is also too old.
    if ((answer.causes.timestamp ?? 0) > 0) {
      const events = answer.events === undefined ? lines : linesOf(answer.events);
      for (const line of events) this.#all.oldestMs = Math.min(this.#all.oldestMs, eventTimeMs(line));
    }
    this.#noteTooOld();
  }

  /** Counts a line that was not sent to the gateway, or that the gateway could not read. */
  addUnread(offset: number, cause: string, what: string): void {
    this.#count("rejected", 1);
    const reason = this.#reason(cause);
    reason.count += 1;
    addExample(reason, what, () => `line at byte ${offset}: ${what}`);
  }

  /** One line per reason of rejected lines, and per warning. */
  details(): string[] {
    const reasons = [...this.#reasons].filter(([, { count }]) => count > 0);
    const lines = reasons
      .sort(([, a], [, b]) => b.count - a.count)
      .flatMap(([cause, { count, examples }]) => {
        const [first = "", ...others] = [...examples.values()];
        const shown = others.slice(0, EXAMPLES_SHOWN_MAX - 1).map((example) => `    ${example}`);
        const more = others.length > shown.length ? ["    … and other reasons"] : [];
        return [`  rejected ${grouped(count)} (${cause}): ${first}`, ...shown, ...more];
      });
    const shown = [...this.#warnings.values()].slice(0, WARNINGS_SHOWN_MAX);
    const more = (count: number) => (count > 1 ? ` (${grouped(count)} lines)` : "");
    lines.push(...shown.map(({ text, count }) => `  warning: ${text}${more(count)}`));
    const others = shown.reduce((left, { count }) => left - count, this.counts.warnings);
    if (shown.length > 0 && others > 0)
      lines.push(`  … and ${grouped(others)} more ${others === 1 ? "warning" : "warnings"}`);
    return lines;
  }

  #noteTooOld(): void {
    const isTooOld = (this.#reasons.get("timestamp")?.count ?? 0) > 0;
    if (isTooOld && this.counts.stored > 0) this.#all.isPartlyTooOld = true;
  }

  #count(what: keyof Counts, count: number): void {
    this.counts[what] += count;
    this.#all.total[what] += count;
  }

  #reason(cause: string): Reason {
    return this.#reasons.getOrInsertComputed(cause, () => ({ count: 0, examples: new Map() }));
  }
}

function addExample({ examples }: Reason, message: string, example: () => string): void {
  const kind = messageKind(message);
  if (examples.size <= EXAMPLES_SHOWN_MAX && !examples.has(kind)) examples.set(kind, example());
}

/** Retention counts UTC days including today: a sample is kept while its day is not before today - (N - 1). */
function daysThatKeep(oldestMs: number, nowMs: number): number {
  return Math.floor(nowMs / DAY_MS) - Math.floor(oldestMs / DAY_MS) + 1;
}

/** `1,000 stored, 3 duplicates, 2 rejected, 1 warning`. Counts of 0 are omitted, except `stored`. */
export function countsText({ stored, duplicates, rejected, warnings }: Counts): string {
  const several = (count: number, what: string) =>
    count === 0 ? [] : [`${grouped(count)} ${what}${count === 1 ? "" : "s"}`];
  return [
    `${grouped(stored)} stored`,
    ...several(duplicates, "duplicate"),
    ...(rejected > 0 ? [`${grouped(rejected)} rejected`] : []),
    ...several(warnings, "warning"),
  ].join(", ");
}

function newlinesIn(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
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

/**
 * The time of an event in ms. Infinity, which is never the minimum, if the time is unreadable or is a number that does
 * not look like milliseconds.
 */
function eventTimeMs(line: Uint8Array): number {
  try {
    const event = JSON.parse(new TextDecoder().decode(line)) as Record<string, unknown>;
    const time = event["@timestamp"] ?? event.timestamp;
    const us = timeUs(time);
    const isOtherUnit = typeof time === "number" && unitHint(time) !== "";
    return us === undefined || isOtherUnit ? Number.POSITIVE_INFINITY : us / 1000;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** The name of a file for messages: as it was given, quoted if it has unusual characters. */
export function fileText(path: string): string {
  return /^[\w./@+,:~-]+$/.test(path) ? path : quote(path);
}
