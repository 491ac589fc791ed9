/** Which names and values are accepted, and which names a metric claims in Prometheus's view. */
import { quote } from "../model/errors.ts";
import { prometheusLabelName } from "../model/names.ts";
import type { SenderTerms } from "../model/protocol.ts";
import type { Kind, Labels, Metric } from "../model/sample.ts";
import type { Refused } from "./admitted.ts";

export interface NameLimits {
  readonly nameBytesMax: number;
  readonly tagValueBytesMax: number;
  readonly tagsMax: number;
}

/**
 * The one label that no sample may have: in Prometheus's view it is the name of the metric. All other labels that
 * begin with `__` are stored, as Prometheus and VictoriaMetrics do: senders add `__replica__` and `__tenant__` to
 * every series.
 */
const METRIC_NAME = "__name__";

/** Two texts that differ only in half of a pair would be equal once stored. */
const HALF = "contains half of a surrogate pair, which is not a character";

/** Why a metric's name is rejected, or undefined if it is accepted. */
export function checkMetricName(
  name: string,
  limits: NameLimits,
  { metric }: SenderTerms,
): Refused | undefined {
  const refuse = (what: string): Refused => ({ cause: "name", refused: `${metric} ${what}` });
  if (name === "") return refuse("is empty, expected a name");
  if (Buffer.byteLength(name) > limits.nameBytesMax)
    return refuse(`${quote(name)} is longer than ${limits.nameBytesMax} bytes (nameBytesMax)`);
  if (hasControl(name)) return refuse(`${quote(name)} contains a control character`);
  if (!name.isWellFormed()) return refuse(`${quote(name)} ${HALF}`);
  return undefined;
}

/** Why a sample's labels are rejected, or undefined if they are accepted. */
export function checkLabels(
  labels: Labels,
  kind: Kind,
  limits: NameLimits,
  { label }: SenderTerms,
): Refused | undefined {
  const refuse = (refused: string): Refused => ({ cause: "labels", refused });
  if (labels.size > limits.tagsMax)
    return refuse(
      `the sample has ${labels.size} ${label}s, at most ${limits.tagsMax} are accepted (tagsMax)`,
    );
  let isMapped = false;
  for (const [name, value] of labels) {
    if (name === "") return refuse(`${label} "" has an empty name`);
    if (name.length * 3 > limits.nameBytesMax && Buffer.byteLength(name) > limits.nameBytesMax) {
      return refuse(`${label} ${quote(name)} is longer than ${limits.nameBytesMax} bytes (nameBytesMax)`);
    }
    if (hasControl(name)) return refuse(`${label} ${quote(name)} contains a control character`);
    if (!name.isWellFormed()) return refuse(`${label} ${quote(name)} ${HALF}`);
    if (value.length * 3 > limits.tagValueBytesMax && Buffer.byteLength(value) > limits.tagValueBytesMax) {
      return refuse(
        `the value of ${label} ${quote(name)} is ${Buffer.byteLength(value)} bytes long, ` +
          `at most ${limits.tagValueBytesMax} are accepted (tagValueBytesMax)`,
      );
    }
    if (value.includes("\u0000"))
      return refuse(`the value of ${label} ${quote(name)} contains a NUL character`);
    if (!value.isWellFormed()) return refuse(`the value of ${label} ${quote(name)} ${HALF}`);
    const prometheus = prometheusLabelName(name);
    if (prometheus === METRIC_NAME) {
      const spelled = prometheus === name ? "" : ` is ${prometheus} in Prometheus, which`;
      return refuse(`${label} ${quote(name)}${spelled} is reserved for the name of the metric`);
    }
    if (kind === "observation" && (prometheus === "le" || prometheus === "quantile")) {
      return refuse(`${label} ${quote(name)} is reserved for the buckets of an observation`);
    }
    if (prometheus !== name) isMapped = true;
  }
  const same = isMapped ? spelledAlike(labels, label) : undefined;
  return same === undefined ? undefined : refuse(same);
}

/** The problem of two names that are the same in Prometheus, if there are such. */
function spelledAlike(labels: Labels, label: string): string | undefined {
  const mapped = new Map<string, string>();
  for (const name of labels.keys()) {
    const prometheus = prometheusLabelName(name);
    const other = mapped.get(prometheus);
    if (other !== undefined)
      return `${label}s ${quote(other)} and ${quote(name)} are both ${prometheus} in Prometheus`;
    mapped.set(prometheus, name);
  }
  return undefined;
}

/**
 * Kinds that have one value per series and timestamp. They agree with each other: a metric without a declared type is
 * stored as cumulative, and its metadata may declare it a gauge later.
 */
const LEVELS: ReadonlySet<Kind> = new Set(["gauge", "cumulative"]);

/** Whether a metric of one kind accepts samples of the other. */
export function agree(a: Kind, b: Kind): boolean {
  return a === b || (LEVELS.has(a) && LEVELS.has(b));
}

/** Whether samples of a kind can be added up, so that one of their labels can become a column. */
export function isMergeable(kind: Kind): boolean {
  return kind === "observation" || kind === "delta";
}

/** The names that a metric claims in Prometheus's view. No other family may use them. */
export function exposedNames(metric: Metric): string[] {
  const name = metric.prometheusName;
  switch (metric.kind) {
    case "observation":
      return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`, `${name}_created`];
    case "delta": {
      if (metric.type === "histogram") return [name];
      const family = name.endsWith("_total") ? name.slice(0, -"_total".length) : name;
      return [family, `${family}_total`, `${family}_created`];
    }
    default:
      return [name];
  }
}

function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds control characters
  return /[\u0000-\u001f\u007f]/.test(text);
}

/**
 * A text that is equal only for equal label sets: names and values are separated by a byte that neither may contain.
 */
export function labelsKey(labels: Labels): string {
  let key = "";
  // An iterator would make a pair for each label.
  labels.forEach((value, name) => {
    key += `${name}\u0000${value}\u0000`;
  });
  return key;
}

/** The labels, with each label of `extra` that they lack by name. */
export function withExtra(labels: Labels, extra: Labels): Labels {
  if (extra.size === 0) return labels;
  const merged = [...labels];
  for (const entry of extra) if (!labels.has(entry[0])) merged.push(entry);
  return new Map(merged.sort(([a], [b]) => (a < b ? -1 : 1)));
}
