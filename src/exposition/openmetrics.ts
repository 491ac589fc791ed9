/**
 * OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md).
 * Families of counters lose `_total`. It has UNIT, `_created`, exemplars on buckets, and `# EOF`. Samples have
 * no timestamps.
 */

import { escapeHelp, escapeLabelValue, numberText } from "../model/spelling.ts";
import {
  type DistributionFamily,
  type ShownExemplar,
  type Family,
  isDistribution,
  openMetricsName,
  type ValueFamily,
} from "./family.ts";
import { withoutClashes } from "./openmetrics-names.ts";
import { CHUNK_CHARACTERS, edgeLines, sumLines } from "./text.ts";

/** The content type, with the requested version. The text is the same for 1.0.0 and 0.0.1. */
export function openMetricsContentType(version: "1.0.0" | "0.0.1"): string {
  return `application/openmetrics-text; version=${version}; charset=utf-8`;
}

/** Writes families in chunks of about `CHUNK_CHARACTERS`. The last chunk ends with `# EOF`. */
export function* renderOpenMetrics(families: readonly Family[]): Generator<string, void, void> {
  let out = "";
  for (const family of withoutClashes(families)) {
    out += metadata(family);
    for (const lines of isDistribution(family) ? distributionLines(family) : valueLines(family)) {
      out += lines;
      if (out.length < CHUNK_CHARACTERS) continue;
      yield out;
      out = "";
    }
  }
  yield `${out}# EOF\n`;
}

/**
 * The metadata lines. A counter without `_total` is not valid here. It keeps its name, and gets the type
 * `unknown`.
 */
function metadata(family: Family): string {
  const name = openMetricsName(family);
  const type = family.type === "counter" && name === family.name ? "unknown" : family.type;
  const unit = family.unit && name.endsWith(`_${family.unit}`) ? `# UNIT ${name} ${family.unit}\n` : "";
  const help = family.help ? `# HELP ${name} ${escapeHelp(family.help, true)}\n` : "";
  return `${help}# TYPE ${name} ${type}\n${unit}`;
}

function* valueLines(family: ValueFamily): Generator<string, void, void> {
  const { name } = family;
  const base = openMetricsName(family);
  const total = base !== name;
  for (const { labels, value, createdUs } of family.points) {
    const block = labels ? `{${labels}}` : "";
    const line = `${name}${block} ${numberText(value)}\n`;
    yield total && createdUs !== undefined ? line + createdLine(base, block, createdUs) : line;
  }
}

function* distributionLines(family: DistributionFamily): Generator<string, void, void> {
  const { name } = family;
  for (const point of family.points) {
    // With a bucket for negative values the sum is not a counter. It must then be absent, and so must the count.
    const sums = point.edges[0]?.startsWith("-") && family.type === "histogram" ? "" : sumLines(name, point);
    const created =
      point.createdUs === undefined
        ? ""
        : createdLine(name, point.labels ? `{${point.labels}}` : "", point.createdUs);
    yield edgeLines(family, point, exemplarText) + sums + created;
  }
}

function exemplarText({ name, label, value, timestampUs }: ShownExemplar): string {
  return ` # {${name}="${escapeLabelValue(label)}"} ${numberText(value)} ${timestampUs / 1e6}`;
}

function createdLine(name: string, block: string, createdUs: number): string {
  return `${name}_created${block} ${createdUs / 1e6}\n`;
}
