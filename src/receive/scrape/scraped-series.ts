/**
 * The series of one target: which series a text is, with the labels of the target, and which series have ended since the
 * scrape before.
 *
 * A target repeats its series. So a series is parsed and checked once, and found by its text from then on. As in
 * Prometheus, a series that a scrape lacks ends with a stale marker, unless its samples have times of their own. A text
 * is forgotten when a successful scrape lacks it.
 */
import type { Labels, MetricType, SeriesHead } from "../../model/sample.ts";
import type { ScrapeJob } from "../../model/scrape-job.ts";
import { withUsualEdges } from "../../model/spelling.ts";
import type { LabelPair } from "../../wire/exposition-formats/exposition-lines.ts";
import { familyOf, kindOf } from "../../wire/exposition-formats/family-metadata.ts";
import { ScrapeFailure } from "./scrape-failure.ts";

/** A series of a target. */
export interface TargetSeries {
  /** Changes when the metadata of its metric does. */
  head: SeriesHead;
  /** The pass that had a sample of it without a time. */
  seenIn: number;
  /** The pass whose batch has its head, and the index there. */
  addedIn: number;
  index: number;
  /** The generation of the metadata of its head. */
  metadata: number;
  /** The value of the sample in `seenIn`. */
  value: number;
  /** The exemplar that was stored last. */
  exemplar?: { readonly labels: Labels; readonly value: number; readonly timestampMs: number | undefined };
}

interface Metadata {
  type: MetricType;
  help: string;
  unit: string;
}

interface KnownText {
  readonly series: TargetSeries;
  seenIn: number;
}

type Parsed = { readonly metric: string; readonly labels: readonly LabelPair[] };
type Limits = Pick<ScrapeJob, "labelLimit" | "labelNameLengthLimit" | "labelValueLengthLimit">;

/** Longer texts would fill the memory: each target has its own. */
const TEXT_CHARACTERS_MAX = 1_000;
const NO_METADATA: Metadata = { type: "unknown", help: "", unit: "" };
/** Texts of failed scrapes are kept up to twice the texts of the last successful scrape and these. */
const FAILED_TEXTS_MAX = 1_000;

export class ScrapedSeries {
  readonly #labels: Labels;
  readonly #honorLabels: boolean;
  readonly #limits: Limits;
  readonly #texts = new Map<string, KnownText>();
  /** By the text of the final labels: two texts can be one series. */
  readonly #series = new Map<string, TargetSeries>();
  readonly #families = new Map<string, Metadata>();
  #generation = 0;
  #pass = 0;
  /** Series whose end is noticed: those of the last stored scrape, and of the pass. */
  #before: TargetSeries[] = [];
  #current: TargetSeries[] = [];
  #successfulTexts = 0;

  /** @param labels those of the target, in ascending order of the names */
  constructor(labels: Labels, honorLabels: boolean, limits: Limits) {
    this.#labels = labels;
    this.#honorLabels = honorLabels;
    this.#limits = limits;
  }

  /** The number of the current pass over a body. */
  get pass(): number {
    return this.#pass;
  }

  /** Starts a pass, and drops what the pass before left if it was not kept. */
  begin(): void {
    this.#pass += 1;
    this.#current = [];
  }

