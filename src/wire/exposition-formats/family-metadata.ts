/**
 * The metadata that a protocol sends beside samples: type, unit and help of a family, by its name. A histogram `x` has
 * the series `x_bucket`, `x_sum` and `x_count`.
 *
 * Metadata may come in other requests than samples: remote_write 1.0 sends it once per minute. It is remembered here,
 * bounded, and added to the series that are decoded afterwards. A series that was decoded before gets it with its next
 * sample.
 */
import type { Kind, MetricType } from "../../model/sample.ts";

export interface Metadata {
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
}

/** A large Prometheus knows some 10,000 families. */
const FAMILIES_MAX = 50_000;
const TEXT_CHARACTERS_MAX = 1_000;
/** Of all names together: a name can be as long as a body. */
const NAMES_CHARACTERS_MAX = 16 * 1_048_576;

/** The suffixes of the series of a family, by its type. */
const ENDINGS: Partial<Record<MetricType, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["_sum", "_count"],
  counter: ["_total"],
  info: ["_info"],
};

export class FamilyMetadata {
  readonly #families = new Map<string, Metadata>();
  readonly #familiesMax: number;
  #nameCharacters = 0;
  #version = 0;

  constructor(familiesMax: number = FAMILIES_MAX) {
    this.#familiesMax = familiesMax;
  }

  /** Changes whenever metadata is added. */
  get version(): number {
    return this.#version;
  }

  /** Adds metadata of a family where none is known. Drops it if there is no room for its name. */
  note(name: string, said: Metadata): "new" | "known" | "full" {
    const known = this.#families.get(name);
    const isFull =
      this.#families.size >= this.#familiesMax || this.#nameCharacters + name.length > NAMES_CHARACTERS_MAX;
    if (known === undefined && isFull) return "full";
    // The first type counts, as it does for what is stored: two senders that disagree must not change the families with
    // each of their requests.
    const type = known === undefined || known.type === "unknown" ? said.type : known.type;
    const unit = known?.unit || said.unit.slice(0, TEXT_CHARACTERS_MAX);
    const help = known?.help || said.help.slice(0, TEXT_CHARACTERS_MAX);
    if (known !== undefined && type === known.type && unit === known.unit && help === known.help)
      return "known";
    if (known === undefined) this.#nameCharacters += name.length;
    this.#version++;
    this.#families.set(copyOf(name), { type, unit: copyOf(unit), help: copyOf(help) });
    return "new";
  }

  /** The metadata of the family of a metric. */
  of(metric: string): Metadata | undefined {
    return familyOf(metric, this.#families);
  }
}

/** What is known of the family of a metric: by its own name, or as a part of a family whose type has such parts. */
export function familyOf<Known extends { readonly type: MetricType }>(
  metric: string,
  families: ReadonlyMap<string, Known>,
): Known | undefined {
  const own = families.get(metric);
  if (own !== undefined) return own;
  const at = metric.lastIndexOf("_");
  if (at <= 0) return undefined;
  const family = families.get(metric.slice(0, at));
  return family !== undefined && ENDINGS[family.type]?.includes(metric.slice(at)) ? family : undefined;
}

/** A part of a text keeps all of it in memory. A copy does not. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/**
 * The kind of samples of a type. Without metadata it is `cumulative`, which is exposed as it was sent and implies
 * nothing. Both kinds store one value per series and time, so that later metadata conflicts with neither.
 */
export function kindOf(type: MetricType): Kind {
  return type === "gauge" || type === "info" || type === "stateset" ? "gauge" : "cumulative";
}
