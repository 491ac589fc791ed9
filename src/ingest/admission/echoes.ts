/**
 * Echoes: samples that a Prometheus scraped from /metrics here and writes back by remote_write. They repeat what is
 * stored already, under other labels, and would count twice.
 *
 * What a scrape adds to a sample is learned, not guessed. /metrics begins with `weir_exposition_info{id="…"}`, whose
 * id is random and unique to this process. When a sample of it comes back, its other labels are those that this
 * Prometheus adds (`job`, `instance`, external labels). Nothing else can send this id. From then on a sample is an
 * echo if
 *
 * 1. it has the name of a sample on /metrics, and without the added labels it has exactly the labels of that
 *    sample's series;
 * 2. that series is stored here, and /metrics may have exposed it at the sample's time
 *    (src/exposition/totals/totals.ts);
 * 3. that series was not itself received by remote_write with the same labels: then the sample belongs to the
 *    series.
 *
 * Everything else is stored: the same name with other labels, Prometheus's own metrics about its scrapes (`up`), and
 * series that relabelling changed beyond recognition. The gateway's own metrics are echoes if the gateway stores
 * them itself.
 *
 * The decision is made once per head, and again each minute. Samples are examined only if one of their heads is an
 * echo.
 */

import { LAST_PUSH } from "../../exposition/totals/last-pushes.ts";
import { DAY_MS } from "../../model/duration.ts";
import { prometheusLabelName, totalName } from "../../model/names.ts";
import type { Batch, Labels, Series, SeriesHead } from "../../model/sample.ts";
import { openMetricsFloat, withUsualEdges } from "../../model/spelling.ts";
import { labelsKey, withExtra } from "../../series/naming.ts";
import type { RegisteredMetric } from "../../series/registered-metric.ts";
import type { HeadNote } from "./head-notes.ts";
import { pickSamples } from "./row-columns.ts";
import { labelsBeforeScrape } from "./scraped-labels.ts";

interface EchoesOptions {
  /** The first sample of /metrics: the name of its metric, and the value of its only label `id`. */
  readonly info: { readonly name: string; readonly id: string };
  readonly registry: {
    /** Changes when series ended or were forgotten. */
    readonly epoch: number;
    metricsShownAs(name: string): Iterable<RegisteredMetric>;
    isAttribute(metric: string, tag: string): boolean;
  };
  readonly totals: {
    mayHaveShown(seriesId: number, atUs: number): boolean;
    hasPushed(job: string, instance: string): boolean;
  };
  /** Whether a receiver owns a series, as Pushgateway's groups do. */
  readonly isOwned: (seriesId: number) => boolean;
  /** Whether a sample of this name is one of the gateway's own, and the gateway stores it itself. */
  readonly isOwn: (name: string) => boolean;
  /** Whether series received by remote_write are exposed on /metrics. */
  readonly isProtocolExposed: boolean;
  /** Called once for each set of labels that a scraper adds. */
  readonly onLearned: (added: Labels) => void;
  readonly now: () => number;
}

/** A batch without its echoes, and how many were dropped. */
interface WithoutEchoes {
  readonly batch: Batch;
  readonly sampleCount: number;
  readonly exemplarCount: number;
}

/** Series ids are above 0. */
const NO_ECHO = 0;
/** An echo at any time: the gateway's own metrics, and series that a demotion ended. */
const ANY_TIME = -1;

/** The decision about a head. */
export interface EchoDecision {
  readonly version: number;
  readonly epoch: number;
  readonly extra: Labels | undefined;
  /**
   * The decision is made again at this time: the series that the head repeats may have appeared since, or
   * disappeared.
   */
  readonly untilMs: number;
  /** The series that the head repeats, NO_ECHO or ANY_TIME. */
  readonly seriesId: number;
}

const DECIDED_FOR_MS = 60_000;
/** Heads that are decided without a pause: some 50 µs. */
const HEADS_AT_ONCE = 32;
/** Long enough: a sender keeps unsent samples for two hours. */
const SEEN_WITHIN_MS = DAY_MS;
/** Distinct sets of labels that scrapers add, old ones included: far more than any installation has. */
const SCRAPERS_MAX = 32;
/** Spellings of a series' labels that are tried. */
const SPELLINGS_MAX = 16;
const NO_LABELS: Labels = new Map();

