/**
 * Metrics as Pushgateway's errors describe them: numbers as Go prints them, and metrics in the compact text
 * form of protobuf messages. Users of Pushgateway know these texts and search for them.
 */

import { openMetricsFloat } from "../../../model/spelling.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import type { PushedMetric } from "./pushed.ts";

/** A number as Go prints it: the shortest digits, with an exponent below 1e-4 and from 1e+06 up. */
export function goNumber(value: number): string {
  return openMetricsFloat(value).replace(/\.0$/, "");
}

/** The most buckets and quantiles in a message, which is for people. */
const EDGES_MAX = 5;

/** A metric with its labels, including those of its group: `label:<name:"job" value:"a" > gauge:<value:1 > `. */
export function describeMetric(
  type: FamilyType,
  labels: Iterable<readonly [string, string]>,
  { value }: Pick<PushedMetric, "value">,
): string {
  const pairs = [...labels].sort(([a], [b]) => (a < b ? -1 : 1));
  const labelsText = pairs
    .map(([name, text]) => `label:<name:${bytesText(name)} value:${bytesText(text)} > `)
    .join("");
  if (typeof value === "number") return `${labelsText}${type}:<value:${number(value)} > `;
  const edges = value.edges
    .slice(0, EDGES_MAX)
    .map((at) =>
      type === "histogram"
        ? `bucket:<cumulative_count:${at.value} upper_bound:${number(at.edge)} > `
        : `quantile:<quantile:${number(at.edge)} value:${number(at.value)} > `,
    );
  const more = value.edges.length > EDGES_MAX ? "… " : "";
  return `${labelsText}${type}:<sample_count:${value.count} sample_sum:${number(value.sum)} ${edges.join("")}${more}> `;
}

function number(value: number): string {
  if (value - value !== 0) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return goNumber(value);
}

const TEXT_LENGTH_MAX = 120;
const ESCAPES: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\" };

/** The text in quotes, capped, with every byte that is not printable ASCII in octal. */
function bytesText(text: string): string {
  let out = "";
  for (const byte of Buffer.from(text.slice(0, TEXT_LENGTH_MAX))) {
    const escaped = ESCAPES[byte];
    if (escaped !== undefined) out += escaped;
    else if (byte < 32 || byte > 126) out += `\\${byte.toString(8).padStart(3, "0")}`;
    else out += String.fromCharCode(byte);
  }
  return `"${out}${text.length > TEXT_LENGTH_MAX ? "…" : ""}"`;
}
