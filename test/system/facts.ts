/**
 * Three facts, as the clients of each protocol say them: 3 jobs were done, a level is 21.5, and a request took 250 ms. All
 * have the labels job="facts", instance="w-1" and op="get".
 *
 * The table PROTOCOLS is the one place that says how the protocols differ: which kinds their samples have, whether a
 * sample has a time of its own, whether a push is acknowledged, and what a repeated push does.
 */
import snappyjs from "snappyjs";
import { encodeSeries } from "../receive/datadog/agent-payload.ts";
import { call, frame } from "../receive/otlp/grpc/grpc-client.ts";
import { attributes, encode } from "../receive/otlp/otlp-messages.ts";
import { encodeV2 } from "../receive/remote-write/messages.ts";

export const LABELS = { instance: "w-1", job: "facts", op: "get" };
/** Upper bounds of histograms that a client aggregates. */
const BOUNDS = [100, 250, 500];

/** The addresses of a gateway, by scheme. */
export type Addresses = Readonly<Record<"http" | "grpc" | "tcp" | "udp", string>>;

/** A row of SQL: the metric, its kind, the bound of its bucket, and its value. */
export type Row = readonly [metric: string, kind: string, le: string | null, value: number];

export interface FactProtocol {
  /** The beginning of the names of its metrics. */
  readonly name: string;
  /** How the facts are stored. */
  readonly rows: (name: string) => Row[];
  /** The counter in PromQL. Its value is 3. */
  readonly counter: (name: string) => string;
  /** False if it has no durations with a count and a sum: then the duration is a level. */
  readonly hasHistogram: boolean;
  /** Whether the sender says the time of a sample. Otherwise it is the time of arrival. */
  readonly hasTime: boolean;
  /** Whether the sender learns that a push is stored. */
  readonly isAcknowledged: boolean;
  /**
   * What a push that is sent again does. `once`: nothing, it is recognised. `replaced`: the same values are stored at the
   * time of the second push, and no total changes. `added`: it counts again, because nothing tells it apart from a new
   * one. `none`: nobody pushes.
   */
  readonly retry: "once" | "replaced" | "added" | "none";
  /** Pushes the facts at a time in whole seconds, and resolves once the push is acknowledged. */
  readonly push: (name: string, to: Addresses, seconds: number) => Promise<void>;
}

/** One row per event: increments are added up here, and measurements are kept. */
const EACH_EVENT = (name: string): Row[] => [
  [`${name}_jobs`, "delta", null, 3],
  [`${name}_level`, "gauge", null, 21.5],
  [`${name}_took_ms`, "observation", null, 250],
];

const aggregated =
  (kind: string) =>
  (name: string): Row[] => [
    [`${name}_jobs_total`, kind, null, 3],
    [`${name}_level`, "gauge", null, 21.5],
    [`${name}_took_ms_bucket`, kind, "+Inf", 1],
    [`${name}_took_ms_bucket`, kind, "100.0", 0],
    [`${name}_took_ms_bucket`, kind, "250.0", 1],
    [`${name}_took_ms_bucket`, kind, "500.0", 1],
    [`${name}_took_ms_count`, kind, null, 1],
    [`${name}_took_ms_sum`, kind, null, 250],
  ];

/** The totals of a client. */
const RUNNING_TOTALS = aggregated("cumulative");
/** What a client counted since its last push. */
const INCREMENTS = aggregated("delta");

/** Lines without kinds. */
const LEVELS = (name: string): Row[] => [
  [`${name}_jobs`, "gauge", null, 3],
  [`${name}_level`, "gauge", null, 21.5],
  [`${name}_took_ms`, "gauge", null, 250],
];

const total = (name: string) => `${name}_jobs_total`;
const JSON_TYPE = { "content-type": "application/json" };

