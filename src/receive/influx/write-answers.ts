/**
 * The answers to writes, each in the form that clients of that version of InfluxDB understand: 204 if everything is
 * stored. Otherwise an error lists the rejected lines. Telegraf and the client libraries drop the rejected points at
 * 400 and 422, and send the request again at 429 and 503.
 */
import { unreadHint } from "../../http/body-hint.ts";
import { errorHeaders, jsonResponse } from "../../http/error-answers.ts";
import type { Ack } from "../../ingest/contract.ts";
import type { RequestError } from "../../model/errors.ts";
import type { Batch, Rejection } from "../../model/sample.ts";
import { listWarnings } from "../push-warnings.ts";
import type { DecodedLines } from "./line-protocol.ts";
import { endOfLine, endOfTextLine, skipBlanks } from "./line-scanner.ts";
import { guessed, type Precision, timeOf } from "./precision.ts";
import { LINE_BYTES_MAX, lineText } from "./rejected-lines.ts";

export type InfluxVersion = "v1" | "v2" | "v3";

/** InfluxDB 2 names its errors. */
const CODES: Readonly<Record<number, string>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  405: "method not allowed",
  413: "request too large",
  415: "unsupported media type",
  422: "unprocessable entity",
  429: "too many requests",
  500: "internal error",
  503: "unavailable",
};
const NO_POINTS = "writing requires points";
/** Reasons that a message of versions 1 and 2 has, and lines that the answer of version 3 lists. */
const REASONS_MAX = 10;
const LINES_MAX = 1_000;
const RETRY_AFTER_SECONDS = 1;
const KIND_HINT = " (influxEvents names the measurements whose lines are all events)";
/** A header has room for a sentence. */
const HEADER_CHARACTERS_MAX = 256;

/** A line of which something was not stored. */
interface RefusedLine {
  readonly text: string;
  /** From 1. */
  readonly number: number;
  readonly reason: string;
  readonly isReadable: boolean;
  readonly isTime: boolean;
}

/** Whether nothing of a body is stored, as the version demands. */
export function isRefused(
  version: InfluxVersion,
  { batch, lineCount }: DecodedLines,
  acceptsPartial: boolean,
) {
  if (version === "v2" && lineCount === 0) return true;
  return version === "v3" && !acceptsPartial && batch.rejected.length > 0;
}

/**
 * The answer to a body that was read.
 *
 * @param ack undefined if nothing of it was stored
 */
export function answerOf(
  version: InfluxVersion,
  { batch, lineCount }: DecodedLines,
  body: Uint8Array,
  precision: Precision,
  ack?: Ack,
): Response {
  const rejected = ack?.rejected ?? batch.rejected;
  const { count } = listWarnings(batch.warnings);
  const headers: Record<string, string> = count > 0 ? { "weir-warnings": String(count) } : {};
  if (ack?.repeated === true) headers["weir-duplicate"] = "true";
  if (rejected.length === 0) {
    if (version === "v2" && lineCount === 0) return failed(version, 400, NO_POINTS);
    return new Response(null, { status: 204, headers });
  }
  const lines = refusedLines(batch, body, precision, rejected);
  const dropped = new Set(rejected.map(({ index }) => index)).size;
  if (version === "v3") return answerOfV3(lines, ack !== undefined, headers);
  const reasons = lines.slice(0, REASONS_MAX).map(reasonText);
  const isPartial = dropped < lineCount || batch.rejected.length < dropped;
  // A body of another format has no line that can be read.
  const hint = batch.rejected.length < lineCount ? "" : unreadHint(body, "/write");
  const message = isPartial
    ? `partial write: ${reasons.join("\n")} dropped=${dropped}`
    : hint === ""
      ? reasons.join("\n")
      : `${reasons.join("\n")}. ${hint}`;
  if (version === "v1" || batch.rejected.length > 0) return failed(version, 400, message, headers);
  return failed(version, 422, `failure writing points to database: ${message}`, headers);
}

/** A reason as versions 1 and 2 write it: clients search for "unable to parse". */
function reasonText({ isReadable, isTime, text, reason }: RefusedLine): string {
  if (!isReadable) return `unable to parse '${text}': ${reason}`;
  // Other reasons of admission name the metric.
  return isTime ? `${reason}: '${text}'` : reason;
}

