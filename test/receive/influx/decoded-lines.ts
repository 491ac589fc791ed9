/** Decodes lines for tests, and writes samples as one text each: `metric{label="value"} 1.5 @time [column="value"]`. */
import type { Batch, Kind } from "../../../src/model/sample.ts";
import { LineDecoder } from "../../../src/receive/influx/line-protocol.ts";
import type { Precision } from "../../../src/receive/influx/precision.ts";

const LIMITS = { nameBytesMax: 255, tagValueBytesMax: 32, tagsMax: 8, samplesMax: 20_000 };

export interface Known {
  /** Kinds of metrics that are stored. */
  readonly kinds?: Readonly<Record<string, Kind>>;
  /** Labels that were demoted, by metric. */
  readonly demoted?: Readonly<Record<string, readonly string[]>>;
  readonly events?: readonly string[];
  readonly separator?: string;
  readonly valueSuffix?: boolean;
}

export function decoderOf(known: Known = {}): LineDecoder {
  const attributes = ["task_id", "trace_id"];
  const attributesOf = (metric: string) => [...attributes, ...(known.demoted?.[metric] ?? [])];
  return new LineDecoder({
    ...LIMITS,
    attributes,
    events: known.events ?? [],
    separator: known.separator ?? "_",
    valueSuffix: known.valueSuffix ?? true,
    attributesOf,
    isAttribute: (metric, tag) => attributesOf(metric).includes(tag),
    kindOf: (metric) => known.kinds?.[metric],
    epoch: () => 0,
  });
}

/** The samples of a body, with the rejected lines after them: `line 3: reason`. */
export function decoded(body: string | Uint8Array, known: Known = {}, precision: Precision = "ns"): string[] {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return textsOf(decoderOf(known).decode(bytes, precision).batch);
}

export function textsOf(batch: Batch): string[] {
  const text = Buffer.from(batch.text);
  const samples = Array.from({ length: batch.length }, (_, index) => {
    const { metric, kind, labels } = batch.heads[batch.head[index]!]!;
    const tags = [...labels].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",");
    const columns = batch.attributes
      .filter(({ length }) => length[index]! > 0)
      .map(({ name, offset, length }) => {
        const value = text.toString("utf8", offset[index], offset[index]! + length[index]!);
        return `${name}=${JSON.stringify(value)}`;
      });
    const us = batch.timestampUs[index]!;
    return [
      `${metric}${tags === "" ? "" : `{${tags}}`}`,
      Object.is(batch.value[index], -0) ? "-0" : String(batch.value[index]),
      ...(Number.isNaN(us) ? [] : [`@${us}`]),
      ...(columns.length === 0 ? [] : [`[${columns.toSorted().join(",")}]`]),
      ...(kind === "gauge" ? [] : [kind]),
    ].join(" ");
  });
  const rejected = batch.rejected.map(({ index, reason }) => `line ${index + 1}: ${reason}`);
  const warnings = (batch.warnings?.first ?? []).map(
    ({ index, message }) => `line ${index + 1} warns: ${message}`,
  );
  return [...samples, ...rejected, ...warnings];
}