export class Echoes {
  readonly #options: EchoesOptions;
  /** By the key of the labels that a scraper adds, in the order in which they were learned. */
  readonly #scrapers = new Map<string, { readonly added: Labels; seenMs: number }>();
  #forgetAtMs = 0;
  /** Changes with the scrapers. */
  #version = 0;
  #isStored = true;
  /** The decision that was made last. */
  #last: EchoDecision | undefined;

  /** @param scrapers the labels that were learned and stored before */
  constructor(options: EchoesOptions, scrapers: readonly Labels[] = []) {
    this.#options = options;
    const seenMs = options.now();
    for (const added of scrapers) this.#scrapers.set(labelsKey(added), { added, seenMs });
  }

  /** False if `takeUnstored` has something to return. */
  get isStored(): boolean {
    return this.#isStored;
  }

  /**
   * The labels that each scraper adds, to be stored, if they changed since the last call. Call `restore` if they
   * could not be stored.
   */
  takeUnstored(): readonly Labels[] | undefined {
    if (this.#isStored) return undefined;
    this.#isStored = true;
    return Array.from(this.#scrapers.values(), ({ added }) => added);
  }

  restore(): void {
    this.#isStored = false;
  }

  /**
   * Drops the echoes of a batch that was received by remote_write. Undefined if it has none.
   *
   * @param notes those of the heads. Decisions are kept there
   */
  drop(batch: Batch, extra: Labels | undefined, notes: readonly HeadNote[]): WithoutEchoes | undefined {
    const { heads } = batch;
    const nowMs = this.#options.now();
    if (nowMs >= this.#forgetAtMs) this.#forgetUnseen(nowMs);
    let repeated: Int32Array | undefined;
    // A scraper that is learned from one head changes the decisions about the heads before it.
    for (let version = -1; version !== this.#version; ) {
      version = this.#version;
      repeated = undefined;
      for (let index = 0; index < heads.length; index++) {
        const { seriesId } = this.#decided(heads[index]!, extra, notes[index]!, nowMs);
        if (seriesId === NO_ECHO) continue;
        repeated ??= new Int32Array(heads.length);
        repeated[index] = seriesId;
      }
    }
    return repeated === undefined ? undefined : this.#without(batch, repeated);
  }

  /** Makes the decisions about the heads of a large batch in advance, so that `drop` finds them. A task in slices. */
  *prepare({ heads }: Batch, extra: Labels | undefined, notes: readonly HeadNote[]): Generator<void, void> {
    const nowMs = this.#options.now();
    for (let index = 0; index < heads.length; index++) {
      this.#decided(heads[index]!, extra, notes[index]!, nowMs);
      if (index % HEADS_AT_ONCE === 0) yield;
    }
  }

  #decided(head: SeriesHead, extra: Labels | undefined, note: HeadNote, nowMs: number): EchoDecision {
    const known = note.echo;
    const isKnown =
      known !== undefined &&
      known.version === this.#version &&
      known.epoch === this.#options.registry.epoch &&
      known.untilMs > nowMs &&
      known.extra === extra;
    if (isKnown) return known;
    note.echo = this.#shared(this.#decide(head, extra, nowMs));
    return note.echo;
  }

  /** An equal decision that was made before, if it was the last one: of 300,000 heads of a body, most are no echoes. */
  #shared(decided: EchoDecision): EchoDecision {
    const last = this.#last;
    const isEqual =
      last?.seriesId === decided.seriesId &&
      last.version === decided.version &&
      last.epoch === decided.epoch &&
      last.untilMs === decided.untilMs &&
      last.extra === decided.extra;
    if (isEqual) return last;
    this.#last = decided;
    return decided;
  }

  /** @param repeated by head: the series that it repeats, ANY_TIME or NO_ECHO */
  #without(batch: Batch, repeated: Int32Array): WithoutEchoes | undefined {
    const { totals } = this.#options;
    const { head, timestampUs } = batch;
    const kept: number[] = [];
    for (let index = 0; index < batch.length; index++) {
      const seriesId = repeated[head[index]!]!;
      const isEcho =
        seriesId !== NO_ECHO && (seriesId === ANY_TIME || totals.mayHaveShown(seriesId, timestampUs[index]!));
      if (!isEcho) kept.push(index);
    }
    const sampleCount = batch.length - kept.length;
    const exemplars = batch.exemplars?.filter((exemplar) => repeated[exemplar.head] === NO_ECHO);
    const exemplarCount = (batch.exemplars?.length ?? 0) - (exemplars?.length ?? 0);
    if (sampleCount === 0 && exemplarCount === 0) return undefined;
    return { batch: pickSamples({ ...batch, exemplars }, kept), sampleCount, exemplarCount };
  }

