/**
 * The measurements of lines, with the names of tags and string fields that identify one event in them: the names of the
 * setting `attributes`, and labels that were demoted for every metric of the measurement. Their values differ from line
 * to line, so they are no part of what is remembered of a line.
 */
import type { Kind } from "../../model/sample.ts";
import type { BatchBuilder } from "../../wire/batch-builder.ts";
import { equals, Identifiers, nameText } from "./line-scanner.ts";

export interface MeasurementOptions {
  /** The tags that are columns of every metric's observations. */
  readonly attributes: readonly string[];
  /** The kind of a stored metric. */
  readonly kindOf: (metric: string) => Kind | undefined;
  /** All tags that are columns of a metric's observations. */
  readonly attributesOf: (metric: string) => readonly string[];
  /** The measurements whose lines are events. */
  readonly events: readonly string[];
  /** Between the names of measurement and field. */
  readonly separator: string;
  /** Whether the name of a field `value` is a part of its metric's name. */
  readonly valueSuffix: boolean;
}

export interface Measurement {
  readonly bytes: Buffer;
  readonly name: string;
  /** Whether all of its lines are events. */
  readonly isEvent: boolean;
  /** The metrics of its numbers. */
  readonly metrics: Set<string>;
  identifiers: Identifiers;
}

/** A body has a few measurements in turn. */
const RECENT_MAX = 8;
/** Ten times the measurements of a Telegraf with all of its plugins. */
const MEASUREMENTS_MAX = 10_000;
/** Metrics of all measurements together: ten times the default of `metricsMax`. */
const METRICS_MAX = 100_000;

export class Measurements {
  readonly #options: MeasurementOptions;
  readonly #builder: BatchBuilder;
  readonly #events: ReadonlySet<string>;
  readonly #identifying: ReadonlySet<string>;
  readonly #byBytes = new Map<string, Measurement>();
  /** Measurements that were found last. Comparing them costs less than a text for the map. */
  readonly #recent: Measurement[] = [];
  #nextRecent = 0;
  #metrics = 0;

  constructor(options: MeasurementOptions, builder: BatchBuilder) {
    this.#options = options;
    this.#builder = builder;
    this.#events = new Set(options.events);
    this.#identifying = new Set(options.attributes);
  }

  /** Whether the number of known measurements is above its limit, so that they should be forgotten. */
  get isFull(): boolean {
    return this.#byBytes.size >= MEASUREMENTS_MAX || this.#metrics >= METRICS_MAX;
  }

  /** The measurement with these bytes. */
  find(body: Buffer, from: number, to: number): Measurement {
    const length = to - from;
    for (const recent of this.#recent)
      if (recent.bytes.length === length && equals(body, from, recent.bytes)) return recent;
    // Each byte is one character, so that different bytes are different texts.
    const measurement = this.#byBytes.getOrInsertComputed(body.toString("latin1", from, to), () => {
      const name = nameText(body, from, to);
      return {
        bytes: Buffer.from(body.subarray(from, to)),
        name,
        isEvent: this.#events.has(name),
        metrics: new Set<string>(),
        identifiers: this.#identifiers(this.#options.attributes),
      };
    });
    this.#recent[this.#nextRecent++ % RECENT_MAX] = measurement;
    return measurement;
  }

  /** Whether a line with a tag or a string field of this name is an event. Demoted labels are of stored events only. */
  makesEvent(name: string): boolean {
    return this.#identifying.has(name);
  }

  /** The name of a field's metric. */
  metricOf({ name }: Measurement, field: string): string {
    const { separator, valueSuffix } = this.#options;
    return field === "value" && !valueSuffix ? name : `${name}${separator}${field}`;
  }

  /**
   * Notes that a measurement has numbers of a metric. Returns true if that changes its identifiers: then nothing that is
   * remembered of its lines holds.
   */
  learn(measurement: Measurement, metric: string): boolean {
    const { metrics, identifiers } = measurement;
    if (metrics.has(metric)) return false;
    // A metric that returns as another kind ignores demotions of its earlier kind.
    const { attributes: usual, attributesOf, kindOf } = this.#options;
    const attributes = kindOf(metric) === "observation" ? attributesOf(metric) : usual;
    const names = metrics.size === 0 ? attributes : attributes.filter((name) => identifiers.names.has(name));
    metrics.add(metric);
    this.#metrics++;
    if (names.length === identifiers.names.size && names.every((name) => identifiers.names.has(name)))
      return false;
    measurement.identifiers = this.#identifiers(names);
    return true;
  }

  forget(): void {
    this.#byBytes.clear();
    this.#recent.length = 0;
    this.#nextRecent = 0;
    this.#metrics = 0;
  }

  #identifiers(names: readonly string[]): Identifiers {
    return new Identifiers(names.map((name) => this.#builder.attribute(name)));
  }
}
