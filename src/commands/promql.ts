/** `weir promql`: runs a PromQL query on a running gateway, at one time or over a range, and prints the series. */
import { parseDurationMs } from "../model/duration.ts";
import { BadInput } from "../model/errors.ts";
import { parseTime } from "../model/time.ts";
import { alignedRows } from "../query/formats/aligned-text.ts";
import { writeTo } from "./answer.ts";
import { oneOf, readArguments } from "./arguments.ts";
import { accepted, bytesOf, gatewayAt, type Send, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";
import type { PromqlAnswerJson } from "../query/fleet/fleet-answers.ts";

/** The options that say at which times an expression is evaluated. */
export const timeOptions = {
  at: { type: "string" },
  start: { type: "string" },
  end: { type: "string" },
  step: { type: "string" },
} as const;

const OPTIONS = {
  ...urlOptions,
  ...timeOptions,
  format: { type: "string", default: "table" },
  output: { type: "string", short: "o" },
} as const;

/** The number of steps of a range if no step is given: few enough lines to read. */
const STEPS = 60;
const SECOND_MS = 1000;

export const command: Command = {
  name: "promql",
  summary: "runs a PromQL query and prints the series",
  usage: `Usage: weir promql [--at TIME] [OPTIONS] 'EXPR'
       weir promql --start TIME [--end TIME] [--step DURATION] [OPTIONS] 'EXPR'

Evaluates a PromQL expression on a running gateway, at one time (default: now) or at the steps of a range:

  weir promql 'sum by (operation) (rate(http_request_duration_ms_count[5m]))'
  weir promql --start -6h --step 5m 'queue_depth{job="worker"}'

  --at TIME          evaluate at this time: now, -24h, 2024-01-15, 2024-01-15T08:30:00Z (UTC if it has no
                     zone), or milliseconds since 1970
  --start TIME       the start of a range
  --end TIME         the end of the range; default: now
  --step DURATION    the time between two steps, such as 30s, 1h30m or a number of seconds; by default the
                     range has ${STEPS} steps, at least one second apart
  --format FORMAT    table (default), or json: the answer in the format of Prometheus's API
  --output FILE      write to this file, which appears when it is complete; default: standard output
${urlHelp}

Put "--" before an expression that begins with a dash. Warnings of the query are printed on standard error.

The exit code is 0 if the series were printed, also if there are none. It is 1 if the query or the gateway
failed, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const format = oneOf("--format", values.format, ["table", "json"]);
    const [expression, ...others] = positionals;
    if (expression === undefined || expression.trim() === "")
      throw new UsageError("Give an expression, such as weir promql 'up'.");
    if (others.length > 0) {
      throw new UsageError(
        `Unexpected argument ${JSON.stringify(others[0])} after the expression: quote the whole expression.`,
      );
    }
    const { path, parameters } = promqlRequest(values, Date.now());
    const send = gatewayAt(values.url, io, values.ca);
    const response = await send(path, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams([["query", expression], ...parameters]).toString(),
    });
    await accepted(response);
    if (format === "json") await writeTo(values.output, bytesOf(response), io);
    else await printTable((await response.json()) as PromqlAnswerJson, values.output, io);
    return exitCode.ok;
  },
};

type Times = { readonly [Name in "at" | "start" | "end" | "step"]?: string };

/** The route of Prometheus's API for these times, and its parameters. */
export function promqlRequest(
  { at, start, end, step }: Times,
  nowMs: number,
): { path: string; parameters: [string, string][] } {
  if (start === undefined) {
    const [name] = Object.entries({ end, step }).find(([, value]) => value !== undefined) ?? [];
    if (name !== undefined) throw new UsageError(`--${name} belongs to a range: give --start too.`);
    const parameters: [string, string][] =
      at === undefined ? [] : [["time", seconds(timeOf("--at", at, nowMs))]];
    return { path: "/api/v1/query", parameters };
  }
  if (at !== undefined)
    throw new UsageError("--at is one time and --start begins a range: give only one of them.");
  const startMs = timeOf("--start", start, nowMs);
  const endMs = end === undefined ? nowMs : timeOf("--end", end, nowMs);
  if (endMs < startMs) throw new UsageError("--end is before --start.");
  const stepMs =
    step === undefined
      ? Math.max(1, Math.ceil((endMs - startMs) / STEPS / SECOND_MS)) * SECOND_MS
      : stepOf(step);
  return {
    path: "/api/v1/query_range",
    parameters: [
      ["start", seconds(startMs)],
      ["end", seconds(endMs)],
      ["step", seconds(stepMs)],
    ],
  };
}

function timeOf(flag: string, text: string, nowMs: number): number {
  try {
    return parseTime(text, nowMs, flag);
  } catch (error) {
    throw error instanceof BadInput ? new UsageError(error.message) : error;
  }
}

function stepOf(text: string): number {
  const stepMs = /^\d+(\.\d+)?$/.test(text)
    ? Math.round(Number(text) * SECOND_MS)
    : parseDurationMs(text, "decimals");
  if (stepMs === undefined || !(stepMs > 0) || !Number.isSafeInteger(stepMs)) {
    throw new UsageError(
      `--step is ${JSON.stringify(text)}, expected a duration such as 30s, or a number of seconds.`,
    );
  }
  return stepMs;
}

function seconds(ms: number): string {
  return (ms / SECOND_MS).toFixed(3);
}

/** The answer to an expression at the present time, as a table, with its warnings before it. */
export async function promqlText(send: Send, expression: string): Promise<string> {
  const body = new URLSearchParams([["query", expression]]).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const response = await accepted(await send("/api/v1/query", { method: "POST", headers, body }));
  const answer = (await response.json()) as PromqlAnswerJson;
  return `${notesOf(answer)
    .map((note) => `${note}\n`)
    .join("")}${tableOf(answer)}`;
}

function notesOf({ warnings = [], infos = [] }: PromqlAnswerJson): string[] {
  return [...warnings, ...infos];
}

function tableOf({ data }: PromqlAnswerJson): string {
  if (data.resultType === "scalar" || data.resultType === "string")
    return alignedRows([[data.resultType], [data.result[1]]]);
  if (data.resultType === "vector") {
    const rows = data.result.map(({ metric, value }) => [nameOf(metric), value?.[1] ?? ""]);
    return alignedRows([["series", "value"], ...rows]);
  }
  const rows = data.result.flatMap(({ metric, values = [] }) =>
    values.map(([time, value]) => [nameOf(metric), new Date(time * SECOND_MS).toISOString(), value]),
  );
  return alignedRows([["series", "time", "value"], ...rows]);
}

async function printTable(answer: PromqlAnswerJson, output: string | undefined, io: Io): Promise<void> {
  for (const note of notesOf(answer)) await io.stderr.write(`weir promql: ${note}\n`);
  await writeTo(output, tableOf(answer), io);
}

/** A series written as a selector: `up{job="x"}`, `{job="x"}`, `{}`. */
export function nameOf(metric: Readonly<Record<string, string>>): string {
  const { __name__: name = "", ...labels } = metric;
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  if (name !== "" && !plain) pairs.unshift(JSON.stringify(name));
  if (pairs.length === 0 && plain) return name;
  return `${plain ? name : ""}{${pairs.join(", ")}}`;
}
