/**
 * The registry: every metric and series that the file knows, mirrored in memory, and the decision what series a
 * head belongs to.
 *
 * Ids are given here and never again for another series. What is new waits in `pending` until a commit took
 * it; a commit that failed leaves it there for the next. `epoch` changes whenever decisions kept in heads (see
 * SeriesHead.admission) stop being right: a label was demoted, or series were forgotten.
 */

import { quote } from "../errors.ts";
import type { Kind, Labels, Series, SeriesHead } from "../sample.ts";
import type { Ended, Stored } from "../store/store.ts";
import type { Admission, Admitted, Refused } from "./contract.ts";
import { Families } from "./families.ts";
import { Guard, type GuardLimits } from "./guard.ts";
import {
  agree,
  checkLabels,
  checkMetricName,
  labelsKey,
  type NameLimits,
  withExtra,
  withUsualEdge,
} from "./naming.ts";
import { nothingPending, type Pending, putBack } from "./pending.ts";
import { RegisteredMetric, TYPE_NAMES, TYPE_OF_KIND } from "./registered-metric.ts";
import { SeriesDays } from "./series-days.ts";

export interface RegistryOptions extends GuardLimits, NameLimits {
  /** Metrics that are kept; samples of one more are refused until some have no row left. */
  readonly metricsMax: number;
  /** Series that are kept; samples of one more are refused until some have no row left. */
  readonly seriesStoredMax: number;
  /** Names that the tags of one metric may have. */
  readonly tagNamesMax: number;
  /** Tags of observations and deltas that are columns from the start. */
  readonly attributes: readonly string[];
  /** Upper bounds for a new metric's histogram. */
  readonly bucketsFor: (metric: string, unit: string) => readonly number[];
}

const NO_LABELS: Labels = new Map();

export class Registry {
  readonly #options: RegistryOptions;
  readonly #attributes: ReadonlySet<string>;
  readonly #metrics = new Map<string, RegisteredMetric>();
  readonly #series = new Map<number, Series>();
  readonly #families = new Families();
  readonly #guard: Guard;
  readonly #days = new SeriesDays();
  /** What is new since the last commit that took it. */
  #pending = nothingPending();
  #nextId = 1;
  #epoch = 0;
  /** Series that a demotion ended since the last `takeEnded`. */
  #ended: number[] = [];

  constructor(options: RegistryOptions, stored: Stored) {
    this.#options = options;
    this.#attributes = new Set(options.attributes);
    this.#guard = new Guard(options, stored.demotions);
    for (const record of stored.metrics)
      this.#addMetric(new RegisteredMetric({ ...record, kind: record.kind as Kind }));
    for (const { seriesId, metric, labels, exposed } of stored.series) {
      const entry = this.#metrics.get(metric);
      if (entry !== undefined) this.#addSeries({ seriesId, metric: entry, labels, exposed });
    }
    for (const { seriesId, day } of stored.seriesDays) {
      this.#days.touch(seriesId, day);
      // Rows may outlive their series by an hour: one that waited for its commit while its day was dropped.
      this.#nextId = Math.max(this.#nextId, seriesId + 1);
    }
    this.#ended = [];
  }

  /** Changes when what heads remember is out of date. */
  get epoch(): number {
    return this.#epoch;
  }

  get seriesCount(): number {
    return this.#series.size;
  }

  metrics(): Iterable<RegisteredMetric> {
    return this.#metrics.values();
  }

  metric(name: string): RegisteredMetric | undefined {
    return this.#metrics.get(name);
  }

  series(): Iterable<Series> {
    return this.#series.values();
  }

  seriesById(seriesId: number): Series | undefined {
    return this.#series.get(seriesId);
  }

  /** Whether a tag of a metric's observations or deltas is a column and no label. */
  isAttribute(metric: string, tag: string): boolean {
    return this.#attributes.has(tag) || this.#guard.isDemoted(metric, tag);
  }

