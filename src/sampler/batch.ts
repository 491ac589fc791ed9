/**
 * The samples of one run of a part, as a `Batch` for ingest.
 *
 * A part declares its metrics once (`gauge`, `cumulative`) and adds values to a `Reading`. `Heads` keeps the
 * heads of its series from one reading to the next, so that admission gets the same objects. A reading with the
 * series of the one before, in the same order, also has the same list of heads, so that admission looks nothing up.
 * A series that is absent from a whole reading (a removed device, a stopped container) is dropped.
 */
import type { Batch, Kind, Labels, SeriesHead } from "../model/sample.ts";

/** A metric of a part. Names, units and labels are node_exporter's if the meaning is the same. */
export interface Definition {
  readonly name: string;
  readonly kind: Extract<Kind, "gauge" | "cumulative">;
  readonly help: string;
  /** The last word of the name if it is a unit (`bytes`, `seconds` …), else empty. */
  readonly unit: string;
  readonly labelNames: readonly string[];
}

const UNIT = /_(bytes|seconds|celsius|watts|ratio|hertz)(_total)?$/;

function define(
  name: string,
  kind: Definition["kind"],
  help: string,
  labelNames: readonly string[],
): Definition {
  return { name, kind, help, unit: UNIT.exec(name)?.[1] ?? "", labelNames };
}

/** A level: the value at the time of the reading. */
export function gauge(name: string, help: string, labelNames: readonly string[] = []): Definition {
  return define(name, "gauge", help, labelNames);
}

/** A running total that the kernel, or another source, keeps. */
export function cumulative(name: string, help: string, labelNames: readonly string[] = []): Definition {
  return define(name, "cumulative", help, labelNames);
}

/** The most samples of a reading: 1,000 CPUs in 10 modes, twice. */
export const READING_SAMPLES_MAX = 20_000;

interface Slot {
  readonly definition: Definition;
  readonly labelValues: readonly string[];
  readonly head: SeriesHead;
  /** The number of the last reading with this series. */
  reading: number;
}

/** The series of a sealed reading, in the order of its samples. */
interface Sealed {
  readonly slots: readonly Slot[];
  readonly heads: readonly SeriesHead[];
  /** 0, 1, 2 …: each sample has a head of its own. */
  readonly index: Uint32Array;
}

/** The heads of one part's series. */
export class Heads {
  readonly #common: Labels;
  readonly #slots = new Map<Definition, Map<string, Slot>>();
  #reading = 0;
  #sealed: Sealed = { slots: [], heads: [], index: new Uint32Array(0) };

  /** `common` labels are added to every series. A definition's own label of the same name takes precedence. */
  constructor(common: Labels = new Map()) {
    this.#common = common;
  }