  #decide(head: SeriesHead, extra: Labels | undefined, nowMs: number): EchoDecision {
    let seriesId = NO_ECHO;
    if (this.#mayBeShown(head.metric)) {
      const labels = withExtra(head.labels, extra ?? NO_LABELS);
      const isLearned = head.metric === this.#options.info.name && this.#learn(labels, nowMs);
      seriesId = isLearned ? ANY_TIME : this.#repeatedBy(head.metric, labels);
      // A sender may spell a bound differently from /metrics.
      const usual = withUsualEdges(labels);
      if (seriesId === NO_ECHO && usual !== labels) seriesId = this.#repeatedBy(head.metric, usual);
    }
    const untilMs = this.#scrapers.size === 0 ? Number.POSITIVE_INFINITY : nowMs + DECIDED_FOR_MS;
    return { version: this.#version, epoch: this.#options.registry.epoch, extra, untilMs, seriesId };
  }

  /**
   * Whether /metrics has anything of this name. For most written samples it has not, and their labels are not
   * compared.
   */
  #mayBeShown(name: string): boolean {
    const { info, isOwn, registry } = this.#options;
    if (name === info.name) return true;
    if (this.#scrapers.size === 0) return false;
    for (const metric of registry.metricsShownAs(name)) if (metric.isExposed) return true;
    return isOwn(name);
  }

  /**
   * Learns the labels that a scraper adds, from the first sample of /metrics. False if that sample is another
   * gateway's.
   */
  #learn(labels: Labels, nowMs: number): boolean {
    if (labels.get("id") !== this.#options.info.id) return false;
    const added = new Map([...labels].filter(([name]) => name !== "id"));
    // Every Prometheus adds both. A scraper that added nothing would make every exposed sample an echo.
    if (!added.has("job") || !added.has("instance")) return false;
    const key = labelsKey(added);
    const known = this.#scrapers.get(key);
    if (known !== undefined) {
      known.seenMs = nowMs;
      return true;
    }
    if (this.#scrapers.size >= SCRAPERS_MAX) {
      const [first] = this.#scrapers.keys();
      this.#scrapers.delete(first!);
    }
    this.#scrapers.set(key, { added, seenMs: nowMs });
    this.#change();
    this.#options.onLearned(added);
    return true;
  }