function answerOfV3(lines: readonly RefusedLine[], isPartial: boolean, headers: Record<string, string>) {
  const data = lines
    .slice(0, LINES_MAX)
    .map(({ text, number, reason }) => ({ original_line: text, line_number: number, error_message: reason }));
  const answer = isPartial
    ? { error: "partial write of line protocol occurred", data }
    : { error: "parsing failed for write_lp endpoint", data: data[0] };
  return jsonResponse(400, answer, headers);
}

/** The answer to a request of which nothing was stored. */
export function failureOf(version: InfluxVersion, error: RequestError): Response {
  const headers = errorHeaders(error);
  // At 408 Telegraf would drop its points.
  if (error.status !== 408) return failed(version, error.status, error.message, headers);
  return failed(version, 503, error.message, { "retry-after": String(RETRY_AFTER_SECONDS), ...headers });
}

function failed(
  version: InfluxVersion,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): Response {
  if (version === "v2") return jsonResponse(status, { code: CODES[status] ?? "invalid", message }, headers);
  if (version === "v3") return jsonResponse(status, { error: message }, headers);
  const header = message.slice(0, HEADER_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, " ");
  return jsonResponse(status, { error: message }, { "x-influxdb-error": header, ...headers });
}

/** The lines of rejected samples, in the order of the body, each with its first reason. */
function refusedLines(
  batch: Batch,
  body: Uint8Array,
  precision: Precision,
  rejected: readonly Rejection[],
): RefusedLine[] {
  const unreadable = new Set(batch.rejected.map(({ index }) => index));
  const first = new Map<number, Rejection>();
  for (const rejection of rejected) if (!first.has(rejection.index)) first.set(rejection.index, rejection);
  const sorted = [...first.values()].sort((a, b) => a.index - b.index).slice(0, LINES_MAX);
  const texts = new LineTexts(body);
  return sorted.map(({ index, reason, cause }) => {
    const text = texts.at(index);
    const hint = cause === "timestamp" ? unitHint(text, precision) : cause === "kind" ? KIND_HINT : "";
    // A hint of admission about retention would not help.
    const plain = hint === "" ? reason : reason.replace(/ \(.*\)$/s, "");
    return {
      text,
      number: index + 1,
      reason: plain + hint,
      isReadable: !unreadable.has(index),
      isTime: cause === "timestamp",
    };
  });
}

/** Finds the texts of lines by their numbers, which must ascend. */
class LineTexts {
  readonly #body: Buffer;
  #at = 0;
  #number = 0;

  constructor(body: Uint8Array) {
    this.#body = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  }

  at(number: number): string {
    const body = this.#body;
    while (this.#number < number) {
      this.#at = body.indexOf(10, this.#at) + 1;
      this.#number++;
    }
    const begin = skipBlanks(body, this.#at, body.length);
    // The text is cut there anyway, and a string without an end would be searched to the end of the body.
    const end = Math.min(body.length, begin + LINE_BYTES_MAX);
    const next = endOfLine(body, begin, end);
    return lineText(body, begin, next < 0 ? endOfTextLine(body, begin, end) : next);
  }
}

/** Times of these years are probably meant. */
const PROBABLE_FROM_US = Date.UTC(2001, 0, 1) * 1_000;
const PROBABLE_TO_US = Date.UTC(2100, 0, 1) * 1_000;

/** A hint that the time of a line has another unit than the request says. */
function unitHint(line: string, precision: Precision): string {
  const number = / (-?\d+)\s*$/.exec(line)?.[1];
  if (number === undefined || precision === "auto") return "";
  const unit = guessed(Math.abs(Number(number)));
  const us = timeOf(Buffer.from(number), 0, number.length, unit);
  const isProbable = typeof us === "number" && us >= PROBABLE_FROM_US && us < PROBABLE_TO_US;
  return unit === precision || !isProbable
    ? ""
    : ` (${number} was read as ${precision}; it looks like ${unit}: send precision=${unit})`;
}
