/**
 * The text of numbers, labels and help texts in both exposition formats
 * (https://prometheus.io/docs/instrumenting/exposition_formats/,
 * https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md). Pure.
 */
import { prometheusLabelName } from "./names.ts";
import type { Labels } from "./sample.ts";

/** A sample's value: the shortest digits that parse to the same double. */
export function numberText(value: number): string {
  if (value - value === 0) return String(value);
  return value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
}

/**
 * The OpenMetrics text of a number in `le` and `quantile`: `250.0`, `0.25`, `1e+06`, `+Inf`. These are label
 * values, so equal numbers must have equal text everywhere. The thresholds for an exponent are those of Go's
 * shortest `%g`, with which Prometheus itself normalises them.
 */
export function openMetricsFloat(value: number): string {
  if (value - value !== 0) return numberText(value);
  if (value === 0) return "0.0";
  const [mantissa, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 6) {
    const digits = Math.abs(exponent) < 10 ? `0${Math.abs(exponent)}` : String(Math.abs(exponent));
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
  }
  const plain = String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

/** Escapes a label's value: backslash, quote and line feed. */
export function escapeLabelValue(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`))
    : value;
}

/** Escapes a help text: backslash and line feed, and in OpenMetrics the quote too. */
export function escapeHelp(help: string, quotes: boolean): string {
  const escaped = help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
  return quotes ? escaped.replace(/"/g, '\\"') : escaped;
}

/**
 * The labels between the braces, in ascending order of their Prometheus names: `a="1",b="2"`. `absentInstance`
 * adds `instance=""` if there is none, so that a scrape with honor_labels does not add the gateway's own
 * address. The label `without` is left out.
 *
 * @param textOf the text between the quotes, by the label as it is stored
 */
export function labelText(
  labels: Labels,
  absentInstance = false,
  without?: string,
  textOf: (name: string, value: string) => string = (_, value) => escapeLabelValue(value),
): string {
  const pairs: [string, string][] = [];
  let instance = !absentInstance;
  // Usually they are in order.
  let isOrdered = true;
  let last = "";
  for (const [name, value] of labels) {
    if (name === without) continue;
    const spelled = prometheusLabelName(name);
    if (spelled === "instance") instance = true;
    if (spelled < last) isOrdered = false;
    last = spelled;
    pairs.push([spelled, textOf(name, value)]);
  }
  if (!instance) {
    isOrdered = false;
    pairs.push(["instance", ""]);
  }
  if (!isOrdered) pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  // Joined, because a text that grows by += keeps all its pieces in memory until it is read.
  return pairs.map(([name, value]) => `${name}="${value}"`).join(",");
}

/** Appends one pair to the text of `labelText`. */
export function withLabel(text: string, name: string, value: string): string {
  const pair = `${name}="${escapeLabelValue(value)}"`;
  return text ? `${text},${pair}` : pair;
}

/**
 * A decimal number as the text protocols spell it, such as `3`, `-0.25`, `+1.`, `.5` and `1e-3`. It takes linear time: a
 * digit belongs to one part of the expression only, so a long text that is not a number is not tried in many ways.
 */
export const DECIMAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** The value of `le` or `quantile` as an OpenMetrics float. Text that is not a number or an infinity is kept. */
export function edgeText(value: string): string {
  const infinite = INFINITE.exec(value);
  if (infinite !== null) return infinite[1] === "-" ? "-Inf" : "+Inf";
  const number = DECIMAL.test(value) ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? openMetricsFloat(number) : value;
}

/**
 * Labels whose `le` and `quantile` are OpenMetrics floats, so that equal numbers have equal text: 250 is 250.0.
 */
export function withUsualEdges(labels: Labels): Labels {
  let usual: Map<string, string> | undefined;
  for (const name of ["le", "quantile"]) {
    const edge = labels.get(name);
    if (edge === undefined) continue;
    const text = edgeText(edge);
    if (text === edge) continue;
    usual ??= new Map(labels);
    usual.set(name, text);
  }
  return usual ?? labels;
}