  /**
   * The series of a text, and whether the text is new.
   *
   * @throws BadInput when it cannot be read; ScrapeFailure when its labels exceed a limit
   */
  find(
    text: string,
    parse: (text: string) => Parsed,
  ): { readonly series: TargetSeries; readonly isNew: boolean } {
    const known = this.#texts.get(text);
    if (known !== undefined) {
      known.seenIn = this.#pass;
      if (known.series.metadata !== this.#generation) this.#refine(known.series);
      return { series: known.series, isNew: false };
    }
    // A copy, because a slice would keep its whole body in memory.
    const own = Buffer.from(text).toString();
    const series = this.#make(parse(own));
    this.#texts.set(own, { series, seenIn: this.#pass });
    return { series, isNew: true };
  }

  /** Notes that the pass has a sample of a series. Returns false if it had one already. */
  see(series: TargetSeries): boolean {
    if (series.seenIn === this.#pass) return false;
    series.seenIn = this.#pass;
    this.#current.push(series);
    return true;
  }

  /** The series of the scrape before that the pass lacks. */
  ended(): TargetSeries[] {
    return this.#before.filter(({ seenIn }) => seenIn !== this.#pass);
  }

  /**
   * Keeps the series of the pass, whose samples and stale markers are stored.
   *
   * @param isSuccessful whether the pass read a body. A failed scrape forgets no text
   */
  keep(isSuccessful: boolean): void {
    this.#before = this.#current;
    this.#current = [];
    if (isSuccessful) this.#successfulTexts = this.#texts.size;
    else if (this.#texts.size <= this.#successfulTexts * 2 + FAILED_TEXTS_MAX) return;
    this.#forget();
  }

  #forget(): void {
    for (const [text, { seenIn }] of this.#texts) if (seenIn !== this.#pass) this.#texts.delete(text);
    this.#successfulTexts = this.#texts.size;
    if (this.#series.size <= this.#texts.size) return;
    const kept = new Set(Array.from(this.#texts.values(), ({ series }) => series));
    for (const series of this.#before) kept.add(series);
    for (const [key, series] of this.#series) if (!kept.has(series)) this.#series.delete(key);
  }

  noteType(family: string, type: MetricType): void {
    this.#note(family, "type", type);
  }

  noteHelp(family: string, help: string): void {
    this.#note(family, "help", help.slice(0, TEXT_CHARACTERS_MAX));
  }

  noteUnit(family: string, unit: string): void {
    this.#note(family, "unit", unit.slice(0, TEXT_CHARACTERS_MAX));
  }

  #note<Key extends keyof Metadata>(family: string, key: Key, value: Metadata[Key]): void {
    let metadata = this.#families.get(family);
    if (metadata === undefined) {
      // Names that only failed scrapes had.
      if (this.#families.size > this.#texts.size * 2 + FAILED_TEXTS_MAX) this.#families.clear();
      metadata = { ...NO_METADATA };
      this.#families.set(Buffer.from(family).toString(), metadata);
    }
    if (metadata[key] === value) return;
    metadata[key] = typeof value === "string" ? (Buffer.from(value).toString() as Metadata[Key]) : value;
    this.#generation += 1;
  }

  #metadataOf(metric: string): Metadata {
    return familyOf(metric, this.#families) ?? NO_METADATA;
  }

  #refine(series: TargetSeries): void {
    series.metadata = this.#generation;
    const { metric, labels, type, help, unit } = series.head;
    const now = this.#metadataOf(metric);
    if (now.type !== type || now.help !== (help ?? "") || now.unit !== (unit ?? ""))
      series.head = headOf(metric, labels, now);
  }

  #make({ metric, labels: scraped }: Parsed): TargetSeries {
    const labels = withUsualEdges(this.#withTarget(metric, scraped));
    checkLimits(metric, labels, this.#limits);
    let key = metric;
    for (const [name, value] of labels) key += `\u0000${name}\u0000${value}`;
    return this.#series.getOrInsertComputed(key, () => ({
      head: headOf(metric, labels, this.#metadataOf(metric)),
      seenIn: 0,
      value: 0,
      addedIn: 0,
      index: 0,
      metadata: this.#generation,
    }));
  }

  /** The labels of a sample with those of the target, sorted, and without empty values. */
  #withTarget(metric: string, scraped: readonly LabelPair[]): Labels {
    const all = new Map<string, string>();
    for (const [name, value] of scraped) {
      if (name === "__name__" || all.has(name))
        throw new ScrapeFailure("labels", `label "${name}" of metric ${metric.slice(0, 50)} appears twice`);
      all.set(name, value);
    }
    const conflicts: LabelPair[] = [];
    for (const [name, value] of this.#labels) {
      const own = all.get(name);
      // An empty label of a target that is honoured prevents that it gets the target's: Pushgateway's instance="".
      if (this.#honorLabels && own !== undefined) continue;
      if (own !== undefined && own !== "") conflicts.push([name, own]);
      all.set(name, value);
    }
    // The shortest name first, as in Prometheus: so exported_job becomes exported_exported_job.
    for (const [name, value] of conflicts.sort(([a], [b]) => a.length - b.length)) {
      let exported = `exported_${name}`;
      while ((all.get(exported) ?? "") !== "") exported = `exported_${exported}`;
      all.set(exported, value);
    }
    return new Map([...all].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

function headOf(metric: string, labels: Labels, { type, help, unit }: Metadata): SeriesHead {
  return {
    metric,
    kind: kindOf(type),
    type,
    help: help || undefined,
    unit: unit || undefined,
    labels,
  };
}

/** Throws if a limit of the job is exceeded. The name of the metric counts as a label, as in Prometheus. */
function checkLimits(metric: string, labels: Labels, limits: Limits): void {
  const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = limits;
  const fail = (limit: string, what: string) =>
    new ScrapeFailure(limit, `${limit} exceeded: metric ${metric.slice(0, 50)} has ${what}`);
  if (labelLimit > 0 && labels.size + 1 > labelLimit)
    throw fail("label_limit", `${labels.size + 1} labels, at most ${labelLimit} are accepted`);
  if (labelNameLengthLimit === 0 && labelValueLengthLimit === 0) return;
  for (const [name, value] of [["__name__", metric], ...labels]) {
    const [nameBytes, valueBytes] = [Buffer.byteLength(name!), Buffer.byteLength(value!)];
    if (labelNameLengthLimit > 0 && nameBytes > labelNameLengthLimit) {
      const what = `a label name of ${nameBytes} bytes, at most ${labelNameLengthLimit} are accepted`;
      throw fail("label_name_length_limit", what);
    }
    if (labelValueLengthLimit > 0 && valueBytes > labelValueLengthLimit) {
      const what = `a label value of ${valueBytes} bytes, at most ${labelValueLengthLimit} are accepted`;
      throw fail("label_value_length_limit", what);
    }
  }
}
