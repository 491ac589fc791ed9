/**
 * The Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
 *
 * It has no sample timestamps and no exemplars. `le` and `quantile` have the same text as in OpenMetrics, so that a
 * series is the same in both formats.
 */

import { escapeHelp, numberText } from "../model/spelling.ts";
import {
  type DistributionFamily,
  type DistributionPoint,
  type Family,
  isDistribution,
  type ShownExemplar,
  type ValueFamily,
} from "./family.ts";

export const TEXT_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Characters per chunk: large enough that the number of chunks costs nothing, and small enough to send soon. */
export const CHUNK_CHARACTERS = 128 * 1024;

/** Writes families in chunks of about `CHUNK_CHARACTERS`. */
export function* renderText(families: readonly Family[]): Generator<string, void, void> {
  let out = "";
  for (const family of families) {
    if (family.help) out += `# HELP ${family.name} ${escapeHelp(family.help, false)}\n`;
    out += `# TYPE ${family.name} ${family.type === "unknown" ? "untyped" : family.type}\n`;
    for (const lines of isDistribution(family) ? distributionLines(family) : valueLines(family)) {
      out += lines;
      if (out.length < CHUNK_CHARACTERS) continue;
      yield out;
      out = "";
    }
  }
  if (out) yield out;
}

function* valueLines(family: ValueFamily): Generator<string, void, void> {
  for (const { labels, value } of family.points) {
    yield labels
      ? `${family.name}{${labels}} ${numberText(value)}\n`
      : `${family.name} ${numberText(value)}\n`;
  }
}

function* distributionLines(family: DistributionFamily): Generator<string, void, void> {
  for (const point of family.points) yield edgeLines(family, point) + sumLines(family.name, point);
}

/** One line per bucket or quantile. Only OpenMetrics has exemplars, whose text follows the value. */
export function edgeLines(
  { name, type }: DistributionFamily,
  { labels, edges, values, exemplars }: DistributionPoint,
  exemplarText?: (exemplar: ShownExemplar) => string,
): string {
  const comma = labels ? "," : "";
  const head =
    type === "histogram" ? `${name}_bucket{${labels}${comma}le="` : `${name}{${labels}${comma}quantile="`;
  let lines = "";
  for (let at = 0; at < edges.length; at++) {
    const exemplar = exemplarText && exemplars?.[at];
    lines += `${head}${edges[at]}"} ${numberText(values[at])}${exemplar ? exemplarText(exemplar) : ""}\n`;
  }
  return lines;
}

/** `_sum` and `_count`. They are the same in both formats. */
export function sumLines(name: string, { labels, sum, count }: DistributionPoint): string {
  const block = labels ? `{${labels}}` : "";
  return (
    (sum === undefined ? "" : `${name}_sum${block} ${numberText(sum)}\n`) +
    (count === undefined ? "" : `${name}_count${block} ${numberText(count)}\n`)
  );
}
