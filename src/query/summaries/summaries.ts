/**
 * The summaries: the statements of sql/summaries, read once at start, each asked by its name with parameters.
 *
 * They are ours and pass by the sandbox; in all else they are queries like any other: read-only, with the same
 * limits. Values are bound. A summary names its own tables, and each becomes a temporary view of the metric
 * that a parameter names, with every column that the header declares: what nobody has pushed is empty or NULL.
 */
import { readdirSync, readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { BadInput, NotFound, quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import type { Day, Parameter, Store } from "../../store/store.ts";
import type { QueryOptions, QueryResult, SqlEngine } from "../sql/sql.ts";
import type { Tables } from "../sql/tables.ts";
import { emptyView, metricView, samplesView, withColumns } from "../sql/views.ts";
import { parseSummary, type Summary, type SummaryParameter } from "./summary-file.ts";
import { parseTime } from "./times.ts";

/** What the gateway knows and a summary may bind. */
export interface Facts {
  /** Bytes of the database file, and of those the free ones inside it. */
  readonly file_bytes: number;
  readonly free_bytes: number;
  /** Bytes of the write-ahead log. */
  readonly log_bytes: number;
  /** Bytes that are free on the file's disk. */
  readonly disk_free_bytes: number;
  readonly stored_samples: number;
}

/** A summary as it is listed. */
export type SummaryDescription = Pick<Summary, "name" | "question" | "description" | "parameters">;

const FACTS: readonly (keyof Facts)[] = [
  "file_bytes",
  "free_bytes",
  "log_bytes",
  "disk_free_bytes",
  "stored_samples",
];

const FOLDER = join(import.meta.dir, "..", "..", "..", "sql", "summaries");

/** As long as a stored tag may be. */
const TEXT_LENGTH_MAX = 4_096;

/** Reads the files of a folder; throws at the first that is not well-formed. */
export function loadSummaries(folder = FOLDER): Summary[] {
  return readdirSync(folder)
    .filter((file) => /^[a-z][a-z0-9_]*\.sql$/.test(file))
    .sort()
    .map((file) => {
      const summary = parseSummary(file.slice(0, -4), readFileSync(join(folder, file), "utf8"));
      const unknown = summary.given.find((name) => !FACTS.some((fact) => fact === name));
      if (unknown !== undefined) throw new Error(`${file}: the gateway does not give ${unknown}`);
      return summary;
    });
}

/** The facts of a store whose file lies in `folder`. */
export async function storeFacts(store: Pick<Store, "size" | "days">, folder: string): Promise<Facts> {
  const [size, disk] = await Promise.all([store.size(), statfs(folder)]);
  return {
    file_bytes: size.fileBytes,
    free_bytes: size.freeBytes,
    log_bytes: size.logBytes,
    disk_free_bytes: disk.bavail * disk.bsize,
    stored_samples: store.days().reduce((sum, { rows }) => sum + rows, 0),
  };
}

export interface SummariesOptions {
  readonly engine: Pick<SqlEngine, "run" | "catalog">;
  readonly facts: () => Promise<Facts>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly summaries?: readonly Summary[];
}

/** How a summary is run: as any query, but for its parameters, which are its own. */
export interface RunOptions extends Omit<QueryOptions, "parameters"> {
  /** One line of text for each row, where the summary says how it is written. */
  readonly asLines?: boolean;
}

/** A metric that a summary reads, and that nobody has pushed. */
export interface AbsentMetric {
  readonly metric: string;
  /** The parameter that names it. */
  readonly parameter: string;
  /** A stored metric of nearly the same name. */
  readonly near?: string;
}

/** The answer of a summary. */
export interface SummaryResult {
  readonly result: QueryResult;
  /** Their part of the answer is empty because there is no such metric, not because nothing happened. */
  readonly absent: readonly AbsentMetric[];
}

export class Summaries {
  readonly #options: SummariesOptions;
  readonly #summaries: ReadonlyMap<string, Summary>;

  constructor(options: SummariesOptions) {
    this.#options = options;
    this.#summaries = new Map(
      (options.summaries ?? loadSummaries()).map((summary) => [summary.name, summary]),
    );
  }

  list(): SummaryDescription[] {
    return [...this.#summaries.values()].map(({ name, question, description, parameters }) => ({
      name,
      question,
      description,
      parameters,
    }));
  }

  /**
   * Runs a summary with parameters as they stand in a query string.
   *
   * @throws NotFound for a name that is none, BadInput for a parameter that is unknown, missing or malformed;
   * and what `SqlEngine.run` throws
   */
  async run(
    name: string,
    parameters: ReadonlyMap<string, string>,
    { asLines = false, ...options }: RunOptions = {},
  ): Promise<SummaryResult> {
    const summary = this.#summaries.get(name);
    if (summary === undefined)
      throw new NotFound(
        `There is no summary ${quote(name)}; there are ${[...this.#summaries.keys()].join(", ")}.`,
      );
    const values = readParameters(summary, parameters, (this.#options.now ?? Date.now)());
    const facts: Partial<Facts> = summary.given.length === 0 ? {} : await this.#options.facts();
    const bound = Object.fromEntries(
      summary.bound.map((each) => [each, values.get(each) ?? facts[each as keyof Facts] ?? null]),
    );
    let absent: readonly AbsentMetric[] = [];
    const result = await this.#options.engine.run(
      async (_, days) => {
        const catalog = this.#options.engine.catalog(days);
        absent = absentMetrics(summary, values, catalog);
        return {
          views: viewsOf(summary, values, catalog, days),
          sql: asLines ? linesOf(summary) : summary.sql,
        };
      },
      { ...options, parameters: bound },
    );
    return { result, absent };
  }
}

