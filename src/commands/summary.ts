/** `weir summary`: lists the gateway's summaries, or runs one. */
import { alignedRows } from "../query/formats/aligned-text.ts";
import { checkDestination, FORMATS, formatHelp, writeTo } from "./answer.ts";
import { countOf, oneOf, readOpenArguments } from "./arguments.ts";
import { accepted, bytesOf, gatewayAt, type Send, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";

/** Options of the command itself. All others are parameters of the summary. */
const OPTIONS = {
  ...urlOptions,
  format: { type: "string" },
  output: { type: "string", short: "o" },
  limit: { type: "string" },
  "timeout-ms": { type: "string" },
} as const;

export const command: Command = {
  name: "summary",
  summary: "lists the gateway's summaries, or runs one",
  usage: `Usage: weir summary
       weir summary NAME [--PARAMETER VALUE …] [OPTIONS]

Without a name, lists the summaries of a running gateway with their questions, parameters and defaults. With
a name, runs the summary and prints the answer. The format "lines" is one line of text per row, in the
summary's own words, for scripts:

  weir summary duration_by_operation --from -6h
  weir summary task_timeline --task-id 1704067200_abc123 --from 2024-01-01
  weir summary error_rate --format lines

  --PARAMETER VALUE  a parameter of the summary, with dashes instead of underscores. A time is now, -24h,
                     2024-01-15, 2024-01-15T08:30:00Z (UTC if it has no zone), or milliseconds since 1970
  --limit N          the maximum number of rows; the gateway's own limit also applies
  --timeout-ms N     the time limit in milliseconds; the gateway's own limit also applies
${formatHelp}
${urlHelp}

The exit code is 0 if the answer was printed, 1 if the summary or the gateway failed, and 2 if the arguments
are invalid.`,
  run: (argv, io) => runSummary(argv, io, absentMetrics),
};

/**
 * Runs the command.
 *
 * @param notesOf returns sentences about metrics that the summary reads and that are not stored
 */
export async function runSummary(
  argv: readonly string[],
  io: Io,
  notesOf: (absent: readonly UnstoredMetric[], send: Send) => readonly string[] | Promise<readonly string[]>,
): Promise<number> {
  const { values, others, positionals } = readOpenArguments(argv, OPTIONS);
  const [name, surplus] = positionals;
  if (surplus !== undefined)
    throw new UsageError(`Unexpected argument ${JSON.stringify(surplus)} after the summary's name.`);
  const format = oneOf("--format", values.format ?? "table", FORMATS);
  const { output, limit, "timeout-ms": timeoutMs } = values;
  const send = gatewayAt(values.url, io, values.ca);
  if (name === undefined) {
    if (others.length > 0) throw new UsageError(`--${others[0][0]} is a parameter: give the summary's NAME.`);
    return await list(send, format, output, io);
  }
  checkDestination(format, output, io);
  const query: [string, string][] = [
    ["format", format],
    ...others.map(([option, value]): [string, string] => [option.replaceAll("-", "_"), value]),
  ];
  if (limit !== undefined) query.push(["limit", String(countOf("--limit", limit))]);
  if (timeoutMs !== undefined) query.push(["timeoutMs", String(countOf("--timeout-ms", timeoutMs))]);
  const response = await send(`/api/v1/summaries/${encodeURIComponent(name)}`, { query });
  await writeTo(output, bytesOf(await accepted(response)), io);
  const absent = absentIn(response);
  if (absent.length > 0)
    for (const note of await notesOf(absent, send)) await io.stderr.write(`weir summary: ${note}\n`);
  return exitCode.ok;
}

/** A metric that a summary reads and that was never pushed. */
export interface UnstoredMetric {
  readonly metric: string;
  /** The option that names it. */
  readonly flag: string;
  /** A metric with a similar name. */
  readonly near: string | undefined;
}

function absentIn(response: Response): UnstoredMetric[] {
  const header = response.headers.get("weir-absent-metrics") ?? "";
  return header.split(", ").flatMap((text) => {
    const [, metric, parameter, near] = /^([^;]+); parameter=([a-z0-9_]+)(?:; near=(.+))?$/.exec(text) ?? [];
    if (metric === undefined) return [];
    const flag = `--${parameter!.replaceAll("_", "-")}`;
    return [{ metric: decoded(metric), flag, near: near && decoded(near) }];
  });
}

/** A sentence for each metric: its part of the answer is empty. */
export function absentMetrics(absent: readonly UnstoredMetric[]): string[] {
  return absent.map(({ metric, flag, near }) =>
    near === undefined
      ? `No metric ${metric} is stored; use ${flag} for another metric.`
      : `No metric ${metric} is stored; did you mean ${flag} ${near}?`,
  );
}

const decoded = (text: string): string => JSON.stringify(decodeURIComponent(text)).slice(1, -1);

interface SummaryDescription {
  readonly name: string;
  readonly question: string;
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly default?: string }[];
}

/** Types of parameters that contain names of metrics and tags. Most users need none of them. */
const NAMES: readonly string[] = ["metric", "tag"];

const NAMES_NOTE =
  "The names of metrics and tags are parameters too (--tasks-metric, --http-status-tag …). --format json lists all.";

async function list(send: Send, format: string, output: string | undefined, io: Io): Promise<number> {
  if (format !== "table" && format !== "json") {
    throw new UsageError(`--format is ${JSON.stringify(format)}, expected table or json for the list.`);
  }
  const response = await accepted(await send("/api/v1/summaries"));
  if (format === "json") {
    await writeTo(output, bytesOf(response), io);
    return exitCode.ok;
  }
  const { summaries } = (await response.json()) as { summaries: readonly SummaryDescription[] };
  const rows = summaries.map(({ name, question, parameters }) => [
    name,
    question,
    parameters
      .filter(({ type, default: value }) => value === undefined || !NAMES.includes(type))
      .map(({ name: parameter, default: value = "…" }) => `${parameter}=${value}`)
      .join(" "),
  ]);
  const table = alignedRows([["summary", "question", "parameters"], ...rows]);
  await writeTo(output, `${table}\n${NAMES_NOTE}\n`, io);
  return exitCode.ok;
}
