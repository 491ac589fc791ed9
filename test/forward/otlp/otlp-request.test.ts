/** Requests of OTLP, as the reference package protobufjs reads them. */
import { expect, test } from "bun:test";
import { OtlpRequestEncoder } from "../../../src/forward/otlp/otlp-request.ts";
import { OtlpNames } from "../../../src/forward/otlp/otlp-series.ts";
import { readPartialSuccess } from "../../../src/forward/otlp/partial-success.ts";
import type { Kind, Series } from "../../../src/model/sample.ts";
import { partOf, read } from "../../receive/otlp/otlp-messages.ts";

const NOON_US = Date.UTC(2024, 9, 4, 12) * 1_000;

function seriesOf(seriesId: number, name: string, kind: Kind, labels: Record<string, string>): Series {
  const metric = {
    ...{ name, prometheusName: name.replaceAll(".", "_"), kind, unit: "ms", help: "Wie lange: ü." },
    type: kind === "gauge" ? ("gauge" as const) : ("counter" as const),
    buckets: kind === "observation" ? [1, 2.5] : [],
  };
  return { seriesId, metric, labels: new Map(Object.entries(labels)), exposed: true };
}

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const nano = (us: number) => `${us}000`;

test("groups points by resource and metric, with sums, histograms, starts and ended series", () => {
  const names = new OtlpNames(
    { matchers: [], relabel: [], labels: { site: "berlin" } },
    { "machine.id": "m-1", "service.instance.id": "upserted" },
  );
  const level = names.of(seriesOf(1, "queue.size", "gauge", { job: "j", instance: "i", queue: "ü" }))!;
  const done = names.of(seriesOf(2, "jobs.done", "delta", { job: "j", instance: "i" }))!;
  const wait = names.of(seriesOf(3, "wait", "observation", { queue: "q" }))!;
  const points = [
    { series: level, us: NOON_US + 1, value: -0.5 },
    {
      series: wait,
      us: NOON_US,
      startUs: NOON_US - 15e6,
      histogram: { count: 6, sum: 9.5, buckets: Float64Array.of(1, 2, 3) },
    },
    { series: done, us: NOON_US, startUs: NOON_US - 30e6, value: 2 ** 53 },
    { series: level, us: NOON_US + 2 },
  ];
  const message = read("ExportMetricsServiceRequest", new OtlpRequestEncoder().encode(points, 0, 4).slice());
  const part = (...path: (string | number)[]) => partOf(message, "resourceMetrics", ...path);
  const metric = (resource: number, at: number, ...path: (string | number)[]) =>
    part(resource, "scopeMetrics", 0, "metrics", at, ...path);
  expect(part(2)).toBeUndefined();
  expect(part(0, "resource", "attributes")).toMatchObject([
    text("service.name", "j"),
    text("service.instance.id", "upserted"),
    text("machine.id", "m-1"),
  ]);
  expect(part(1, "resource", "attributes")).toMatchObject([
    text("machine.id", "m-1"),
    text("service.instance.id", "upserted"),
  ]);
  expect(part(0, "scopeMetrics", 0, "scope", "name")).toBe("weir");
  expect(metric(0, 0)).toMatchObject({ name: "queue.size", description: "Wie lange: ü.", unit: "ms" });
  expect(metric(0, 0, "gauge", "dataPoints")).toMatchObject([
    {
      attributes: [text("queue", "ü"), text("site", "berlin")],
      timeUnixNano: nano(NOON_US + 1),
      asDouble: -0.5,
      flags: 0,
    },
    { attributes: [text("queue", "ü"), text("site", "berlin")], timeUnixNano: nano(NOON_US + 2), flags: 1 },
  ]);
  expect(metric(0, 0, "gauge", "dataPoints", 1, "asDouble")).toBeUndefined();
  expect(metric(0, 1, "sum")).toMatchObject({ aggregationTemporality: 2, isMonotonic: true });
  expect(metric(0, 1, "sum", "dataPoints")).toMatchObject([
    { startTimeUnixNano: nano(NOON_US - 30e6), timeUnixNano: nano(NOON_US), asDouble: 2 ** 53 },
  ]);
  expect(metric(1, 0, "histogram", "aggregationTemporality")).toBe(2);
  expect(metric(1, 0, "histogram", "dataPoints")).toMatchObject([
    {
      startTimeUnixNano: nano(NOON_US - 15e6),
      timeUnixNano: nano(NOON_US),
      count: "6",
      sum: 9.5,
      bucketCounts: ["1", "2", "3"],
      explicitBounds: [1, 2.5],
      attributes: [text("queue", "q"), text("site", "berlin")],
    },
  ]);
});

test("reads how many points a destination rejected, as protobuf and as JSON", () => {
  const bytes = Uint8Array.of(0x0a, 5, 0x08, 3, 0x12, 1, 0x78);
  expect(readPartialSuccess(bytes, "application/x-protobuf")).toEqual({ rejected: 3, message: "x" });
  const json = new TextEncoder().encode('{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"y"}}');
  expect(readPartialSuccess(json, "application/json; charset=utf-8")).toEqual({ rejected: 2, message: "y" });
  const nothing = { rejected: 0, message: "" };
  expect(readPartialSuccess(new Uint8Array(), null)).toEqual(nothing);
  expect(readPartialSuccess(new TextEncoder().encode("<html>"), "text/html")).toEqual(nothing);
});
