/** Series and rows for the tests of this folder, in a short notation. */
import { prometheusName } from "../../../src/model/names.ts";
import {
  dayOf,
  type Kind,
  type Metric,
  type MetricType,
  type Rows,
  type Series,
} from "../../../src/model/sample.ts";

export interface Sample {
  readonly id: number;
  /** Seconds since the epoch. */
  readonly at: number;
  /** Null is a stale marker. */
  readonly value: number | null;
  readonly live?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
}

export function metric(name: string, kind: Kind, more: Partial<Metric> = {}): Metric {
  const type: MetricType = "unknown";
  return { name, prometheusName: prometheusName(name), kind, type, unit: "", help: "", buckets: [], ...more };
}

export function series(seriesId: number, of: Metric, labels: Readonly<Record<string, string>> = {}): Series {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return { exposed: true, seriesId, metric: of, labels: new Map(pairs) };
}

export function rows(samples: readonly Sample[]): Rows {
  const names = [...new Set(samples.flatMap(({ attributes }) => Object.keys(attributes ?? {})))];
  const pieces: Uint8Array[] = [];
  let size = 0;
  const attributes = names.map((name) => {
    const offset = new Uint32Array(samples.length);
    const length = new Uint32Array(samples.length);
    samples.forEach((sample, row) => {
      const bytes = new TextEncoder().encode(sample.attributes?.[name] ?? "");
      offset[row] = size;
      length[row] = bytes.length;
      pieces.push(bytes);
      size += bytes.length;
    });
    return { name, offset, length };
  });
  return {
    day: dayOf((samples[0]?.at ?? 0) * 1e6),
    length: samples.length,
    seriesId: Uint32Array.from(samples, ({ id }) => id),
    timestampUs: Float64Array.from(samples, ({ at }) => Math.round(at * 1e6)),
    value: Float64Array.from(samples, ({ value }) => value ?? NaN),
    stale: samples.some(({ value }) => value === null)
      ? Uint8Array.from(samples, ({ value }) => Number(value === null))
      : undefined,
    live: Uint8Array.from(samples, ({ live }) => Number(live ?? true)),
    attributes,
    text: Buffer.concat(pieces),
  };
}