  /** All tags that are columns for a metric's observations and deltas. */
  attributesOf(metric: string): readonly string[] {
    return [...new Set([...this.#options.attributes, ...this.#guard.demotedOf(metric)])];
  }

  /** Whether the series may have samples in the days from `firstDay` to `lastDay`. */
  hasSamplesIn(seriesId: number, firstDay: number, lastDay: number): boolean {
    return this.#days.hasIn(seriesId, firstDay, lastDay);
  }

  /** Whether a demotion ended the series: its rows stay, and no new ones come. */
  isEnded(series: Series): boolean {
    return isMergeable(series.metric.kind) && !this.#currentOf(series);
  }

  /**
   * The series of a head with labels added where it has none of its own; registered if new, and then for
   * /metrics or not.
   */
  admit(head: SeriesHead, extra: Labels = NO_LABELS, exposed = true): Admission {
    const labels = withExtra(withUsualEdge(head.labels, head.kind), extra);
    // Labels first: a sample that is refused must not claim its metric's name and kind.
    const problem = checkLabels(labels, head.kind, this.#options) ?? this.#checkTagNames(head, labels);
    if (problem !== undefined) return problem;
    // Nor must one whose series there is no room for.
    if (!this.#metrics.has(head.metric) && this.#isFull) return this.#refuseSeries(head.metric);
    const metric = this.#metricOf(head);
    if ("refused" in metric) return metric;
    const mergeable = isMergeable(head.kind);
    for (;;) {
      const split = mergeable ? this.#split(metric.name, labels) : { labels, attributes: [] };
      const key = labelsKey(split.labels);
      let series = metric.current.get(key);
      if (series === undefined) {
        if (mergeable && this.#demoteFor(metric, split.labels)) continue;
        if (this.#isFull) return this.#refuseSeries(metric.name);
        series = { seriesId: this.#nextId, metric, labels: split.labels, exposed };
        this.#addSeries(series);
        this.#pending.series.push(series);
      }
      return admitted(series, split.attributes);
    }
  }

  /** The admission of a head whose series is known; what its metric lacks is refined as by any other. */
  admitKnown(head: SeriesHead, seriesId: number): Admitted {
    const series = this.#series.get(seriesId)!;
    this.#refine(series.metric as RegisteredMetric, head);
    return admitted(series, []);
  }

  /** Why samples of a head would be refused, if so; registers nothing. Not for kinds that the guard demotes. */
  refusal(head: SeriesHead): Refused | undefined {
    const labels = withUsualEdge(head.labels, head.kind);
    const problem = checkLabels(labels, head.kind, this.#options) ?? this.#checkTagNames(head, labels);
    const isRefused = this.#isFull && this.find(head) === undefined;
    const found = problem ?? (isRefused ? this.#refuseSeries(head.metric) : this.#findMetric(head));
    return "refused" in found ? found : undefined;
  }

  /** The series of a head, if there is one; registers nothing. Not for kinds that the guard demotes. */
  find(head: SeriesHead): number | undefined {
    const key = labelsKey(withUsualEdge(head.labels, head.kind));
    return this.#metrics.get(head.metric)?.current.get(key)?.seriesId;
  }

  /** Notes that a series has a sample in a day. */
  touch(seriesId: number, day: number): void {
    if (this.#days.touch(seriesId, day)) this.#pending.seriesDays.push({ seriesId, day });
  }

  /** What is new, to be committed; `restore` gives it back when the commit failed. */
  takePending(): Pending {
    const pending = this.#pending;
    this.#pending = nothingPending();
    return pending;
  }

  restore(pending: Pending): void {
    putBack(pending, this.#pending);
  }

  /** Ids of series that demotions ended since the last call. */
  takeEnded(): number[] {
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  /**
   * Forgets the days before `firstDay`, and the series and metrics that have no row in any other; tells which.
   *
   * @param isKept says of a series without rows that it stays
   */
  forgetDaysBefore(firstDay: number, isKept: (seriesId: number) => boolean = () => false): Ended {
    this.#days.forgetBefore(firstDay);
    const waiting = new Set(this.#pending.series.map(({ seriesId }) => seriesId));
    const seriesIds: number[] = [];
    for (const series of this.#series.values()) {
      const { seriesId } = series;
      if (waiting.has(seriesId) || this.#days.has(seriesId) || isKept(seriesId)) continue;
      seriesIds.push(seriesId);
    }
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
        `a new series of metric ${quote(metric)} would be one more than the ${this.#options.seriesStoredMax} ` +
        "that are stored (seriesStoredMax)",
    };
  }

  /** Says whether the labels would give their metric more names than it may have. */
  #checkTagNames({ metric, kind }: SeriesHead, labels: Labels): Refused | undefined {
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
          `tag ${quote(name)} of metric ${quote(metric)} would be one more than the ${tagNamesMax} names ` +
          "that its tags may have (tagNamesMax)",
      };
    }
    return undefined;
  }

  /** How many names the tags of a metric have, demoted ones included. */
  #tagNames(metric: string, known: RegisteredMetric | undefined): number {
    const names = new Set(known?.labelNames());
    for (const name of this.#guard.demotedOf(metric)) names.add(name);
    return names.size;
  }

  #currentOf(series: Series): boolean {
    return (series.metric as RegisteredMetric).current.get(labelsKey(series.labels)) === series;
  }

  /** Finds or makes the metric of a head, and refines what its metadata lacks. */
  #metricOf(head: SeriesHead): RegisteredMetric | Refused {
    const metric = this.#findMetric(head);
    if ("refused" in metric) return metric;
    if (this.#metrics.get(head.metric) === metric) this.#refine(metric, head);
    else {
      this.#addMetric(metric);
      this.#pending.metrics.push(metric);
    }
    return metric;
  }

  /** The metric of a head, made where there is none, and not yet registered. */
  #findMetric(head: SeriesHead): RegisteredMetric | Refused {
    const known = this.#metrics.get(head.metric);
    if (known !== undefined) {
      if (!agree(known.kind, head.kind)) {
        return {
          cause: "kind",
          refused: `metric ${JSON.stringify(head.metric)} is stored as ${TYPE_NAMES[known.kind]}, this sample says ${TYPE_NAMES[head.kind]}`,
        };
      }
      return known;
    }
    const problem = checkMetricName(head.metric, this.#options);
    if (problem !== undefined) return problem;
    const { metricsMax } = this.#options;
    if (this.#metrics.size >= metricsMax) {
      return {
        cause: "metrics",
        refused: `metric ${quote(head.metric)} would be one more than the ${metricsMax} that are kept (metricsMax)`,
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
    const conflict = this.#families.conflict(metric);
    if (conflict !== undefined) {
      const { name, owner } = conflict;
      return {
        cause: "name",
        refused:
          `metric ${JSON.stringify(metric.name)} (${metric.kind}) would share the name ${name} in Prometheus ` +
          `with metric ${JSON.stringify(owner.metric)} (${owner.kind})`,
      };
    }
    return metric;
  }

  #refine(metric: RegisteredMetric, head: SeriesHead): void {
    const type = metric.type === "unknown" ? (head.type ?? TYPE_OF_KIND[head.kind]) : metric.type;
    const unit = metric.unit === "" && head.unit !== undefined ? head.unit : metric.unit;
    const help = metric.help === "" && head.help !== undefined ? head.help : metric.help;
    if (type === metric.type && unit === metric.unit && help === metric.help) return;
    metric.type = type;
    metric.unit = unit;
    metric.help = help;
    if (!this.#pending.metrics.includes(metric)) this.#pending.metrics.push(metric);
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
    this.#families.remove(metric, this.#metrics.values());
  }

  #addSeries(series: Series): void {
    const metric = series.metric as RegisteredMetric;
    this.#series.set(series.seriesId, series);
    this.#nextId = Math.max(this.#nextId, series.seriesId + 1);
    metric.add(series);
    // A metric that came back as another kind is not split by what was demoted before.
    if (isMergeable(metric.kind) && this.#guard.carriesDemoted(metric.name, series.labels)) return;
    metric.current.set(labelsKey(series.labels), series);
    // Of the others the guard would count values for nothing.
    if (isMergeable(metric.kind)) this.#guard.add(metric.name, series.labels);
  }

  /** Parts the labels of a mergeable sample into identity and columns. */
  #split(metric: string, labels: Labels): { labels: Labels; attributes: (readonly [string, string])[] } {
    const attributes: (readonly [string, string])[] = [];
    for (const [name, value] of labels) if (this.isAttribute(metric, name)) attributes.push([name, value]);
    if (attributes.length === 0) return { labels, attributes };
    const identity = new Map(labels);
    for (const [name] of attributes) identity.delete(name);
    return { labels: identity, attributes };
  }

  /** Demotes a label if one more series with these labels would be too much; tells whether it did. */
  #demoteFor(metric: RegisteredMetric, labels: Labels): boolean {
    const label = this.#guard.labelToDemote(metric.name, labels, metric.current.size);
    if (label === undefined) return false;
    this.#guard.demote(metric.name, label);
    for (const [key, series] of metric.current) {
      if (!series.labels.has(label)) continue;
      metric.current.delete(key);
      this.#guard.remove(metric.name, series.labels);
      this.#ended.push(series.seriesId);
    }
    this.#pending.demotions.push({ metric: metric.name, label, decidedAtMs: Date.now() });
    this.#epoch++;
    return true;
  }
}

function admitted(series: Series, attributes: Admitted["attributes"]): Admitted {
  const { seriesId, metric, labels } = series;
  const [job = "", instance = ""] = [labels.get("job"), labels.get("instance")];
  return { seriesId, kind: metric.kind, attributes, job, instance };
}

/** Whether samples of a kind may be added up, so that a label of theirs can become a column. */
function isMergeable(kind: Kind): boolean {
  return kind === "observation" || kind === "delta";
}