  /** Forgets scrapers that have stopped scraping. Their target may be another gateway by now. */
  #forgetUnseen(nowMs: number): void {
    this.#forgetAtMs = nowMs + DECIDED_FOR_MS;
    for (const [key, { seenMs }] of this.#scrapers) {
      if (seenMs > nowMs - SEEN_WITHIN_MS) continue;
      this.#scrapers.delete(key);
      this.#change();
    }
  }

  #change(): void {
    this.#version++;
    this.#isStored = false;
  }

  #repeatedBy(name: string, labels: Labels): number {
    const { info, isOwn } = this.#options;
    for (const { added } of this.#scrapers.values()) {
      if (name === info.name || (name !== LAST_PUSH && isOwn(name))) {
        if (hasAll(labels, added)) return ANY_TIME;
        continue;
      }
      for (const before of labelsBeforeScrape(labels, added)) {
        const seriesId =
          name === LAST_PUSH ? this.#lastPushShown(before, labels) : this.#seriesShown(name, before, labels);
        if (seriesId !== NO_ECHO) return seriesId;
      }
    }
    return NO_ECHO;
  }

  /**
   * LAST_PUSH is the only one of the gateway's own metrics whose samples have the job and instance of others. With the
   * same labels the sample belongs to the series that the gateway stores itself, so nothing counts twice.
   */
  #lastPushShown(labels: Labels, sent: Labels): number {
    const { isOwn, totals } = this.#options;
    const [job = "", instance = ""] = [labels.get("job"), labels.get("instance")];
    const names = (job === "" ? 0 : 1) + (instance === "" ? 0 : 1);
    const isShown = isOwn(LAST_PUSH) && labels.size === names && totals.hasPushed(job, instance);
    return isShown && labelsKey(labels) !== labelsKey(sent) ? ANY_TIME : NO_ECHO;
  }

  /** The series that a sample on /metrics belongs to, by its name and labels there. */
  #seriesShown(name: string, labels: Labels, sent: Labels): number {
    for (const metric of this.#options.registry.metricsShownAs(name)) {
      const shown = labelsOfSeries(metric, name, labels);
      if (shown === undefined) continue;
      const series = findSeries(metric, shown);
      if (series === undefined) {
        if (this.#isEnded(metric, shown)) return ANY_TIME;
      } else if (series.exposed && !this.#mayBeOwn(series, sent)) return series.seriesId;
    }
    return NO_ECHO;
  }

  /**
   * Whether a demotion ended the series, whose samples may be sent for a while longer. No other sender can store
   * these names.
   */
  #isEnded(metric: RegisteredMetric, labels: Labels): boolean {
    if (isLevel(metric)) return false;
    for (const name of labels.keys()) if (this.#options.registry.isAttribute(metric.name, name)) return true;
    return false;
  }

  /** Whether a series may have been received by remote_write with exactly these labels. */
  #mayBeOwn(series: Series, sent: Labels): boolean {
    const { isProtocolExposed, isOwned } = this.#options;
    return isProtocolExposed && !isOwned(series.seriesId) && hasLabels(series, sent);
  }
}

function isLevel({ kind }: RegisteredMetric): boolean {
  return kind === "gauge" || kind === "cumulative";
}

function hasAll(labels: Labels, others: Labels): boolean {
  for (const [name, value] of others) if (labels.get(name) !== value) return false;
  return true;
}

/** Whether a series has these labels, in any spelling of its bound. */
function hasLabels(series: Series, labels: Labels): boolean {
  return labelsKey(withUsualEdges(series.labels)) === labelsKey(withUsualEdges(labels));
}

/** The labels of the series that a sample named `name` belongs to. Undefined if the metric exposes no such sample. */
function labelsOfSeries(metric: RegisteredMetric, name: string, labels: Labels): Labels | undefined {
  const { prometheusName, kind, buckets } = metric;
  if (isLevel(metric)) return labels;
  if (kind === "delta") {
    if (name === totalName(metric)) return labels;
    const part = name.slice(prometheusName.replace(/_total$/, "").length);
    return part === "_created" ? labels : undefined;
  }
  const part = name.slice(prometheusName.length);
  const edge = labels.get("le");
  if (part !== "_bucket") return part === "" || edge !== undefined ? undefined : labels;
  if (edge !== "+Inf" && !buckets.some((bound) => openMetricsFloat(bound) === edge)) return undefined;
  return new Map([...labels].filter(([label]) => label !== "le"));
}

/** The series of a metric with these labels, whose names are spelled as in Prometheus. */
function findSeries(metric: RegisteredMetric, labels: Labels): Series | undefined {
  const key = labelsKey(labels);
  // A Prometheus 3 spells the bounds that it scrapes as OpenMetrics floats, however /metrics spells them.
  const found = metric.current.get(key) ?? metric.shownWithBound(key);
  if (found !== undefined) return found;
  // Several stored names may have the same spelling in Prometheus, and each may be the one of the series. There is
  // hardly ever more than one.
  let choices: (readonly (readonly [string, string])[])[] = [[]];
  let isSpelledOtherwise = false;
  const names = [...metric.labelNames()];
  for (const [name, value] of labels) {
    const stored = names.filter((each) => prometheusLabelName(each) === name);
    if (stored.length === 0) return undefined;
    if (stored.length > 1 || stored[0] !== name) isSpelledOtherwise = true;
    choices = choices.flatMap((pairs) => stored.map((each) => [...pairs, [each, value] as const]));
    if (choices.length > SPELLINGS_MAX) return undefined;
  }
  if (!isSpelledOtherwise) return undefined;
  for (const pairs of choices) {
    const series = metric.current.get(labelsKey(new Map([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)))));
    if (series !== undefined) return series;
  }
  return undefined;
}
