/**
 * The registry mirrors every metric and series of the store in memory, and decides to which series a head belongs.
 *
 * What was stored is restored when the registry is first used: see `firstUse`.
 *
 * It assigns ids, and never uses one again for another series. New metrics and series wait in `pending` until a
 * commit takes them. A commit that fails puts them back for the next. `epoch` changes whenever decisions about heads
 * that others keep become wrong: a label was demoted, or series were forgotten.
 */
import { compactMap } from "../model/memory/compact-map.ts";
import { FirstUse } from "../model/memory/first-use.ts";
import { quote } from "../model/errors.ts";
import { PLAIN_TERMS, type SenderTerms } from "../model/protocol.ts";
import type { Kind, Labels, Series, SeriesHead } from "../model/sample.ts";
import { withUsualEdges } from "../model/spelling.ts";
import type { Ended, Stored } from "../store/store.ts";
import type { Admission, Admitted, Refused } from "./admitted.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { Families } from "./metric-families.ts";
import {
  checkLabels,
  checkMetricName,
  isMergeable,
  labelsKey,
  type NameLimits,
  withExtra,
} from "./naming.ts";
import { nothingPending, type Pending, putBack } from "./pending.ts";
import { RegisteredMetric, TYPE_OF_KIND } from "./registered-metric.ts";
import { SeriesDays } from "./series-days.ts";
import { SeriesById } from "./series-tables.ts";

interface RegistryOptions extends GuardOptions, NameLimits {
  /** Metrics that are kept. Samples of a further metric are rejected until an old one has no rows left. */
  readonly metricsMax: number;
  /** Series that are kept. Samples of a further series are rejected until an old one has no rows left. */
  readonly seriesStoredMax: number;
  /** Distinct tag names per metric. */
  readonly tagNamesMax: number;
  /** Tags of observations and deltas that are always attributes. */
  readonly attributes: readonly string[];
  /** Upper bounds for a new metric's histogram. */
  readonly bucketsFor: (metric: string, unit: string) => readonly number[];
}

/** What admission knows of the protocol of a head (src/model/protocol.ts). */
interface AdmitOptions {
  readonly exposed: boolean;
  readonly keepsBoundText: boolean;
  readonly terms: SenderTerms;
}

const AS_PUSHED: AdmitOptions = { exposed: true, keepsBoundText: false, terms: PLAIN_TERMS };
const NO_LABELS: Labels = new Map();
const NOTHING_LOOKED = { labels: NO_LABELS, key: "", passed: false };