function absentMetrics(
  summary: Summary,
  values: ReadonlyMap<string, Parameter>,
  catalog: Tables,
): AbsentMetric[] {
  return summary.tables.flatMap(({ metric: parameter }) => {
    if (parameter === undefined) return [];
    const metric = String(values.get(parameter));
    if (catalog.tableOf(metric) !== undefined) return [];
    const stored = catalog.all().flatMap((table) => table.metrics ?? table.metric ?? []);
    return [{ metric, parameter, near: nearest(metric, stored) }];
  });
}

function viewsOf(
  summary: Summary,
  values: ReadonlyMap<string, Parameter>,
  catalog: Tables,
  days: readonly Day[],
): string[] {
  return summary.tables.map(({ name, metric, columns }) => {
    const options = { name, seriesIds: true };
    const tags = columns.map((column) => ({
      name: column.name,
      tag: column.tag === undefined ? column.name : String(values.get(column.tag)),
    }));
    if (metric === undefined) return samplesView(withColumns(catalog.samples(), tags), days, options);
    const table = catalog.tableOf(String(values.get(metric)));
    return table === undefined
      ? emptyView(
          name,
          columns.map((column) => column.name),
        )
      : metricView(withColumns(catalog.metricTable(table)!, tags), days, options);
  });
}

/** The statement whose only column is the summary's line of text of each row, in the rows' order. */
function linesOf({ sql, line }: Summary): string {
  if (line === undefined) return sql;
  return `SELECT line FROM (SELECT ${line} AS line FROM (${sql.replace(/;\s*$/, "")})) WHERE line IS NOT NULL`;
}

function readParameters(
  summary: Summary,
  given: ReadonlyMap<string, string>,
  nowMs: number,
): ReadonlyMap<string, Parameter> {
  for (const name of given.keys()) {
    if (!summary.parameters.some((parameter) => parameter.name === name)) {
      const known = summary.parameters.map((parameter) => parameter.name).join(", ");
      throw new BadInput(
        `${summary.name} has no parameter ${quote(name)}; it takes ${known || "none"}.`,
        name,
      );
    }
  }
  const values = new Map(
    summary.parameters.map((parameter) => [
      parameter.name,
      readParameter(parameter, given.get(parameter.name), nowMs),
    ]),
  );
  const from = values.get("from");
  const to = values.get("to");
  if (from instanceof Date && to instanceof Date && from >= to)
    throw new BadInput(
      `from is ${from.toISOString()}; expected a time before to, ${to.toISOString()}.`,
      "from",
    );
  return values;
}

function readParameter(parameter: SummaryParameter, given: string | undefined, nowMs: number): Parameter {
  const { name, type, meaning } = parameter;
  const text = given ?? parameter.default;
  if (text === undefined || text === "") throw new BadInput(`${name} is missing: ${meaning}.`, name);
  if (text.length > TEXT_LENGTH_MAX)
    throw new BadInput(`${name} has ${text.length} characters; ${TEXT_LENGTH_MAX} are allowed.`, name);
  switch (type) {
    case "time":
      return new Date(parseTime(text, nowMs, name));
    case "number": {
      const number = Number(text);
      if (text.trim() === "" || !Number.isFinite(number))
        throw new BadInput(`${name} is ${quote(text)}; expected a number: ${meaning}.`, name);
      return number;
    }
    case "text":
    case "metric":
    case "tag":
      return text;
  }
}
