/**
 * The PromQL engine: text in, a result out. An instant query is a range query with one step. The engine depends
 * neither on HTTP nor on DuckDB: samples come from a `Storage`.
 */
import { ParseError } from "./query-errors.ts";
import { Annotations } from "./evaluate/annotations.ts";
import { Budget, type Limits } from "./evaluate/budget.ts";
import { Evaluator } from "./evaluate/evaluator.ts";
import { type Grid, timeAt } from "./evaluate/grid.ts";
import type { Matrix, SampledSeries } from "./evaluate/matrix.ts";
import type { RangeVector } from "./evaluate/selectors.ts";
import { compareLabels, LabelSet } from "./labels.ts";
import { type Expr, withoutParens } from "./parse/ast.ts";
import { failIn, TYPE_NAMES, typeOf } from "./parse/check-types.ts";
import { parse } from "./parse/parse.ts";
import { type Plan, planQuery } from "./plan.ts";
import type { Storage } from "./storage.ts";

/** The step of subqueries without one. Upstream uses its evaluation interval, which is a minute by default. */
const SUBQUERY_STEP_MS = 60_000;

/** Every limit and look-back is a setting, which has the default. */
export interface EngineOptions extends Limits {
  /** How far back an instant selector looks for a series' latest sample. */
  readonly lookbackMs: number;
  /** The step of subqueries without one: a minute if it is absent. */
  readonly subqueryStepMs?: number;
}

/** One series of a result. */
export type ResultSeries = SampledSeries;

export type ResultData =
  | { readonly type: "scalar"; readonly timestampMs: number; readonly value: number }
  | { readonly type: "string"; readonly timestampMs: number; readonly text: string }
  /** Each series has one sample. */
  | { readonly type: "vector"; readonly series: readonly ResultSeries[] }
  | { readonly type: "matrix"; readonly series: readonly ResultSeries[] };

export interface PromqlResult {
  readonly data: ResultData;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
  readonly plan: Plan;
  readonly stats: QueryStats;
}

interface QueryStats {
  readonly samplesRead: number;
  readonly bytesPeak: number;
  readonly parseMs: number;
  readonly evaluationMs: number;
}

/** The engine's options that a single query can change. */
export interface PromqlQueryOptions {
  readonly signal?: AbortSignal;
  readonly lookbackMs?: number;
  readonly promqlTimeoutMs?: number;
}

export class Engine {
  readonly #storage: Storage;
  readonly #options: EngineOptions;
  readonly #parse: (text: string) => Expr;

  /** @param parseText parses a query; it may remember trees */
  constructor(storage: Storage, options: EngineOptions, parseText: (text: string) => Expr = parse) {
    this.#storage = storage;
    this.#options = options;
    this.#parse = parseText;
  }

