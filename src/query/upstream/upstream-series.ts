/**
 * Reads the samples of a selector from the upstream in a Worker: a day first, then as many days at once as their size allows,
 * within the limits of the query, and for a limited time. The labels that this gateway adds when it forwards are taken off again.
 */
import { DAY_MS } from "../../model/duration.ts";
import type { LabelSet } from "../promql/labels.ts";
import type { Matcher } from "../promql/matchers.ts";
import type { ReadBudget, SeriesSamples } from "../promql/storage.ts";
import { type AnsweredSeries, decodeSamples } from "./sample-answers.ts";
import type { UpstreamAnswer, UpstreamAsked, UpstreamRules } from "./upstream-messages.ts";

/** Asks the thread that has the credentials. */
export type AskSamples = (asked: UpstreamAsked) => Promise<UpstreamAnswer>;

export interface SeriesAsked {
  readonly matchers: readonly Matcher[];
  /** Samples after this time … */
  readonly afterMs: number;
  /** … up to and including this one. */
  readonly toMs: number;
  /** See Selection. */
  readonly totalsAfterMs: number;
  /** Only series that have the labels of this gateway, without them. */
  readonly isOwn: boolean;
}

/** A request is for at most this many times the days of the one before it. */
const GROWTH = 8;
/** The bytes of an answer that the days of a request are chosen for. The most is four times as much. */
const BYTES_WANTED = 16 * 1_048_576;

export class UpstreamSeries {
  readonly #ask: AskSamples;
  readonly #rules: UpstreamRules;
  readonly #deadlineMs: number;
  #failure: string | undefined;

  /** For one query. */
  constructor(ask: AskSamples, rules: UpstreamRules) {
    this.#ask = ask;
    this.#rules = rules;
    this.#deadlineMs = performance.now() + rules.waitMs;
  }

