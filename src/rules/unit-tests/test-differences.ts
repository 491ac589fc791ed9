/**
 * What differs between expected and found alerts or samples, as lines for people: `-` is expected, `+` was found, and a
 * line without a sign is the same in both. Pure.
 */
import { formatFloat, quoteText } from "../../query/promql/promql-text.ts";
import { compareLabels, type LabelSet } from "../../query/promql/labels.ts";
import type { ActiveAlert } from "../evaluation/rule-state.ts";
import type { LabelValues } from "../label-values.ts";
import type { ExpectedAlert } from "./unit-test-file.ts";

/** A labelled sample of a test. */
export interface ComparedSample {
  readonly labels: LabelSet;
  readonly value: number;
}

/** Compares alerts that should fire with all that are known. Empty if they agree. */
export function alertDifferences(
  expected: readonly ExpectedAlert[],
  known: readonly ActiveAlert[],
): string[] {
  const firing = known.filter(({ state }) => state === "firing");
  const left = new Map<string, (ExpectedAlert | ActiveAlert)[]>();
  for (const alert of firing) left.getOrInsertComputed(keyOf(alert.labels), () => []).push(alert);
  const lines: string[] = [];
  for (const wanted of sorted(expected)) {
    const same = left.get(keyOf(wanted.labels)) ?? [];
    const exact = same.findIndex(({ annotations }) => isSame(annotations, wanted.annotations));
    const [found] = same.splice(Math.max(0, exact), 1);
    if (found === undefined) {
      lines.push(...alertLines("-", wanted));
      const pending = known.find(
        ({ state, labels }) => state === "pending" && keyOf(labels) === keyOf(wanted.labels),
      );
      if (pending !== undefined) lines.push("    it is pending");
    } else if (exact < 0) {
      lines.push(`  ${labelText(wanted.labels)}`, ...annotationLines(wanted.annotations, found.annotations));
    }
  }
  for (const alert of sorted([...left.values()].flat())) lines.push(...alertLines("+", alert));
  return lines;
}

/** As in promtool, an empty text is not the same as none. */
const sortedEntries = (labels: LabelValues) => Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
const keyOf = (labels: LabelValues) => JSON.stringify(sortedEntries(labels));
const isSame = (a: LabelValues, b: LabelValues) => keyOf(a) === keyOf(b);

function sorted<Alert extends ExpectedAlert>(alerts: readonly Alert[]): Alert[] {
  const key = ({ labels }: Alert) => keyOf(labels);
  return alerts.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function alertLines(sign: "-" | "+", { labels, annotations }: ExpectedAlert): string[] {
  const texts = sortedEntries(annotations);
  return [
    `${sign} ${labelText(labels)}`,
    ...texts.map(([name, text]) => `${sign}   ${name}: ${quoteText(text)}`),
  ];
}

function annotationLines(expected: LabelValues, found: LabelValues): string[] {
  const names = [...new Set([...Object.keys(expected), ...Object.keys(found)])].sort();
  return names.flatMap((name) => {
    const [wanted, got] = [expected, found].map((each) =>
      Object.hasOwn(each, name) ? each[name] : undefined,
    );
    if (wanted === got) return [];
    const line = (sign: string, text: string | undefined) =>
      text === undefined ? [] : [`${sign}   ${name}: ${quoteText(text)}`];
    return [...line("-", wanted), ...line("+", got)];
  });
}

function labelText(labels: LabelValues): string {
  const pairs = sortedEntries(labels);
  return `{${pairs.map(([name, value]) => `${name}=${quoteText(value)}`).join(", ")}}`;
}

/** Compares samples, whose order does not matter. NaN equals NaN. Empty if they agree. */
export function sampleDifferences(
  expected: readonly ComparedSample[],
  found: readonly ComparedSample[],
  isFuzzy: boolean,
): string[] {
  const left = new Map<string, ComparedSample[]>();
  for (const sample of found) left.getOrInsertComputed(sample.labels.key, () => []).push(sample);
  const missing = expected.filter(({ labels, value }) => {
    const same = left.get(labels.key) ?? [];
    const at = same.findIndex((sample) => isEqual(value, sample.value, isFuzzy));
    if (at >= 0) same.splice(at, 1);
    return at < 0;
  });
  const more = [...left.values()].flat();
  const lines = [
    ...missing.map((sample) => ({ sign: "-", ...sample })),
    ...more.map((sample) => ({ sign: "+", ...sample })),
  ];
  return lines
    .toSorted((a, b) => compareLabels(a.labels, b.labels) || (a.sign < b.sign ? 1 : -1))
    .map(({ sign, labels, value }) => `${sign} ${labels} ${formatFloat(value)}`);
}

function isEqual(a: number, b: number, isFuzzy: boolean): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return isFuzzy && (next(a, 1) === b || next(a, -1) === b);
}

/** The next larger or smaller number. */
function next(value: number, direction: 1 | -1): number {
  if (!Number.isFinite(value)) return value;
  if (value === 0) return direction * Number.MIN_VALUE;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const step = value > 0 === direction > 0 ? 1n : -1n;
  view.setBigUint64(0, view.getBigUint64(0) + step);
  return view.getFloat64(0);
}
