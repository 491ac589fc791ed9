/** `weir fleet`: asks several gateways one question at once, in PromQL or SQL, and prints their answers as one. */
import { formatDuration } from "../../model/duration.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { csv, csvField } from "../../query/formats/csv.ts";
import type { Format } from "../../query/formats/format.ts";
import { ndjson } from "../../query/formats/json.ts";
import { lines } from "../../query/formats/lines.ts";
import { table } from "../../query/formats/table.ts";
import type { QueryResult } from "../../query/sql/sql-engine.ts";
import { writeTo } from "../answer.ts";
import { countOf, oneOf, readArguments } from "../arguments.ts";
import { accepted, RequestRefused, type Send } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { nameOf, promqlRequest, timeOptions } from "../promql.ts";
import { readParameter } from "../sql.ts";
import {
  type FleetRows,
  type FleetSeries,
  failuresOf,
  joinRows,
  joinSeries,
  type PeerAnswer,
  type PromqlAnswerJson,
  reportsOf,
  type SqlAnswerJson,
} from "../../query/fleet/fleet-answers.ts";
import { askAll, type Peer, peerHelp, peerOptions, readPeers } from "./peers.ts";

const OPTIONS = {
  ...peerOptions,
  ...timeOptions,
  format: { type: "string", default: "table" },
  output: { type: "string", short: "o" },
  label: { type: "string", default: "gateway" },
  param: { type: "string", multiple: true },
  limit: { type: "string" },
} as const;

/** Some gateways answered, and others did not. */
const PARTIAL = 3;
const TIMEOUT_MS = 30_000;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

