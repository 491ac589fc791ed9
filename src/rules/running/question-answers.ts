/**
 * Answers the questions of rules: PromQL and SQL, with the limits that queries of users have. The answers are samples
 * of one instant.
 */
import type { PromqlAnswer } from "../../query/promql/promql-queries.ts";
import type { QueryResult } from "../../query/sql/sql-engine.ts";
import type { QuestionOutcome } from "../evaluation/group-evaluation.ts";
import { RuleFault } from "../evaluation/rule-evaluation.ts";
import type { QuerySample, RuleQuestion } from "../files/rule-group.ts";
import { readPromqlBatch, readPromqlText } from "./promql-text-answer.ts";

/** The queries that rules use. */
export interface RuleQueries {
  /** The text of an answer of Prometheus's API, in pieces. */
  promql(text: string, timeMs: number, terms: RuleQueryTerms): Promise<PromqlAnswer>;
  /** Several expressions at one time. The answer has a line of JSON for each: see BatchTask in src/query/promql. */
  promqlBatch(texts: readonly string[], timeMs: number, terms: RuleQueryTerms): Promise<PromqlAnswer>;
  /** Runs a statement in the sandbox. `$time` in it is the time. */
  sql(text: string, timeMs: number, terms: RuleQueryTerms): Promise<QueryResult>;
}

export interface RuleQueryTerms {
  /** The most series or rows. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  /** How long PromQL waits for other rules, before it runs beside them. */
  readonly patienceMs?: number;
  /** How far back PromQL looks. Absent: as for all queries. */
  readonly lookbackMs?: number;
}

interface AnswersOptions {
  readonly queries: RuleQueries;
  /** The most series of an answer. */
  readonly seriesMax: number;
}

/** When a question must be answered. */
export interface AnswerTime {
  /** Aborts when it is too late. */
  readonly signal: AbortSignal;
  /** How long the question may wait for those of other rules. */
  readonly patienceMs?: number;
}

/** Questions that were asked together were stopped before this one had its answer. */
export class Unanswered extends RuleFault {}

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export class QuestionAnswers {
  readonly #options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** @throws RuleFault, and the errors of queries */
  async answer(
    { language, text }: RuleQuestion,
    timeMs: number,
    time: AnswerTime,
  ): Promise<readonly QuerySample[]> {
    const samples = await this.#samples({ language, text }, timeMs, time).catch((error: unknown) => {
      // A query that was interrupted does not know why.
      throw time.signal.aborted ? time.signal.reason : error;
    });
    return this.#within(samples);
  }

  /**
   * Answers questions in PromQL, which are evaluated together and share what they read. Each has an answer or an error:
   * those that were answered before `signal` aborts have their answers.
   */
  async answerAll(
    questions: readonly RuleQuestion[],
    timeMs: number,
    { signal, patienceMs }: AnswerTime,
  ): Promise<readonly QuestionOutcome[]> {
    const { queries, seriesMax } = this.#options;
    const outcomes: QuestionOutcome[] = [];
    let failure: unknown = "the question was not answered";
    try {
      signal.throwIfAborted();
      const texts = questions.map(({ text }) => text);
      const answer = await queries.promqlBatch(texts, timeMs, { limit: seriesMax + 1, signal, patienceMs });
      for await (const { at, outcome } of readPromqlBatch(answer))
        outcomes[at] = outcome instanceof Error ? outcome : this.#outcomeWithin(outcome);
    } catch (error) {
      failure = signal.aborted ? signal.reason : error;
    }
    const missing = new Unanswered(failure instanceof Error ? failure.message : String(failure));
    return questions.map((_, at) => outcomes[at] ?? missing);
  }

  #within(samples: readonly QuerySample[]): readonly QuerySample[] {
    const { seriesMax } = this.#options;
    if (samples.length <= seriesMax) return samples;
    throw new RuleFault(`the answer has more than ${seriesMax} series (ruleSeriesMax)`);
  }

  #outcomeWithin(samples: readonly QuerySample[]): QuestionOutcome {
    try {
      return this.#within(samples);
    } catch (error) {
      return error as Error;
    }
  }

  async #samples(
    { language, text }: RuleQuestion,
    timeMs: number,
    time: AnswerTime,
  ): Promise<readonly QuerySample[]> {
    time.signal.throwIfAborted();
    return language === "sql"
      ? await this.#sql(text, timeMs, time.signal)
      : await this.#promql(text, timeMs, time);
  }

  async #promql(text: string, timeMs: number, time: AnswerTime): Promise<readonly QuerySample[]> {
    const { queries, seriesMax } = this.#options;
    // One more than the limit, to notice that there are more.
    return await readPromqlText(await queries.promql(text, timeMs, { limit: seriesMax + 1, ...time }));
  }

  /** A row is a sample: the column `value` is its value, and the others are its labels. */
  async #sql(text: string, timeMs: number, signal: AbortSignal): Promise<readonly QuerySample[]> {
    const { queries, seriesMax } = this.#options;
    const result = await queries.sql(text, timeMs, { limit: seriesMax + 1, signal });
    try {
      const names = result.columns.map(({ name }) => name);
      const valueAt = names.indexOf("value");
      if (valueAt < 0)
        throw new RuleFault(`the statement returns no column "value", but ${names.join(", ") || "nothing"}`);
      for (const name of names)
        if (!LABEL_NAME.test(name))
          throw new RuleFault(`the column ${JSON.stringify(name)} is not a label name`);
      const samples: QuerySample[] = [];
      for (;;) {
        const rows = await result.next();
        if (rows === undefined) return samples;
        for (const row of rows) {
          const value = numberOf(row[valueAt]);
          // NULL is no value: for example the average of no rows.
          if (value === undefined) continue;
          const labels: Record<string, string> = {};
          for (const [at, name] of names.entries()) if (at !== valueAt) labels[name] = labelOf(name, row[at]);
          samples.push({ labels, value });
        }
      }
    } finally {
      await result.close();
    }
  }
}

function numberOf(cell: unknown): number | undefined {
  if (cell === null) return undefined;
  if (typeof cell === "number") return cell;
  if (typeof cell === "boolean") return cell ? 1 : 0;
  // Integers that a number cannot hold, and decimals, are texts.
  const number = typeof cell === "string" && cell.trim() !== "" ? Number(cell) : Number.NaN;
  if (Number.isNaN(number) && cell !== "NaN")
    throw new RuleFault(`the column "value" has ${JSON.stringify(cell)?.slice(0, 120)}, expected a number`);
  return number;
}

function labelOf(name: string, cell: unknown): string {
  if (cell === null) return "";
  if (typeof cell === "object")
    throw new RuleFault(`the column "${name}" has lists or structs, expected texts`);
  return String(cell);
}