  /** Evaluates a query at one time. */
  async instant(text: string, timeMs: number, options: PromqlQueryOptions = {}): Promise<PromqlResult> {
    const grid = { startMs: timeMs, stepMs: 1, count: 1 };
    return this.#run(text, grid, options, async (plan, evaluator) => {
      const type = typeOf(plan.expr);
      if (type === "matrix") {
        const range = await evaluator.range(plan.expr, grid, false);
        return { type: "matrix", series: await rangeResult(range, evaluator.context.budget) };
      }
      const value = await evaluator.evaluate(plan.expr, grid);
      switch (value.type) {
        case "string":
          return { type: "string", timestampMs: timeMs, text: value.text };
        case "scalar":
          return { type: "scalar", timestampMs: timeMs, value: value.values[0] };
        case "vector":
          return { type: "vector", series: resultSeries(value.matrix, grid) };
      }
    });
  }

  /** Evaluates a query at `startMs`, and every `stepMs` up to `endMs`. */
  async range(
    text: string,
    startMs: number,
    endMs: number,
    stepMs: number,
    options: PromqlQueryOptions = {},
  ): Promise<PromqlResult> {
    const grid = { startMs, stepMs, count: Math.floor((endMs - startMs) / stepMs) + 1 };
    return this.#run(
      text,
      grid,
      options,
      async (plan, evaluator) => {
        const value = await evaluator.evaluate(plan.expr, grid);
        if (value.type === "vector") {
          return { type: "matrix", series: resultSeries(value.matrix.sorted(), grid) };
        }
        const values = value.type === "scalar" ? value.values : new Float64Array(0);
        return { type: "matrix", series: [scalarSeries(values, grid)] };
      },
      endMs,
    );
  }

  /**
   * The range of time that the selectors of a query read.
   *
   * @param range the times of a range query. Undefined for an instant query
   */
  reach(
    text: string,
    startMs: number,
    range: { readonly endMs: number; readonly stepMs: number } | undefined,
    options: PromqlQueryOptions = {},
  ): { readonly afterMs: number; readonly toMs: number } | undefined {
    const settings = { ...this.#options, ...definedOnly(options) };
    const times = { startMs, endMs: range?.endMs ?? startMs, stepMs: range?.stepMs ?? 0 };
    const { afterMs, reads } = planQuery(this.#parse(text), { ...settings, ...times }, failIn(text));
    return reads.length === 0 ? undefined : { afterMs, toMs: Math.max(...reads.map(({ toMs }) => toMs)) };
  }

  async #run(
    text: string,
    grid: Grid,
    options: PromqlQueryOptions,
    evaluate: (plan: Plan, evaluator: Evaluator) => Promise<ResultData>,
    endMs?: number,
  ): Promise<PromqlResult> {
    const settings = { ...this.#options, ...definedOnly(options) };
    const startedMs = performance.now();
    const parsed = this.#parse(text);
    if (endMs !== undefined) checkRangeType(parsed);
    const plan = planQuery(
      parsed,
      {
        ...settings,
        startMs: grid.startMs,
        endMs: endMs ?? grid.startMs,
        stepMs: endMs === undefined ? 0 : grid.stepMs,
      },
      failIn(text),
    );
    const parseMs = performance.now() - startedMs;
    const budget = new Budget(settings, options.signal);
    budget.check();
    const annotations = new Annotations(text);
    const evaluator = new Evaluator(plan, {
      ...settings,
      storage: this.#storage,
      budget,
      annotations,
      subqueryStepMs: this.#options.subqueryStepMs ?? SUBQUERY_STEP_MS,
      totalsAfterMs: plan.afterMs,
    });
    const data = await evaluate(plan, evaluator).catch((error: unknown) => {
      throw budget.reasonFor(error);
    });
    const { samplesRead, bytesPeak } = budget;
    return {
      data,
      warnings: annotations.warnings,
      infos: annotations.infos,
      plan,
      stats: { samplesRead, bytesPeak, parseMs, evaluationMs: budget.elapsedMs },
    };
  }
}

function definedOnly(options: PromqlQueryOptions): Partial<PromqlQueryOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function checkRangeType(expr: Expr): void {
  const type = typeOf(withoutParens(expr));
  if (type === "scalar" || type === "vector") return;
  throw new ParseError(
    `invalid expression type ${JSON.stringify(TYPE_NAMES[type])} for range query, must be Scalar or instant Vector`,
    "query",
  );
}

function resultSeries(matrix: Matrix, grid: Grid): ResultSeries[] {
  const rows = new ResultRows(matrix, grid);
  const series: ResultSeries[] = [];
  for (let row = 0; row < matrix.rows; row++) if (matrix.hasSamples(row)) series.push(rows.at(row));
  return series;
}

/**
 * The rows of a matrix as series of a result. The samples of a row are made when they are read: those of all rows would
 * take twice the memory of the matrix.
 */
class ResultRows {
  readonly #matrix: Matrix;
  readonly #grid: Grid;
  #last: { readonly row: number; readonly samples: SampledSeries } | undefined;

  constructor(matrix: Matrix, grid: Grid) {
    this.#matrix = matrix;
    this.#grid = grid;
  }

  at(row: number): ResultSeries {
    const samples = () => this.#samples(row);
    return {
      labels: this.#matrix.labels[row],
      get timestampsMs() {
        return samples().timestampsMs;
      },
      get values() {
        return samples().values;
      },
    };
  }

  #samples(row: number): SampledSeries {
    if (this.#last?.row !== row) this.#last = { row, samples: this.#matrix.samplesOf(row, this.#grid) };
    return this.#last.samples;
  }
}

function scalarSeries(values: Float64Array, grid: Grid): ResultSeries {
  const timestampsMs = values.map((_, step) => timeAt(grid, step));
  return { labels: LabelSet.EMPTY, timestampsMs, values };
}

/** A time and a value. */
const BYTES_PER_SAMPLE = 16;

/** Returns the samples of a range vector that is the result itself. */
async function rangeResult(
  { series, lookMs, rangeMs }: RangeVector,
  budget: Budget,
): Promise<ResultSeries[]> {
  const result: ResultSeries[] = [];
  for await (const batch of series) {
    for (const { labels, timestampsMs, values } of batch) {
      const within = (_: number, at: number) =>
        timestampsMs[at] > lookMs[0] - rangeMs && timestampsMs[at] <= lookMs[0];
      const times = timestampsMs.filter(within);
      if (times.length === 0) continue;
      budget.allocate(times.length * BYTES_PER_SAMPLE);
      result.push({ labels, timestampsMs: times, values: values.filter(within) });
    }
  }
  return result.sort((a, b) => compareLabels(a.labels, b.labels));
}