  /** Why samples of the upstream are missing in the result. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * The samples by the key of their labels. Empty if any part of them cannot be read: then `failure` says why, and the
   * upstream is not asked again by this query.
   *
   * @throws LimitReached if there are too many
   */
  async read(asked: SeriesAsked, budget: ReadBudget): Promise<Map<string, SeriesSamples>> {
    if (this.#failure !== undefined) return new Map();
    const matchers = this.#matchers(asked);
    const answers: (readonly AnsweredSeries[])[] = [];
    const lastMs = Math.floor(asked.toMs);
    let days = 1;
    for (let startMs = Math.floor(asked.afterMs) + 1; startMs <= lastMs; ) {
      const endMs = Math.min(lastMs, (Math.floor(startMs / DAY_MS) + days) * DAY_MS - 1);
      const span = { matchers, startMs, endMs, totalsFromMs: Math.floor(asked.totalsAfterMs) + 1 };
      const answer = await this.#inTime(this.#ask(span));
      if ("failure" in answer) {
        // Perhaps there is too much in these days.
        if (answer.isRefusal && endMs - startMs >= DAY_MS) {
          days = 1;
          continue;
        }
        this.#failure = answer.failure;
        return new Map();
      }
      const series = this.#decoded(answer, span);
      if (series === undefined) return new Map();
      budget.countSamples(series.reduce((sum, { values }) => sum + values.length, 0));
      answers.push(series);
      startMs = endMs + 1;
      const bytesPerDay = Math.max(1, answer.body.length) / days;
      days = Math.max(1, Math.min(days * GROWTH, Math.floor(BYTES_WANTED / bytesPerDay)));
    }
    return joinSpans(answers, (labels) => this.#stripped(labels, asked.matchers));
  }

  #decoded(
    { protocol, body }: Extract<UpstreamAnswer, { body: unknown }>,
    span: UpstreamAsked,
  ): readonly AnsweredSeries[] | undefined {
    try {
      return decodeSamples(protocol, body).map((each) => within(each, span));
    } catch (error) {
      const why = String((error as Error).message ?? error).slice(0, 200);
      this.#failure = `the upstream ${this.#rules.name} sent an answer that cannot be read: ${why}`;
      return undefined;
    }
  }

  /** The answer, or a failure when the query has waited for long enough. The request goes on without it. */
  async #inTime(answer: Promise<UpstreamAnswer>): Promise<UpstreamAnswer> {
    const late = Promise.withResolvers<UpstreamAnswer>();
    const { name, waitMs } = this.#rules;
    const timer = setTimeout(
      () =>
        late.resolve({
          failure: `the upstream ${name} did not answer within ${waitMs} ms, half of the time of the query`,
        }),
      Math.max(0, this.#deadlineMs - performance.now()),
    );
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The matchers of a request. Those of the gateway's labels are added, unless the selector has such a label itself. */
  #matchers({ matchers, isOwn }: SeriesAsked): UpstreamAsked["matchers"] {
    const own = isOwn ? this.#rules.externalLabels.filter(([name]) => !mentions(matchers, name)) : [];
    return [
      ...matchers.map(({ name, operator, value }) => ({ name, operator, value })),
      ...own.map(([name, value]) => ({ name, operator: "=" as const, value })),
    ];
  }

  /** Labels without those of this gateway, if all of them are there. A label that the selector mentions stays. */
  #stripped(labels: LabelSet, matchers: readonly Matcher[]): LabelSet {
    return strippedLabels(labels, this.#rules.externalLabels, (name) => mentions(matchers, name));
  }
}

/** Labels without those that this gateway adds, if all of them are there. Those that `isKept` names stay. */
export function strippedLabels(
  labels: LabelSet,
  external: readonly (readonly [name: string, value: string])[],
  isKept: (name: string) => boolean,
): LabelSet {
  if (external.length === 0 || external.some(([name, value]) => labels.get(name) !== value)) return labels;
  return labels.drop(new Set(external.map(([name]) => name).filter((name) => !isKept(name))));
}

export function mentions(matchers: readonly { readonly name: string }[], label: string): boolean {
  return matchers.some(({ name }) => name === label);
}

/** Some servers answer with samples at the edges of what was asked for. */
function within(series: AnsweredSeries, { startMs, endMs }: UpstreamAsked): AnsweredSeries {
  const { timestampsMs, values, staleAt, labels } = series;
  const from = firstAt(timestampsMs, startMs);
  const to = firstAt(timestampsMs, endMs + 1);
  if (from === 0 && to === timestampsMs.length) return series;
  return {
    labels,
    timestampsMs: timestampsMs.slice(from, to),
    values: values.slice(from, to),
    staleAt: staleAt.filter((at) => at >= from && at < to).map((at) => at - from),
  };
}

/** The first position whose time is not before `timeMs`. */
export function firstAt(timestampsMs: ArrayLike<number>, timeMs: number): number {
  let [from, to] = [0, timestampsMs.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (timestampsMs[middle] < timeMs) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The parts of each series as one, in the order of the spans. */
function joinSpans(
  answers: readonly (readonly AnsweredSeries[])[],
  labelsOf: (labels: LabelSet) => LabelSet,
): Map<string, SeriesSamples> {
  /** The series of the server, by the labels that they have here. */
  const byKey = new Map<
    string,
    { readonly labels: LabelSet; readonly own: string; readonly parts: AnsweredSeries[] }
  >();
  for (const series of answers.flat()) {
    const labels = labelsOf(series.labels);
    const found = byKey.getOrInsertComputed(labels.key, () => ({
      labels,
      own: series.labels.key,
      parts: [],
    }));
    if (found.own === series.labels.key) found.parts.push(series);
    // A series of somebody else that has the labels of one of ours without the gateway's: ours is meant.
    else if (series.labels !== labels)
      byKey.set(labels.key, { labels, own: series.labels.key, parts: [series] });
  }
  const joined = new Map<string, SeriesSamples>();
  for (const [key, { labels, parts }] of byKey) {
    const count = parts.reduce((sum, { values }) => sum + values.length, 0);
    if (count === 0) continue;
    const [timestampsMs, values] = [new Float64Array(count), new Float64Array(count)];
    let stale: Uint8Array | undefined;
    let at = 0;
    for (const part of parts) {
      timestampsMs.set(part.timestampsMs, at);
      values.set(part.values, at);
      for (const each of part.staleAt) {
        stale ??= new Uint8Array(count);
        stale[at + each] = 1;
      }
      at += part.values.length;
    }
    joined.set(key, { labels, timestampsMs, values, stale });
  }
  return joined;
}
