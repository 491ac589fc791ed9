/**
 * What remote_write says of metrics beside their samples: type, unit and help of a family, by its name.
 *
 * In version 1.0 it comes in requests of its own, once a minute, by the name of the family: a histogram `x` whose
 * series are `x_bucket`, `x_sum` and `x_count`. It is remembered here, bounded, and given to the series that are
 * decoded afterwards; those that came before are refined by their next sample.
 */
import { metadataDropped } from "../../model/counters.ts";
import type { Kind, MetricType } from "../../model/sample.ts";

export interface Metadata {
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
}

/** The types by their number, in both versions; a gauge histogram has no word in the vocabulary. */
export const METRIC_TYPES: readonly MetricType[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "unknown",
  "summary",
  "info",
  "stateset",
];

/** A large Prometheus knows some 10,000 families. */
const FAMILIES_MAX = 50_000;
const TEXT_CHARACTERS_MAX = 1_000;

/** The endings that the series of a family have, by its type. */
const ENDINGS: Partial<Record<MetricType, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["_sum", "_count"],
  counter: ["_total"],
  info: ["_info"],
};

export class FamilyMetadata {
  readonly #families = new Map<string, Metadata>();
  readonly #familiesMax: number;

  constructor(familiesMax: number = FAMILIES_MAX) {
    this.#familiesMax = familiesMax;
  }

  /** Notes what was said of a family, where nothing was before; tells whether that is news. */
  note(name: string, said: Metadata): boolean {
    const known = this.#families.get(name);
    if (known === undefined && this.#families.size >= this.#familiesMax) {
      metadataDropped.inc();
      return false;
    }
    // The first word counts, as it does for what is stored: two senders that differ must not make the families
    // change with each of their requests.
    const type = known === undefined || known.type === "unknown" ? said.type : known.type;
    const unit = known?.unit || said.unit.slice(0, TEXT_CHARACTERS_MAX);
    const help = known?.help || said.help.slice(0, TEXT_CHARACTERS_MAX);
    if (known !== undefined && type === known.type && unit === known.unit && help === known.help)
      return false;
    this.#families.set(name, { type, unit, help });
    return true;
  }

  /** What is known of a metric: by its own name, or as a part of a family whose type has such parts. */
  of(metric: string): Metadata | undefined {
    const own = this.#families.get(metric);
    if (own !== undefined) return own;
    const at = metric.lastIndexOf("_");
    if (at <= 0) return undefined;
    const family = this.#families.get(metric.slice(0, at));
    return family !== undefined && ENDINGS[family.type]?.includes(metric.slice(at)) ? family : undefined;
  }
}

/**
 * What samples of a type are here. Without metadata they are `cumulative`, which is shown as it came: nothing is
 * claimed of them. Both kinds have one value a series and time, so that later metadata conflicts with neither.
 */
export function kindOf(type: MetricType): Kind {
  return type === "gauge" || type === "info" || type === "stateset" ? "gauge" : "cumulative";
}