async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await fetch(url, { method: "POST", body, headers });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} was answered ${answer.status}: ${text}`);
}

/** The text format of Prometheus, with bounds as its clients write them, unless `digits` says otherwise. */
export function expositionText(name: string, labels: string, milliseconds?: number, digits = 0): string {
  const at = milliseconds === undefined ? "" : ` ${milliseconds}`;
  const bounds = [...BOUNDS.map((bound) => bound.toFixed(digits)), "+Inf"];
  const buckets = bounds.map(
    (le) => `${name}_took_ms_bucket{${labels},le="${le}"} ${Number.parseInt(le, 10) === 100 ? 0 : 1}${at}`,
  );
  return [
    `# TYPE ${name}_jobs_total counter`,
    `${name}_jobs_total{${labels}} 3${at}`,
    `# TYPE ${name}_level gauge`,
    `${name}_level{${labels}} 21.5${at}`,
    `# TYPE ${name}_took_ms histogram`,
    ...buckets,
    `${name}_took_ms_sum{${labels}} 250${at}`,
    `${name}_took_ms_count{${labels}} 1${at}`,
    "",
  ].join("\n");
}

function otlpRequest(name: string, seconds: number) {
  const point = { timeUnixNano: `${seconds}000000000`, attributes: attributes({ op: "get" }) };
  const delta = { aggregationTemporality: 1 };
  const histogram = {
    ...point,
    count: "1",
    sum: 250,
    bucketCounts: ["0", "1", "0", "0"],
    explicitBounds: BOUNDS,
  };
  const metrics = [
    { name: `${name}.jobs`, sum: { ...delta, isMonotonic: true, dataPoints: [{ ...point, asInt: "3" }] } },
    { name: `${name}.level`, gauge: { dataPoints: [{ ...point, asDouble: 21.5 }] } },
    { name: `${name}.took_ms`, histogram: { ...delta, dataPoints: [histogram] } },
  ];
  const resource = { attributes: attributes({ "service.name": "facts", "service.instance.id": "w-1" }) };
  return encode({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
}

function datadogSeries(name: string, seconds: number) {
  const tags = Object.entries(LABELS).map(([label, value]) => `${label}:${value}`);
  const point = (value: number) => ({ tags, points: [{ timestamp: seconds, value }] });
  return encodeSeries(
    { metric: `${name}_jobs`, type: 1, ...point(3) },
    { metric: `${name}_level`, type: 3, ...point(21.5) },
  );
}

export const PROTOCOLS: readonly FactProtocol[] = [
  {
    name: "events",
    rows: EACH_EVENT,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const event = { "@timestamp": seconds * 1000, tags: LABELS };
      const events = [
        { ...event, metric_name: `${name}_jobs`, value: 3, type: "counter" },
        { ...event, metric_name: `${name}_level`, value: 21.5, type: "gauge" },
        { ...event, metric_name: `${name}_took_ms`, value: 250 },
      ];
      await post(`${http}/api/v1/push`, JSON.stringify(events), { ...JSON_TYPE, "idempotency-key": "facts" });
    },
  },
  {
    name: "remote_write",
    rows: RUNNING_TOTALS,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const [COUNTER, GAUGE, HISTOGRAM] = [1, 2, 3];
      const series = (metric: string, type: number, value: number, le?: string) => ({
        labels: Object.entries({ __name__: `${name}_${metric}`, ...LABELS, ...(le && { le }) }).sort(),
        samples: [{ value, timestamp: seconds * 1000 }],
        metadata: { type },
      });
      const body = encodeV2([
        series("jobs_total", COUNTER, 3),
        series("level", GAUGE, 21.5),
        ...BOUNDS.map((le) => series("took_ms_bucket", HISTOGRAM, le === 100 ? 0 : 1, `${le}.0`)),
        series("took_ms_bucket", HISTOGRAM, 1, "+Inf"),
        series("took_ms_sum", HISTOGRAM, 250),
        series("took_ms_count", HISTOGRAM, 1),
      ] as Parameters<typeof encodeV2>[0]);
      await post(`${http}/api/v1/write`, snappyjs.compress(new Uint8Array(body)), {
        "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "content-encoding": "snappy",
      });
    },
  },
  {
    name: "pushgateway",
    rows: RUNNING_TOTALS,
    counter: total,
    hasHistogram: true,
    hasTime: false,
    isAcknowledged: true,
    retry: "replaced",
    async push(name, { http }) {
      await post(`${http}/metrics/job/facts/instance/w-1`, expositionText(name, 'op="get"'));
    },
  },
  {
    name: "otlp_http",
    rows: INCREMENTS,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const body = new Uint8Array(otlpRequest(name, seconds));
      await post(`${http}/v1/metrics`, body, { "content-type": "application/x-protobuf" });
    },
  },
  {
    name: "otlp_grpc",
    rows: INCREMENTS,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { grpc }, seconds) {
      const { code, message } = await call(grpc, frame(otlpRequest(name, seconds)));
      if (code !== 0) throw new Error(`${grpc} was answered ${code}: ${message}`);
    },
  },
  {
    name: "influx",
    // A field is a level, and a measurement that the gateway was started to take for events has observations.
    rows: (name) => [...LEVELS(name).slice(0, 2), ...EACH_EVENT(name).slice(2)],
    counter: (name) => `${name}_jobs`,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const tags = Object.entries(LABELS).map(([label, value]) => `,${label}=${value}`);
      const lines = [
        `${name}${tags.join("")} jobs=3i,level=21.5 ${seconds}`,
        `${name}_took${tags.join("")} ms=250 ${seconds}`,
      ];
      await post(`${http}/write?db=facts&precision=s`, lines.join("\n"));
    },
  },
  {
    name: "statsd",
    rows: EACH_EVENT,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: false,
    retry: "added",
    async push(name, { udp }, seconds) {
      const tags = Object.entries(LABELS).map(([label, value]) => `${label}:${value}`);
      const lines = [`${name}_jobs:3|c`, `${name}_level:21.5|g`, `${name}_took_ms:250|ms`];
      const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
      const port = Number(new URL(udp).port);
      socket.send(lines.map((line) => `${line}|#${tags}|T${seconds}`).join("\n"), port, "127.0.0.1");
      socket.close();
    },
  },
  {
    name: "graphite",
    rows: LEVELS,
    counter: (name) => `${name}_jobs`,
    hasHistogram: false,
    hasTime: true,
    isAcknowledged: false,
    retry: "once",
    async push(name, { tcp }, seconds) {
      const tags = Object.entries(LABELS).map(([label, value]) => `;${label}=${value}`);
      const lines = LEVELS(name).map(
        ([metric, , , value]) => `${metric}${tags.join("")} ${value} ${seconds}\n`,
      );
      const { hostname, port } = new URL(tcp);
      const socket = await Bun.connect({ hostname, port: Number(port), socket: { data: () => undefined } });
      socket.end(lines.join(""));
    },
  },
  {
    name: "victoria",
    rows: RUNNING_TOTALS,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const labels = 'instance="w-1",job="facts",op="get"';
      // The text of a bound is stored as it was sent, as by remote_write.
      await post(`${http}/api/v1/import/prometheus`, expositionText(name, labels, seconds * 1000, 1));
    },
  },
  {
    name: "datadog",
    rows: EACH_EVENT,
    counter: total,
    hasHistogram: true,
    hasTime: true,
    isAcknowledged: true,
    retry: "once",
    async push(name, { http }, seconds) {
      const protobuf = { "content-type": "application/x-protobuf", "dd-api-key": "unused" };
      await post(`${http}/datadog/api/v2/series`, datadogSeries(name, seconds), protobuf);
      const tags = Object.entries(LABELS).map(([label, value]) => `${label}:${value}`);
      const series = [{ metric: `${name}_took_ms`, points: [[seconds, [250]]], tags }];
      await post(`${http}/datadog/api/v1/distribution_points`, JSON.stringify({ series }), JSON_TYPE);
    },
  },
  {
    name: "scraped",
    rows: RUNNING_TOTALS,
    counter: total,
    hasHistogram: true,
    hasTime: false,
    isAcknowledged: false,
    retry: "none",
    // The gateway fetches the facts from its target.
    push: () => Promise.resolve(),
  },
];
