/**
 * The summaries: the statements of sql/summaries. They are read once at start and run by name, with parameters.
 *
 * The statements are our own, so the sandbox does not inspect them. Otherwise they are queries like any other:
 * read-only, with the same limits. Values are bound. Each table that a summary names becomes a temporary view of the
 * metric that a parameter names, with every column that the header declares. A metric that was never pushed is an empty
 * table, and a tag that was never pushed is NULL.
 *
 * For a caller whose token has labels, the views contain only its series. No statement here may have an expression that
 * fails for some value of a tag (TRY_CAST, not CAST): the planner may evaluate it for rows of others, whose value would be
 * in the error.
 */
import { readdirSync, readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { BadInput, Forbidden, NotFound, quote } from "../../model/errors.ts";
import { findingNearest } from "../../model/nearest.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import { parseTime } from "../../model/time.ts";
import { programPath } from "../../program/program-files.ts";
import type { Day, Parameter, Store } from "../../store/store.ts";
import type { ArchivedStatement } from "../sql/archived-parts.ts";
import type { QueryOptions, QueryResult, SqlEngine } from "../sql/sql-engine.ts";
import type { Tables } from "../sql/tables.ts";
import { emptyView, metricViews, type OwnIds, samplesViews, withColumns } from "../sql/views.ts";
import { MalformedSummary, parseSummary, type Summary, type SummaryParameter } from "./summary-file.ts";

/** Values of the gateway that a summary may bind. */
export interface Facts {
  /** Bytes of the database file, and how many of them are free inside it. */
  readonly file_bytes: number;
  readonly free_bytes: number;
  /** Bytes of the write-ahead log. */
  readonly log_bytes: number;
  /** Bytes that are free on the file's disk. */
  readonly disk_free_bytes: number;
  readonly stored_samples: number;
  /** `2026-11-26=1200` for each stored UTC day and its samples, with commas between them. */
  readonly stored_days: string;
}

/** A summary as it is listed. */
export type SummaryDescription = Pick<Summary, "name" | "question" | "description" | "parameters">;

const FACTS: readonly (keyof Facts)[] = [
  "file_bytes",
  "free_bytes",
  "log_bytes",
  "disk_free_bytes",
  "stored_samples",
  "stored_days",
];

const FOLDER = programPath("sql/summaries");

const NAMES_IDS = /"series id"/;

/** The maximum length of a stored tag. */
const TEXT_LENGTH_MAX = 4_096;

/** Reads the files of a folder. Throws at the first malformed file. */
export function loadSummaries(folder = FOLDER): Summary[] {
  return readdirSync(folder)
    .filter((file) => /^[a-z][a-z0-9_]*\.sql$/.test(file))
    .sort()
    .map((file) => {
      const summary = parseSummary(file.slice(0, -4), readFileSync(join(folder, file), "utf8"));
      const unknown = summary.given.find((name) => !FACTS.some((fact) => fact === name));
      if (unknown !== undefined)
        throw new MalformedSummary(
          summary.name,
          `the gateway has no value ${quote(unknown)}, expected one of ${FACTS.join(", ")}`,
        );
      return summary;
    });
}

/** The facts of a store whose file is in `folder`. */
export async function storeFacts(store: Pick<Store, "size" | "days">, folder: string): Promise<Facts> {
  const [size, disk] = await Promise.all([store.size(), statfs(folder)]);
  return {
    file_bytes: size.fileBytes,
    free_bytes: size.freeBytes,
    log_bytes: size.logBytes,
    disk_free_bytes: disk.bavail * disk.bsize,
    stored_samples: store.days().reduce((sum, { rows }) => sum + rows, 0),
    stored_days: store
      .days()
      .map(({ day, rows }) => `${new Date(day * 86_400_000).toISOString().slice(0, 10)}=${rows}`)
      .join(","),
  };
}

interface SummariesOptions {
  readonly engine: Pick<
    SqlEngine,
    "run" | "catalog" | "own" | "noteAsked" | "archiveReady" | "withArchive" | "localOnly"
  >;
  readonly facts: () => Promise<Facts>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly summaries?: readonly Summary[];
}

/** Options of one run: those of any query, except the parameters. */
export interface RunOptions extends Omit<QueryOptions, "parameters"> {
  /** Whether the answer is one line of text per row, if the summary defines the line. */
  readonly asLines?: boolean;
}

/** A metric that a summary reads and that was never pushed. */
export interface AbsentMetric {
  readonly metric: string;
  /** The parameter that names it. */
  readonly parameter: string;
  /** A stored metric with a similar name. */
  readonly near?: string;
}

/** The answer of a summary. */
export interface SummaryResult {
  readonly result: QueryResult;
  /** Metrics that do not exist: their part of the answer is empty for that reason, and not because nothing happened. */
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
   * Runs a summary with the parameters of a query string.
   *
   * @throws NotFound for an unknown summary, BadInput for a parameter that is unknown, missing or malformed, and the
   * errors of `SqlEngine.run`
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
    const { labels } = options;
    if (labels !== undefined && summary.given.length > 0)
      throw new Forbidden(
        `The token has labels, and ${name} describes the whole store, so it is not available for such a token.`,
      );
    const values = readParameters(summary, parameters, (this.#options.now ?? Date.now)());
    const facts: Partial<Facts> = summary.given.length === 0 ? {} : await this.#options.facts();
    const bound = Object.fromEntries(
      summary.bound.map((each) => [each, values.get(each) ?? facts[each as keyof Facts] ?? null]),
    );
    let absent: readonly AbsentMetric[] = [];
    const result = await this.#options.engine.run(
      async (reader, days, stop) => {
        const { engine } = this.#options;
        const own = await engine.own(labels);
        await engine.archiveReady(stop);
        const catalog = engine.catalog(days, own);
        absent = await absentMetrics(summary, values, catalog);
        engine.noteAsked(
          summary.tables.flatMap(({ metric }) =>
            metric === undefined ? [] : (catalog.tableOf(String(values.get(metric))) ?? []),
          ),
          catalog,
        );
        const sql = asLines ? linesOf(summary) : summary.sql;
        const views = (archived?: ArchivedStatement) =>
          viewsOf(summary, values, catalog, days, { own, archived });
        // What describes this store has nothing of an archive.
        if (summary.given.length > 0) return { views: views(), sql };
        // Archived rows have no ids of series.
        if (!NAMES_IDS.test(sql))
          return await engine.withArchive(
            reader,
            days,
            { sql, parameters: bound, labels, own, viewsOf: views },
            stop,
          );
        return { views: views(), sql, warnings: engine.localOnly(`${name} has`) };
      },
      { ...options, parameters: bound, asked: `summary ${name}` },
    );
    return { result, absent };
  }
}

async function absentMetrics(
  summary: Summary,
  values: ReadonlyMap<string, Parameter>,
  catalog: Tables,
): Promise<AbsentMetric[]> {
  const absent: AbsentMetric[] = [];
  for (const { metric: parameter } of summary.tables) {
    if (parameter === undefined) continue;
    const metric = String(values.get(parameter));
    if (catalog.tableOf(metric) !== undefined) continue;
    const near = await inSlices(findingNearest(metric, catalog.metrics()));
    absent.push({ metric, parameter, near });
  }
  return absent;
}

function viewsOf(
  summary: Summary,
  values: ReadonlyMap<string, Parameter>,
  catalog: Tables,
  days: readonly Day[],
  { own, archived }: { readonly own: OwnIds | undefined; readonly archived?: ArchivedStatement },
): string[] {
  return summary.tables.flatMap(({ name, metric, columns }) => {
    const options = { name, seriesIds: true, own, archived };
    const tags = columns.map((column) => ({
      name: column.name,
      tag: column.tag === undefined ? column.name : String(values.get(column.tag)),
    }));
    if (metric === undefined) return samplesViews(withColumns(catalog.samples(), tags), days, options);
    const table = catalog.tableOf(String(values.get(metric)));
    return table === undefined
      ? emptyView(
          name,
          columns.map((column) => column.name),
        )
      : metricViews(withColumns(catalog.metricTable(table)!, tags), days, options);
  });
}

/** A statement whose only column is the summary's line of text, one per row, in the order of the rows. */
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