/** The result for an accepted head: its series if there is one, and the key of its labels for a new one. */
interface Found {
  readonly seriesId: number | undefined;
  readonly key: string;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #attributes: ReadonlySet<string>;
  readonly #guard: Guard;
  /** Everything that is stored. Use it by the accessors with these names, so that it is restored. */
  readonly #restored = {
    metrics: new Map<string, RegisteredMetric>(),
    series: new SeriesById(),
    families: new Families(),
    days: new SeriesDays(),
  };
  /** What is new since the last commit. */
  #pending = nothingPending();
  #nextId: number;
  #epoch = 0;
  #changes = 0;
  /** Series that a demotion ended. Few, as a rule. */
  readonly #ended = new Set<Series>();
  /** Those since the last `takeEnded`. */
  #endedSince: number[] = [];
  /** The labels that were checked last. Many metrics of a push share one object of labels. */
  #looked = { ...NOTHING_LOOKED };
  /** Restores what was stored. Others restore what they know of it with the same first use, so that all of it is there or nothing. */
  readonly firstUse = new FirstUse();
  readonly #storedSeries: number;

  constructor(options: RegistryOptions, stored: Stored) {
    this.#options = options;
    this.#nextId = stored.nextSeriesId;
    this.#storedSeries = stored.series.length;
    this.#attributes = new Set(options.attributes);
    this.#guard = new Guard(options, stored.demotions, (metric) =>
      this.#metrics.get(metric)?.current.values(),
    );
    const { metrics, series, seriesDays } = stored;
    this.firstUse.before(() => this.#restore({ metrics, series, seriesDays }));
  }

  #restore({ metrics, series, seriesDays }: Pick<Stored, "metrics" | "series" | "seriesDays">): void {
    for (const record of metrics.read())
      this.#addMetric(new RegisteredMetric({ ...record, kind: record.kind as Kind }));
    // Metrics of one sender have the same labels. They are kept once.
    const shared = new Map<string, Labels>();
    const keys = new Map<Labels, string>();
    for (const { seriesId, metric, labels, exposed } of series.read()) {
      const entry = this.#metrics.get(metric);
      if (entry === undefined) continue;
      let key = keys.get(labels);
      if (key === undefined) {
        key = labelsKey(labels);
        keys.set(labels, key);
      }
      const own = shared.getOrInsertComputed(key, () => compactMap(labels));
      this.#addSeries({ seriesId, metric: entry, labels: own, exposed }, key);
    }
    const { days } = this.#restored;
    for (const { seriesId, day } of seriesDays.read()) days.touch(seriesId, day);
  }

  get #metrics(): Map<string, RegisteredMetric> {
    this.firstUse.begin();
    return this.#restored.metrics;
  }

  get #series(): SeriesById {
    this.firstUse.begin();
    return this.#restored.series;
  }

  get #families(): Families {
    this.firstUse.begin();
    return this.#restored.families;
  }

  get #days(): SeriesDays {
    this.firstUse.begin();
    return this.#restored.days;
  }

  /** Greater than the ids of all series that there are, or were. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Changes when earlier decisions about heads are out of date. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Changes when a look-up of series by their labels and days may have another result. */
  get changes(): number {
    return this.#changes;
  }

  get seriesCount(): number {
    return this.firstUse.isOver ? this.#restored.series.size : this.#storedSeries;
  }

  metrics(): Iterable<RegisteredMetric> {
    return this.#metrics.values();
  }

  metric(name: string): RegisteredMetric | undefined {
    return this.#metrics.get(name);
  }

  /** The metrics whose samples may have the name `name` in Prometheus's view, as `X` for `X_bucket`. */
  metricsShownAs(name: string): Iterable<RegisteredMetric> {
    return this.#families.metricsOf(name);
  }

  series(): Iterable<Series> {
    return this.#series.values();
  }

  seriesById(seriesId: number): Series | undefined {
    return this.#series.get(seriesId);
  }

  /** Whether a tag of a metric's observations or deltas is an attribute and not a label. */
  isAttribute(metric: string, tag: string): boolean {
    return this.#attributes.has(tag) || this.#guard.isDemoted(metric, tag);
  }

  /** All tags that are attributes of a metric's observations and deltas. */
  attributesOf(metric: string): readonly string[] {
    return [...new Set([...this.#options.attributes, ...this.#guard.demotedOf(metric)])];
  }

  /** What decides which tags are attributes, as data. */
  attributeRules(): { names: readonly string[]; demoted: [metric: string, labels: string[]][] } {
    return { names: this.#options.attributes, demoted: this.#guard.demotions() };
  }

  /** The metrics of which a label was demoted. */
  metricsWithout(label: string): readonly string[] {
    return this.#guard.metricsWithout(label);
  }

  /** Whether the series may have samples in the days from `firstDay` to `lastDay`. */
  hasSamplesIn(seriesId: number, firstDay: number, lastDay: number): boolean {
    return this.#days.hasIn(seriesId, firstDay, lastDay);
  }

  /** Whether a demotion ended the series: its rows remain, and it gets no new ones. */
  isEnded(series: Series): boolean {
    return this.#ended.has(series);
  }

  /**
   * The series of a head, after adding the labels of `extra` that it lacks. A new series is registered.
   *
   * @param options whether a new series is exposed on /metrics, whether `le` and `quantile` keep their text, and the
   *   words of the reason to reject samples
   */
  admit(head: SeriesHead, extra: Labels = NO_LABELS, options: AdmitOptions = AS_PUSHED): Admission {
    const { terms } = options;
    const exposed = options.exposed && head.exposed !== false;
    const keepsBoundText = options.keepsBoundText || head.keepsBoundText === true;
    const labels = withExtra(keepsBoundText ? head.labels : withUsualEdges(head.labels), extra);
    // The labels are checked first: a rejected sample must not claim the name and the kind of its metric.
    const metric =
      checkLabels(labels, head.kind, this.#options, terms) ?? this.#metricFor(head, labels, exposed, terms);
    if ("refused" in metric) return metric;
    const mergeable = isMergeable(head.kind);
    for (;;) {
      const split = mergeable ? this.#split(metric.name, labels) : { labels, attributes: [] };
      const key = labelsKey(split.labels);
      const known = metric.current.get(key);
      if (known === undefined && mergeable && this.#demoteFor(metric, split.labels)) continue;
      const series = known ?? this.#makeSeries(metric, split.labels, key, exposed);
      return "refused" in series ? series : admitted(series, split.attributes);
    }
  }

  /** The admission of a head whose series is known. Type, unit and help of its metric are refined as usual. */
  admitKnown(head: SeriesHead, seriesId: number): Admitted {
    const series = this.#series.get(seriesId)!;
    this.#refine(series.metric as RegisteredMetric, head);
    return admitted(series, []);
  }

  /**
   * Finds the series of a head whose labels are spelled as they will be stored, or the reason to reject its samples.
   * Registers nothing. If the series is stored, only the kind is checked. Not for kinds whose labels can be demoted.
   */
  look(head: SeriesHead, terms: SenderTerms): Found | Refused {
    const { labels } = head;
    if (labels !== this.#looked.labels) this.#looked = { labels, key: labelsKey(labels), passed: false };
    const { key } = this.#looked;
    const known = this.#metrics.get(head.metric);
    const seriesId = known?.current.get(key)?.seriesId;
    if (known !== undefined && seriesId !== undefined)
      return known.disagreement(head, terms) ?? { seriesId, key };
    const wrong = this.#looked.passed ? undefined : checkLabels(labels, head.kind, this.#options, terms);
    const problem = wrong ?? this.#checkTagNames(head, labels, terms);
    if (problem !== undefined) return problem;
    this.#looked.passed = true;
    if (this.#isFull) return this.#refuseSeries(head.metric);
    const metric = this.#findMetric(head, true, terms);
    return "refused" in metric ? metric : { seriesId, key };
  }

  /** The series of a head that `look` found right. It is made if there is none, unless others that were made since prevent it. */
  take(head: SeriesHead, key: string, terms: SenderTerms): { readonly seriesId: number } | Refused {
    // Series that were taken since may have filled the registry.
    const metric = this.#metricFor(head, head.labels, true, terms);
    if ("refused" in metric) return metric;
    return metric.current.get(key) ?? this.#makeSeries(metric, head.labels, key, true);
  }

  /** Notes that a series has a sample in a day. */
  touch(seriesId: number, day: number): void {
    if (!this.#days.touch(seriesId, day)) return;
    this.#changes++;
    this.#pending.seriesDays.push({ seriesId, day });
  }

  /** The number of new series that no commit has taken. */
  get pendingSeries(): number {
    return this.#pending.series.length;
  }

  /** What is new, to be committed. Call `restore` with it if the commit failed. */
  takePending(): Pending {
    const pending = this.#pending;
    this.#pending = nothingPending();
    // Their texts may be slices of a body, and would keep the whole body in memory.
    this.#looked = { ...NOTHING_LOOKED };
    return pending;
  }

  restore(pending: Pending): void {
    putBack(pending, this.#pending);
  }

  /** Ids of series that demotions ended since the last call. */
  takeEnded(): number[] {
    const ended = this.#endedSince;
    this.#endedSince = [];
    return ended;
  }

  /**
   * Forgets the days before `firstDay`, and the series and metrics without rows in other days. Returns these.
   *
   * @param isKept whether a series without rows is kept
   */
  forgetDaysBefore(firstDay: number, isKept: (seriesId: number) => boolean = () => false): Ended {
    this.#changes++;
    this.#days.forgetBefore(firstDay);
    const waiting = new Set(this.#pending.series.map(({ seriesId }) => seriesId));
    const seriesIds: number[] = [];
    for (const series of this.#series.values()) {
      const { seriesId } = series;
      if (waiting.has(seriesId) || this.#days.has(seriesId) || isKept(seriesId)) continue;
      seriesIds.push(seriesId);
    }
    return this.#forget(seriesIds);
  }

  /**
   * Forgets metrics that have no rows left, with their kinds and all of their series. Returns what was forgotten. A metric
   * with series that wait for a commit is kept.
   */
  forgetMetrics(names: Iterable<string>): Ended {
    const waiting = new Set(this.#pending.series.map(({ metric }) => metric.name));
    const seriesIds: number[] = [];
    for (const name of names) {
      if (waiting.has(name)) continue;
      for (const { seriesId } of this.#metrics.get(name)?.series ?? []) seriesIds.push(seriesId);
    }
    return this.#forget(seriesIds);
  }

  /** Forgets series, and the metrics of which none is left. */
  #forget(seriesIds: readonly number[]): Ended {
    const metrics: string[] = [];
    for (const seriesId of seriesIds) {
      const series = this.#series.get(seriesId)!;
      const metric = series.metric as RegisteredMetric;
      this.#series.delete(seriesId);
      metric.remove(series);
      if (this.#currentOf(series)) {
        metric.current.delete(labelsKey(series.labels));
        this.#guard.remove(metric.name, series.labels);
      }
      this.#ended.delete(series);
      if (metric.series.size === 0) {
        this.#removeMetric(metric);
        metrics.push(metric.name);
      }
    }
    if (seriesIds.length > 0) this.#epoch++;
    return { seriesIds, metrics };
  }

  get #isFull(): boolean {
    return this.#series.size >= this.#options.seriesStoredMax;
  }

  #refuseSeries(metric: string): Refused {
    return {
      cause: "series",
      refused:
        `a new series of metric ${quote(metric)} would exceed the limit of ${this.#options.seriesStoredMax} ` +
        "stored series (seriesStoredMax)",
    };
  }

  /** The reason to reject labels that would give their metric too many tag names, or undefined. */
  #checkTagNames({ metric, kind }: SeriesHead, labels: Labels, terms: SenderTerms): Refused | undefined {
    const known = this.#metrics.get(metric);
    let fresh = 0;
    for (const name of labels.keys()) {
      if (known?.hasLabelName(name) || (isMergeable(kind) && this.isAttribute(metric, name))) continue;
      fresh++;
      const { tagNamesMax } = this.#options;
      if (this.#tagNames(metric, known) + fresh <= tagNamesMax) continue;
      return {
        cause: "labels",
        refused:
          `${terms.label} ${quote(name)} of metric ${quote(metric)} would exceed the limit of ${tagNamesMax} ` +
          `${terms.label} names per metric (tagNamesMax)`,
      };
    }
    return undefined;
  }

  /** The number of tag names of a metric, demoted ones included. */
  #tagNames(metric: string, known: RegisteredMetric | undefined): number {
    const names = new Set(known?.labelNames());
    for (const name of this.#guard.demotedOf(metric)) names.add(name);
    return names.size;
  }

  /**
   * The metric of a head whose labels are accepted. It is made if there is none and there is room, else refined by
   * the head.
   */
  #metricFor(
    head: SeriesHead,
    labels: Labels,
    exposed: boolean,
    terms: SenderTerms,
  ): RegisteredMetric | Refused {
    const problem = this.#checkTagNames(head, labels, terms);
    if (problem !== undefined) return problem;
    // A sample whose series has no room must not claim a name and a kind either.
    if (!this.#metrics.has(head.metric) && this.#isFull) return this.#refuseSeries(head.metric);
    const metric = this.#findMetric(head, exposed, terms);
    if ("refused" in metric) return metric;
    if (this.#metrics.get(head.metric) === metric) this.#refine(metric, head);
    else {
      this.#addMetric(metric);
      this.#pending.metrics.push(metric);
    }
    return metric;
  }

  #makeSeries(metric: RegisteredMetric, labels: Labels, key: string, exposed: boolean): Series | Refused {
    if (this.#isFull) return this.#refuseSeries(metric.name);
    // Series stay for long, and most have few labels of the same names.
    const series: Series = { seriesId: this.#nextId, metric, labels: compactMap(labels), exposed };
    this.#addSeries(series, key);
    this.#pending.series.push(series);
    return series;
  }

  #currentOf(series: Series): boolean {
    return (series.metric as RegisteredMetric).current.get(labelsKey(series.labels)) === series;
  }

  /** The metric of a head. If there is none, a new one that is not registered yet. */
  #findMetric(head: SeriesHead, exposed: boolean, terms: SenderTerms): RegisteredMetric | Refused {
    const known = this.#metrics.get(head.metric);
    if (known !== undefined) {
      // A metric that was not exposed until now may share its name with a family.
      const shown = exposed && !known.isExposed ? this.#families.conflict(known, true) : undefined;
      return known.disagreement(head, terms) ?? shown ?? known;
    }
    const problem = checkMetricName(head.metric, this.#options, terms);
    if (problem !== undefined) return problem;
    const { metricsMax } = this.#options;
    if (this.#metrics.size >= metricsMax) {
      return {
        cause: "metrics",
        refused: `metric ${quote(head.metric)} would exceed the limit of ${metricsMax} stored metrics (metricsMax)`,
      };
    }
    const unit = head.unit ?? "";
    const metric = new RegisteredMetric({
      name: head.metric,
      kind: head.kind,
      type: head.type ?? TYPE_OF_KIND[head.kind],
      unit,
      help: head.help ?? "",
      buckets: head.kind === "observation" ? this.#options.bucketsFor(head.metric, unit) : [],
    });
    return this.#families.conflict(metric, exposed) ?? metric;
  }

  #refine(metric: RegisteredMetric, head: SeriesHead): void {
    if (metric.refine(head) && !this.#pending.metrics.includes(metric)) this.#pending.metrics.push(metric);
  }

  #addMetric(metric: RegisteredMetric): void {
    this.#metrics.set(metric.name, metric);
    this.#families.add(metric);
  }

  #removeMetric(metric: RegisteredMetric): void {
    this.#metrics.delete(metric.name);
    this.#guard.forget(metric.name);
    const waiting = this.#pending.metrics.indexOf(metric);
    if (waiting >= 0) this.#pending.metrics.splice(waiting, 1);
    this.#families.remove(metric);
  }

  /** @param key the key of the series' labels */
  #addSeries(series: Series, key: string): void {
    const metric = series.metric as RegisteredMetric;
    this.#changes++;
    this.#series.set(series);
    this.#nextId = Math.max(this.#nextId, series.seriesId + 1);
    metric.add(series);
    // A metric that returned as another kind is not split by earlier demotions.
    const mergeable = isMergeable(metric.kind);
    if (mergeable && this.#guard.carriesDemoted(metric.name, series.labels)) {
      this.#ended.add(series);
      return;
    }
    const replaced = metric.current.set(key, series);
    // The guard counts only mergeable kinds, because only their labels can be demoted.
    if (!mergeable) return;
    this.#guard.add(metric.name, series.labels);
    if (replaced !== undefined) this.#ended.add(replaced);
  }

  /** Divides the labels of a mergeable sample into its identity and its attributes. */
  #split(metric: string, labels: Labels): { labels: Labels; attributes: (readonly [string, string])[] } {
    const attributes: (readonly [string, string])[] = [];
    for (const [name, value] of labels) if (this.isAttribute(metric, name)) attributes.push([name, value]);
    if (attributes.length === 0) return { labels, attributes };
    const identity = new Map(labels);
    for (const [name] of attributes) identity.delete(name);
    return { labels: identity, attributes };
  }

  /** Demotes a label if one more series with these labels would exceed a limit. Returns whether it did. */
  #demoteFor(metric: RegisteredMetric, labels: Labels): boolean {
    const label = this.#guard.labelToDemote(metric.name, labels, metric.current.size);
    if (label === undefined) return false;
    this.#guard.demote(metric.name, label);
    for (const series of [...metric.current.values()]) {
      if (!series.labels.has(label)) continue;
      metric.current.delete(labelsKey(series.labels));
      this.#guard.remove(metric.name, series.labels);
      this.#ended.add(series);
      this.#endedSince.push(series.seriesId);
    }
    this.#pending.demotions.push({ metric: metric.name, label, decidedAtMs: Date.now() });
    this.#changes++;
    this.#epoch++;
    return true;
  }
}

function admitted(series: Series, attributes: Admitted["attributes"]): Admitted {
  const { seriesId, metric, labels } = series;
  const [job = "", instance = ""] = [labels.get("job"), labels.get("instance")];
  return { seriesId, kind: metric.kind, attributes, job, instance };
}