  /** The number of series with a head. */
  get size(): number {
    let size = 0;
    for (const slots of this.#slots.values()) size += slots.size;
    return size;
  }

  /** Begins a reading. All its samples have the time `timestampUs` (µs since the epoch). */
  read(timestampUs: number): Reading {
    this.#forget();
    this.#reading++;
    return new Reading(this, this.#reading, timestampUs);
  }

  /**
   * The slot of a series, or undefined if `reading` has the series already. `position` is the number of samples that the
   * reading has. Only `Reading` calls this.
   */
  take(
    definition: Definition,
    labelValues: readonly string[],
    reading: number,
    position: number,
  ): Slot | undefined {
    const before = this.#sealed.slots[position];
    if (before !== undefined && before.reading === reading - 1 && isOf(before, definition, labelValues)) {
      before.reading = reading;
      return before;
    }
    const slots = this.#slots.getOrInsertComputed(definition, () => new Map());
    const key = labelValues.length === 1 ? labelValues[0] : labelValues.join("\u0000");
    const slot = slots.get(key);
    if (slot === undefined) {
      const made = { definition, labelValues, head: this.#head(definition, labelValues), reading };
      slots.set(key, made);
      return made;
    }
    if (slot.reading === reading) return undefined;
    slot.reading = reading;
    return slot;
  }

  /** The heads of these slots: the same list as that of the reading before if the series are the same. */
  seal(slots: readonly Slot[]): Sealed {
    const before = this.#sealed;
    if (before.slots.length === slots.length && slots.every((slot, index) => slot === before.slots[index]))
      return before;
    this.#sealed = {
      slots,
      heads: slots.map(({ head }) => head),
      index: Uint32Array.from({ length: slots.length }, (_, index) => index),
    };
    return this.#sealed;
  }

  #head(definition: Definition, labelValues: readonly string[]): SeriesHead {
    const labels = new Map(this.#common);
    definition.labelNames.forEach((name, index) => {
      const value = labelValues[index] ?? "";
      if (value === "") labels.delete(name);
      else labels.set(name, value);
    });
    return {
      metric: definition.name,
      kind: definition.kind,
      type: definition.kind === "gauge" ? "gauge" : "counter",
      unit: definition.unit,
      help: definition.help,
      labels: new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }

  /** Drops the series that the previous reading did not have. */
  #forget(): void {
    for (const [definition, slots] of this.#slots) {
      for (const [key, slot] of slots) if (slot.reading !== this.#reading) slots.delete(key);
      if (slots.size === 0) this.#slots.delete(definition);
    }
  }
}

function isOf(slot: Slot, definition: Definition, labelValues: readonly string[]): boolean {
  if (slot.definition !== definition || slot.labelValues.length !== labelValues.length) return false;
  for (let index = 0; index < labelValues.length; index++)
    if (slot.labelValues[index] !== labelValues[index]) return false;
  return true;
}

/** The samples of one run of a part, all with one time. Made by `Heads.read`. */
export class Reading {
  readonly #owner: Heads;
  readonly #number: number;
  readonly #timestampUs: number;
  readonly #slots: Slot[] = [];
  readonly #values: number[] = [];
  #sealed = false;
  #dropped = 0;
  #lacking: string | undefined;

  constructor(owner: Heads, number: number, timestampUs: number) {
    this.#owner = owner;
    this.#number = number;
    this.#timestampUs = timestampUs;
  }

  /** How many samples were dropped because of `READING_SAMPLES_MAX`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What the part could not read, although its samples are right. Undefined if nothing is missing. */
  get lacking(): string | undefined {
    return this.#lacking;
  }

  /**
   * Reports that something is missing from a reading whose samples are right. It is counted, and logged once. A
   * part that rejects instead is tried less and less often.
   */
  lacks(reason: string): void {
    this.#lacking = reason;
  }

  /** True if it accepts no more samples. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /**
   * Adds a sample. Label values are in the order of the definition's label names, and empty ones are left out.
   * A value that is undefined or not finite is not added: a value that cannot be read is absent, not 0. Of two
   * samples of one series the first counts. After `seal` nothing is added.
   */
  add(definition: Definition, value: number | undefined, ...labelValues: readonly string[]): void {
    if (this.#sealed || value === undefined || !Number.isFinite(value)) return;
    if (this.#values.length >= READING_SAMPLES_MAX) {
      this.#dropped++;
      return;
    }
    const slot = this.#owner.take(definition, labelValues, this.#number, this.#values.length);
    if (slot === undefined) return;
    this.#slots.push(slot);
    this.#values.push(value);
  }

  /** Ends the reading and returns its samples. Later additions of a slow part have no effect. */
  seal(): Batch {
    this.#sealed = true;
    const length = this.#values.length;
    const { heads, index } = this.#owner.seal(this.#slots);
    return {
      protocol: "sampler",
      length,
      heads,
      head: index,
      timestampUs: new Float64Array(length).fill(this.#timestampUs),
      value: Float64Array.from(this.#values),
      attributes: [],
      text: new Uint8Array(0),
      position: index,
      rejected: [],
    };
  }
}
