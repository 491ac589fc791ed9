/**
 * Counters and histograms that each request uses. prom-client looks its values up by a text of the labels, which it makes for
 * each call: four calls took an eighth of the time of a push of one event. Here a caller keeps what it counts with, and
 * prom-client gets the numbers when somebody reads them.
 */
import type { HistogramConfiguration } from "prom-client";
import { Counter, type Histogram } from "../metrics-library.ts";

type LabelTexts<Name extends string> = Readonly<Partial<Record<Name, string | number>>>;

/** The count of one set of labels. */
export class Tally {
  #count = 0;

  add(count: number): void {
    this.#count += count;
  }

  /** Returns the count, and begins at 0 again. */
  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

/** A counter that also takes tallies. */
export class TalliedCounter<Name extends string> extends Counter<Name> {
  readonly #tallies: { readonly labels: LabelTexts<Name>; readonly tally: Tally }[] = [];

  /** The tally of a set of labels. It is never forgotten. */
  tally(labels: LabelTexts<Name>): Tally {
    const known = this.#tallies.find((each) => Bun.deepEquals(each.labels, labels));
    if (known !== undefined) return known.tally;
    const tally = new Tally();
    this.#tallies.push({ labels, tally });
    return tally;
  }

  override async get() {
    // Also those that have counted nothing: a series with 0 is exposed.
    for (const { labels, tally } of this.#tallies) this.inc(labels, tally.take());
    return await super.get();
  }
}

/** The observations of one set of labels. */
export class Observations {
  readonly #bounds: readonly number[];
  /** By bound, then those above all bounds. Doubles: 32 bits are full after five days with 10,000 requests per second. */
  readonly counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    this.counts[at]!++;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }
}

type HistogramValues<Name extends string> = Awaited<ReturnType<Histogram<Name>["get"]>>["values"];

/** A histogram that prom-client's registry reads as one of its own. */
export class TalliedHistogram<Name extends string> {
  readonly name: string;
  readonly help: string;
  /** As in prom-client's own: pushes must not use the name with another type. */
  readonly type = "histogram";
  readonly #bounds: readonly number[];
  readonly #all: { readonly labels: LabelTexts<Name>; readonly observations: Observations }[] = [];

  constructor({ name, help, buckets = [], registers = [] }: HistogramConfiguration<Name>) {
    this.name = name;
    this.help = help;
    this.#bounds = buckets;
    for (const registry of registers) registry.registerMetric(this as unknown as Histogram);
  }

  /** The observations of a set of labels. They are never forgotten. */
  of(labels: LabelTexts<Name>): Observations {
    const known = this.#all.find((each) => Bun.deepEquals(each.labels, labels));
    if (known !== undefined) return known.observations;
    const observations = new Observations(this.#bounds);
    this.#all.push({ labels, observations });
    return observations;
  }

  /** What the registry asks for. */
  get() {
    const values: HistogramValues<Name> = [];
    for (const { labels, observations } of this.#all) {
      const add = (end: string, value: number, more: object = {}) =>
        values.push({ metricName: `${this.name}_${end}`, labels: { ...more, ...labels }, value });
      let count = 0;
      this.#bounds.forEach((le, at) => {
        count += observations.counts[at]!;
        add("bucket", count, { le });
      });
      count += observations.counts.at(-1)!;
      add("bucket", count, { le: "+Inf" });
      add("sum", observations.sum);
      add("count", count);
    }
    const { name, help, type } = this;
    return Promise.resolve({ name, help, type, aggregator: "sum", values });
  }
}
