/**
 * The OTLP requests of the benchmark: export after export of the same series, as a Collector sends those of many
 * workers. Each worker is a resource with two scopes and 20 metrics: ten counters, eight gauges and two histograms with
 * 10 bounds, or two further gauges, each with the same number of label sets of four attributes.
 *
 * Written byte by byte: a million points as objects would take longer to make than to send.
 */
import { field } from "./remote-write-requests.ts";

export interface OtlpLoad {
  readonly workers: number;
  /** Label sets of each metric. */
  readonly labelSets: number;
  /** Points that every series gets. */
  readonly exports: number;
  /** Workers whose points are in one request. */
  readonly workersPerRequest: number;
  /** Workers are shared out to connections, so that the points of one series stay in order. */
  readonly connections: number;
  readonly firstMs: number;
  readonly intervalMs: number;
  readonly temporality: "cumulative" | "delta";
  /** Whether a tenth of the points are histograms. */
  readonly hasHistograms: boolean;
}

const METRICS = 20;
const HISTOGRAMS = 2;
const BOUNDS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 600];

/** Points of one export of all workers. */
export const pointsPerExport = ({ workers, labelSets }: OtlpLoad): number => workers * labelSets * METRICS;
/**
 * Samples that a point becomes, on average. A counter or a gauge is one sample. A histogram is its buckets, +Inf, a count
 * and a sum.
 */
export const samplesPerPoint = ({ hasHistograms }: OtlpLoad): number =>
  hasHistograms ? (METRICS - HISTOGRAMS + HISTOGRAMS * (BOUNDS.length + 3)) / METRICS : 1;

/** By connection: its requests, in order. */
export function requests(load: OtlpLoad): Uint8Array<ArrayBuffer>[][] {
  const share = Math.ceil(load.workers / load.connections);
  return Array.from({ length: load.connections }, (_, connection) => {
    const own = Array.from({ length: load.workers }, (_, worker) => worker).slice(
      connection * share,
      (connection + 1) * share,
    );
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    for (let round = 0; round < load.exports; round++) {
      for (let at = 0; at < own.length; at += load.workersPerRequest) {
        const part = own.slice(at, at + load.workersPerRequest);
        bodies.push(new Uint8Array(Buffer.concat(part.map((worker) => resource(load, worker, round)))));
      }
    }
    return bodies;
  });
}

const text = (number: number, value: string) => field(number, Buffer.from(value));
const attribute = (number: number, key: string, value: string) =>
  field(number, Buffer.concat([text(1, key), field(2, text(1, value))]));

function fixed(number: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = (number << 3) | 1;
  write(bytes);
  return bytes;
}

const double = (number: number, value: number) => fixed(number, (bytes) => bytes.writeDoubleLE(value, 1));
const whole = (number: number, value: number) =>
  fixed(number, (bytes) => bytes.writeBigUInt64LE(BigInt(value), 1));

function resource(load: OtlpLoad, worker: number, round: number): Buffer {
  const attributes = [
    attribute(1, "service.namespace", "emp"),
    attribute(1, "service.name", "worker"),
    attribute(1, "service.instance.id", `worker-${worker}`),
    attribute(1, "machine.id", `m-${worker % 40}`),
    attribute(1, "deployment.environment", "production"),
    attribute(1, "telemetry.sdk.name", "opentelemetry"),
  ];
  const half = METRICS / 2;
  const scopes = ["emp-job-queue", "system-resources"].map((name, scope) => {
    const metrics = Array.from({ length: half }, (_, at) =>
      field(2, metric(load, worker, scope * half + at, round)),
    );
    return field(2, Buffer.concat([field(1, Buffer.concat([text(1, name), text(2, "1.0.0")])), ...metrics]));
  });
  return field(1, Buffer.concat([field(1, Buffer.concat(attributes)), ...scopes]));
}

const BOUND_FIELD = field(7, Buffer.concat(BOUNDS.map((bound) => double(0, bound).subarray(1))));
const ATTRIBUTES = new Map<string, Buffer>();

/** The attributes of a label set, encoded once. */
function attributesOf(set: number, number: number): Buffer {
  return ATTRIBUTES.getOrInsertComputed(`${number} ${set}`, () =>
    Buffer.concat(
      ["service", "priority", "status", "region"].map((key) =>
        attribute(number, key, `${key}-${set % 7}-${set}`),
      ),
    ),
  );
}

function metric(load: OtlpLoad, worker: number, index: number, round: number): Buffer {
  const isDelta = load.temporality === "delta";
  const isHistogram = load.hasHistograms && index % 10 === 9;
  const temporality = Buffer.of(16, isDelta ? 1 : 2);
  const points = Array.from({ length: load.labelSets }, (_, set) => {
    const attributes = attributesOf(set, isHistogram ? 9 : 7);
    const seed = worker * 1_000 + index * 37 + set;
    // Running totals that grow by something else each time.
    const steps = isDelta ? 1 : round + 1;
    const at = load.firstMs + round * load.intervalMs;
    const times = [nano(2, load.firstMs), nano(3, at)];
    if (isHistogram) {
      const counts = Array.from({ length: BOUNDS.length + 1 }, (_, bucket) => ((seed + bucket) % 5) * steps);
      const total = counts.reduce((a, b) => a + b, 0);
      return field(
        1,
        Buffer.concat([
          ...times,
          whole(4, total),
          double(5, total * 1.75),
          field(6, Buffer.concat(counts.map((count) => whole(0, count).subarray(1)))),
          BOUND_FIELD,
          attributes,
        ]),
      );
    }
    const value =
      index % 2 === 0
        ? whole(6, seed + ((seed % 17) + 1) * steps)
        : double(4, (seed + ((round * 31) % 17)) / 8);
    return field(1, Buffer.concat([...times, value, attributes]));
  });
  const texts = [
    text(1, `worker.metric_${index}.value`),
    text(2, "A metric of the benchmark."),
    text(3, "s"),
  ];
  if (isHistogram) return Buffer.concat([...texts, field(9, Buffer.concat([...points, temporality]))]);
  return index % 2 === 0
    ? Buffer.concat([...texts, field(7, Buffer.concat([...points, temporality, Buffer.of(24, 1)]))])
    : Buffer.concat([...texts, field(5, Buffer.concat(points))]);
}

function nano(number: number, ms: number): Buffer {
  return fixed(number, (bytes) => bytes.writeBigUInt64LE(BigInt(ms) * 1_000_000n, 1));
}