export const command: Command = {
  name: "fleet",
  summary: "asks several gateways one question in PromQL or SQL",
  usage: `Usage: weir fleet promql --peers LIST [OPTIONS] 'EXPR'
       weir fleet sql --peers LIST [OPTIONS] "SELECT …"
       weir fleet status --peers LIST [OPTIONS]

Asks all gateways of a fleet at once, and prints their answers as one. Each series has the label "gateway", and
each row the column "gateway". An aggregation is one of each gateway: a sum over all of them is the question to
the server that they forward to. "status" prints which gateways answer, their versions, and the samples that
they have not forwarded:

  weir fleet promql --peers berlin=http://10.0.0.1:9091,paris=http://10.0.0.2:9091 'sum(rate(jobs_total[5m]))'
  weir fleet sql --peers-file gateways.txt --format csv "SELECT count(*) AS n FROM http_request_duration_ms"
  weir fleet status --peers-file gateways.txt

A gateway without NAME is called by the values of its externalLabels, or else by its host. The variable
WEIR_TOKEN is the token for all gateways without a TOKEN-FILE.

${peerHelp}
  --format FORMAT    promql: table (default), json or csv. sql: also ndjson or lines. status: table or json
  --output FILE      write to this file, which appears when it is complete; default: standard output
  --label NAME       the label or the column that names the gateway; default: gateway
  --at, --start, --end, --step
                     promql: the times, as in weir promql
  --param NAME=TEXT, --limit N
                     sql: parameters, and the maximum number of rows of each gateway, as in weir sql

Each gateway that fails has a line on standard error with the reason. JSON has "peers" with the state of each.

The exit code is 0 if all gateways answered, 3 if some did, 1 if none did, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const [kind, ...rest] = positionals;
    const question = oneOf("The question", kind ?? "", ["promql", "sql", "status"]);
    if (!LABEL_NAME.test(values.label))
      throw new UsageError(`--label is ${JSON.stringify(values.label)}, expected a name such as gateway.`);
    const timeoutMs =
      values["timeout-ms"] === undefined ? TIMEOUT_MS : countOf("--timeout-ms", values["timeout-ms"]);
    const peers = () => readPeers(values, io, timeoutMs);
    if (question === "status") {
      if (rest.length > 0) throw new UsageError(`Unexpected argument ${JSON.stringify(rest[0])}.`);
      return await status(await peers(), timeoutMs, values, io);
    }
    const text = rest.join(" ");
    if (text.trim() === "")
      throw new UsageError(`Give a question, such as weir fleet ${EXAMPLES[question]}.`);
    if (question === "sql") return await sql(text, peers, timeoutMs, values, io);
    if (rest.length > 1)
      throw new UsageError(
        `Unexpected argument ${JSON.stringify(rest[1])} after the expression: quote the whole expression.`,
      );
    return await promql(text, peers, timeoutMs, values, io);
  },
};

const EXAMPLES = { promql: "promql 'up'", sql: 'sql "SELECT * FROM metrics"' } as const;

async function promql(
  expression: string,
  peers: () => Promise<readonly Peer[]>,
  timeoutMs: number,
  values: Values,
  io: Io,
): Promise<number> {
  const format = oneOf("--format", values.format, ["table", "json", "csv"]);
  const { path, parameters } = promqlRequest(values, Date.now());
  // The same time for all gateways.
  const times =
    path === "/api/v1/query" && parameters.length === 0
      ? [["time", (Date.now() / 1000).toFixed(3)]]
      : parameters;
  const answers = await askAll(await peers(), timeoutMs, async (send) => {
    const response = await send(path, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams([["query", expression], ...times] as [string, string][]).toString(),
    });
    return (await (await accepted(response)).json()) as PromqlAnswerJson;
  });
  const joined = joinSeries(answers, values.label, path !== "/api/v1/query");
  for (const note of [...(joined.warnings ?? []), ...(joined.infos ?? [])])
    await io.stderr.write(`weir fleet: ${note}\n`);
  const code = codeOfAnswers(answers);
  if (code === exitCode.failure && format !== "json") return code;
  if (format === "json") await writeTo(values.output, `${JSON.stringify(joined)}\n`, io);
  else await writeTo(values.output, seriesText(joined, values.label, format), io);
  return code;
}

/** The samples as lines: gateway, series, time of a range, value. */
function seriesText({ data }: FleetSeries, label: string, format: "table" | "csv"): string {
  const isRange = data.resultType === "matrix";
  const rows = data.result.flatMap(({ metric: { [label]: gateway = "", ...metric }, value, values = [] }) =>
    (value === undefined ? values : [value]).map(([time, each]) => [
      gateway,
      nameOf(metric),
      ...(isRange ? [new Date(time * 1000).toISOString()] : []),
      each,
    ]),
  );
  const head = [label, "series", ...(isRange ? ["time"] : []), "value"];
  if (format === "table") return alignedRows([head, ...rows]);
  return [head, ...rows].map((row) => `${row.map(csvField).join(",")}\n`).join("");
}

const ROW_FORMATS = { table, csv, ndjson, lines } as const satisfies Record<string, Format>;

async function sql(
  statement: string,
  peers: () => Promise<readonly Peer[]>,
  timeoutMs: number,
  values: Values,
  io: Io,
): Promise<number> {
  const format = oneOf("--format", values.format, ["table", "json", "csv", "ndjson", "lines"]);
  const body = {
    sql: statement,
    params: values.param && Object.fromEntries(values.param.map(readParameter)),
    limit: values.limit === undefined ? undefined : countOf("--limit", values.limit),
    timeoutMs,
  };
  const answers = await askAll(await peers(), timeoutMs, async (send) => {
    const response = await send("/api/v1/sql", {
      method: "POST",
      query: [["format", "json"]],
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await (await accepted(response)).json()) as SqlAnswerJson;
  });
  for (const failure of failuresOf(answers)) await io.stderr.write(`weir fleet: ${failure}\n`);
  const code = codeOfAnswers(answers);
  if (code === exitCode.failure && format !== "json") return code;
  const joined = joinRows(answers, values.label);
  if (joined.truncated && format !== "json")
    await io.stderr.write("weir fleet: a gateway left out rows for its limit (sqlRowsMax) or --limit.\n");
  if (format !== "json") await writeTo(values.output, encoded(ROW_FORMATS[format], joined), io);
  else {
    const { columns, rows, truncated } = joined;
    const objects = rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
    const answer = { columns, rows: objects, truncated, peers: reportsOf(answers) };
    await writeTo(values.output, `${JSON.stringify(answer)}\n`, io);
  }
  return code;
}

async function* encoded(
  format: Format,
  { columns, rows, truncated }: FleetRows,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = rows.length === 0 ? [] : [rows];
  const result: QueryResult = {
    columns,
    truncated,
    limitRows: rows.length,
    next: async () => chunks.shift() as Awaited<ReturnType<QueryResult["next"]>>,
    close: async () => {},
  } as QueryResult;
  const encoder = new TextEncoder();
  for await (const piece of format.encode(result))
    yield typeof piece === "string" ? encoder.encode(piece) : piece;
}

/** What a gateway says of itself. */
interface PeerStatus {
  readonly isReady: boolean;
  readonly version: string;
  readonly lagSamples?: number;
  readonly lagSeconds?: number;
  readonly forwardError?: string;
}

async function status(peers: readonly Peer[], timeoutMs: number, values: Values, io: Io): Promise<number> {
  const format = oneOf("--format", values.format, ["table", "json"]);
  const answers = await askAll(peers, timeoutMs, statusOf);
  if (format === "json") {
    const listed = answers.map(({ peer, ...each }) => ({
      ...{ gateway: peer.name, url: peer.url },
      ...(each.error === undefined
        ? { status: stateOf(each.answer), ...each.answer }
        : { status: "failed", error: each.error }),
    }));
    await writeTo(values.output, `${JSON.stringify(listed)}\n`, io);
  } else {
    const rows = answers.map(({ peer, ...each }) => {
      const head = [peer.name, peer.url];
      if (each.error !== undefined) return [...head, "failed", "-", "-", "-", each.error];
      const { version, lagSamples, lagSeconds = 0, forwardError = "-" } = each.answer;
      const lag = lagSamples === undefined ? "-" : String(lagSamples);
      const age = lagSamples ? formatDuration(Math.round(lagSeconds) * 1_000) : "-";
      return [...head, stateOf(each.answer), version, lag, age, forwardError];
    });
    const head = ["GATEWAY", "URL", "STATE", "VERSION", "LAG", "AGE", "ERROR"];
    await writeTo(values.output, alignedRows([head, ...rows]), io);
  }
  const ready = answers.filter(
    ({ error, ...each }) => error === undefined && "answer" in each && each.answer.isReady,
  );
  if (ready.length === answers.length) return exitCode.ok;
  return ready.length > 0 ? PARTIAL : exitCode.failure;
}

function stateOf({ isReady }: PeerStatus): string {
  return isReady ? "ready" : "not ready";
}

async function statusOf(send: Send): Promise<PeerStatus> {
  const [ready, build, forward] = await Promise.all([
    send("/-/ready"),
    send("/api/v1/status/buildinfo"),
    send("/api/v1/forward"),
  ]);
  await ready.body?.cancel();
  const { data } = (await (await accepted(build)).json()) as { data: { revision: string } };
  const own = { isReady: ready.ok, version: data.revision.replace(/^weir-/, "") };
  try {
    const { destinations } = (await (await accepted(forward)).json()) as {
      destinations: readonly {
        lag_samples: number;
        lag_seconds: number;
        failing: boolean;
        last_error: string | null;
      }[];
    };
    if (destinations.length === 0) return own;
    const failing = destinations.find((each) => each.failing);
    return {
      ...own,
      lagSamples: Math.max(...destinations.map((each) => each.lag_samples)),
      lagSeconds: Math.max(...destinations.map((each) => each.lag_seconds)),
      ...(failing?.last_error ? { forwardError: failing.last_error } : {}),
    };
  } catch (error) {
    // An older gateway, or a token that may not see destinations.
    if (error instanceof RequestRefused) return own;
    throw error;
  }
}

function codeOfAnswers(answers: readonly PeerAnswer<unknown>[]): number {
  const failed = answers.filter(({ error }) => error !== undefined).length;
  if (failed === 0) return exitCode.ok;
  return failed < answers.length ? PARTIAL : exitCode.failure;
}
