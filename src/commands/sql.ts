/** `weir sql`: runs a SQL statement on a running gateway and prints the rows. */
import { InexactNumber, parseExactJson } from "../wire/json/exact-number.ts";
import { checkDestination, FORMATS, type OutputFormat, formatHelp, writeTo } from "./answer.ts";
import { countOf, oneOf, readArguments } from "./arguments.ts";
import { withoutPassword } from "../config/scrape-jobs.ts";
import { accepted, bytesOf, DEFAULT_URL, gatewayAt, urlHelp, urlOptions } from "./client.ts";
import { type Command, exitCode, type Io, UsageError } from "./command.ts";
import type { OfflineStore } from "./shell/offline-store.ts";

const OPTIONS = {
  ...urlOptions,
  data: { type: "string" },
  format: { type: "string", default: "table" },
  output: { type: "string", short: "o" },
  param: { type: "string", multiple: true },
  limit: { type: "string" },
  "timeout-ms": { type: "string" },
} as const;

/** The gateway accepts far less. This limit prevents that a wrong file on stdin fills the memory. */
const STATEMENT_BYTES_MAX = 1_048_576;

export const command: Command = {
  name: "sql",
  summary: "runs a SQL statement and prints the rows",
  usage: `Usage: weir sql [OPTIONS]
       weir sql [OPTIONS] "SELECT …"
       weir sql [OPTIONS] < FILE
       weir sql .tables [PATTERN]
       weir sql .schema [PATTERN]
       weir sql .functions [PATTERN]

Runs one read-only statement of DuckDB's SQL on a running gateway. Each metric is a table, named as in
Prometheus, with ts, value and one column per tag. ".tables" lists the tables with their number of rows and
the time of the last row, pushed metrics first. ".tables http*" lists some of them. ".schema" lists their
columns with types, and ".functions" the functions that a statement may call, with their limits:

  weir sql "SELECT operation, avg(value) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL"

Without a statement, on a terminal, it reads statements with a history and completion. ".help" lists its
commands.

  --data DIR         ask the store of this folder, which no gateway has open. It is copied, and not changed
  --param NAME=TEXT  binds $NAME to a text, --param NAME:=JSON to a number, true, false or null; repeatable
  --limit N          the maximum number of rows; the gateway's own limit (sqlRowsMax) also applies, and a note
                     on standard error says when rows may be absent because of it
  --timeout-ms N     the time limit in milliseconds; the gateway's own limit also applies
${formatHelp}
${urlHelp}

The exit code is 0 if the rows were printed, 1 if the statement or the gateway failed, and 2 if the arguments
are invalid.`,
  async run(argv, io) {
    const { values, positionals } = readArguments(argv, OPTIONS, true);
    const format = oneOf("--format", values.format, FORMATS);
    checkDestination(format, values.output, io);
    if (values.data !== undefined && values.url !== undefined)
      throw new UsageError("--data is a folder and --url a gateway: give only one of them.");
    await using offline = values.data === undefined ? undefined : await offlineStore(values.data);
    const send = offline?.send ?? gatewayAt(values.url, io, values.ca);
    if (positionals.length === 0 && io.terminal !== undefined) {
      const { runShell } = await import("./shell/sql-shell.ts");
      const where = values.data ?? values.url ?? (io.env.WEIR_URL || DEFAULT_URL);
      // Rejects a gateway that cannot be reached, before anything is typed.
      await accepted(await send("/api/v1/tables", { query: [["format", "json"]] }));
      await runShell(io.terminal, send, `Asking ${withoutPassword(where)}`, io);
      return exitCode.ok;
    }
    const statement = positionals.length > 0 ? positionals.join(" ") : await readStatement(io);
    const listing = /^\s*\.(tables|functions)(?:\s+(\S+))?\s*$/.exec(statement);
    if (listing !== null) {
      const [, what, pattern] = listing;
      const match = pattern === undefined ? [] : [["match", pattern] as const];
      const path = what === "tables" ? "/api/v1/tables" : "/api/v1/sql/functions";
      const response = await send(path, { query: [["format", format], ...match] });
      await writeTo(values.output, bytesOf(await accepted(response)), io);
      return exitCode.ok;
    }
    const schema = /^\s*\.schema(?:\s+(\S+))?\s*$/.exec(statement);
    if (schema !== null) {
      if (format !== "table")
        throw new UsageError(".schema prints text only; .tables lists the columns in other formats, too.");
      const { schemaText } = await import("./shell/table-schema.ts");
      await writeTo(values.output, await schemaText(schema[1] ?? "", send), io);
      return exitCode.ok;
    }
    const dotted = /^\s*(\.[a-z]+)/i.exec(statement)?.[1];
    if (dotted === ".tables" || dotted === ".functions" || dotted === ".schema")
      throw new UsageError(
        `${JSON.stringify(statement.trim())} has more than one pattern; expected ${dotted} [PATTERN].`,
      );
    if (dotted !== undefined)
      throw new UsageError(
        `There is no command ${JSON.stringify(dotted)}; there are .tables, .schema and .functions.`,
      );

    const body = {
      sql: statement,
      params: values.param && Object.fromEntries(values.param.map(readParameter)),
      limit: values.limit === undefined ? undefined : countOf("--limit", values.limit),
      timeoutMs:
        values["timeout-ms"] === undefined ? undefined : countOf("--timeout-ms", values["timeout-ms"]),
    };
    const response = await send("/api/v1/sql", {
      method: "POST",
      query: [["format", format]],
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const counter = new RowCounter(format);
    await writeTo(values.output, counter.of(bytesOf(await accepted(response))), io);
    const note = omitted(response.headers, counter.rows, body.limit);
    if (note !== undefined) await io.stderr.write(`weir sql: ${note}\n`);
    return exitCode.ok;
  },
};

/** Most statements ask a gateway, and do not load the modules of one. */
async function offlineStore(data: string): Promise<OfflineStore> {
  const { openOffline } = await import("./shell/offline-store.ts");
  return await openOffline(data);
}

/** Counts the rows of an answer as it passes. CSV, NDJSON and lines end without a word on rows that were left out. */
class RowCounter {
  readonly #format: OutputFormat;
  /** The rows so far, or undefined where the answer itself says whether it is whole. */
  rows: number | undefined;

  constructor(format: OutputFormat) {
    this.#format = format;
    if (format === "csv") this.rows = -1;
    if (format === "ndjson" || format === "lines") this.rows = 0;
  }

  async *of(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    let isQuoted = false;
    for await (const piece of pieces) {
      if (this.rows !== undefined)
        for (const byte of piece) {
          if (byte === QUOTE && this.#format === "csv") isQuoted = !isQuoted;
          else if (byte === LINE_FEED && !isQuoted) this.rows++;
        }
      yield piece;
    }
  }
}

const QUOTE = 0x22;
const LINE_FEED = 0x0a;

/**
 * What to say of rows that the gateway left out for its own limit, or undefined.
 *
 * @param limit what the user set
 */
function omitted(headers: Headers, rows: number | undefined, limit: number | undefined): string | undefined {
  const most = Number(headers.get("weir-row-limit") ?? Number.NaN);
  if (limit !== undefined && limit <= most) return undefined;
  const advice = 'Ask for less at once, such as a shorter range of ts, or use "weir export".';
  if (rows === most)
    return `${rows} rows are printed, the most that the gateway answers with; there may be more. ${advice}`;
  const isParquet = headers.get("content-type")?.includes("parquet") === true;
  return isParquet && headers.has("weir-truncated")
    ? `Rows are absent: the gateway answers with ${most} at most. ${advice}`
    : undefined;
}

async function readStatement(io: Io): Promise<string> {
  if (io.stdinIsTerminal) throw new UsageError('Give a statement, such as weir sql "SELECT * FROM metrics".');
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of io.stdin()) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > STATEMENT_BYTES_MAX) {
      throw new UsageError(
        `Standard input is longer than ${STATEMENT_BYTES_MAX} bytes, expected a statement.`,
      );
    }
  }
  text += decoder.decode();
  if (text.trim() === "") throw new UsageError("Standard input is empty, expected a statement.");
  return text;
}

/** `name=text` or `name:=json`. */
export function readParameter(given: string): [string, unknown] {
  const match = /^([A-Za-z_][A-Za-z0-9_]*|[0-9]+)(:?=)([\s\S]*)$/.exec(given);
  if (match === null) {
    throw new UsageError(`--param is ${JSON.stringify(given)}, expected NAME=TEXT or NAME:=JSON.`);
  }
  const [, name, sign, text] = match;
  if (sign === "=") return [name, text];
  let value: unknown;
  try {
    value = parseExactJson(text);
  } catch {
    value = undefined;
  }
  const isNumber = value instanceof InexactNumber;
  if (value === undefined || (typeof value === "object" && value !== null && !isNumber)) {
    throw new UsageError(
      `--param is ${JSON.stringify(given)}, expected a number, a text, true, false or null after ":=".`,
    );
  }
  return [name, value];
}
