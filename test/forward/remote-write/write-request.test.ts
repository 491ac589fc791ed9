/** Messages of remote_write, as the reference package protobufjs reads them. */
import { expect, test } from "bun:test";
import { OutputNames } from "../../../src/forward/remote-write/output-series.ts";
import { PointCollector } from "../../../src/forward/remote-write/points.ts";
import { encoderOf } from "../../../src/forward/remote-write/write-request.ts";
import type { Kind, Metric, Series } from "../../../src/model/sample.ts";
import { readMetadata, readV1, readV2 } from "../../receive/remote-write/messages.ts";

function seriesOf(
  seriesId: number,
  name: string,
  labels: Record<string, string>,
  kind: Kind = "gauge",
): Series {
  const metric: Metric = {
    name,
    prometheusName: name.replaceAll(".", "_"),
    kind,
    type: kind === "gauge" ? "gauge" : "histogram",
    unit: "ms",
    help: "What it is: é.",
    buckets: kind === "observation" ? [1, 2.5] : [],
  };
  return { seriesId, metric, labels: new Map(Object.entries(labels)), exposed: true };
}

const plainNames = () => new OutputNames({ matchers: [], relabel: [], labels: {} });

test("both versions have sorted labels, samples in the order of time, and metadata", () => {
  const names = plainNames();
  const first = names.raw(seriesOf(1, "a.b", { Zone: "z", job: "ü" }))!;
  const second = names.raw(seriesOf(2, "c", {}))!;
  const collector = new PointCollector();
  collector.add(collector.placeOf(first), 1_728_043_200_002, -0.5);
  collector.add(collector.placeOf(second), 5, Number.POSITIVE_INFINITY);
  // Out of order, and twice at one time: the last one counts.
  collector.add(collector.placeOf(first), 1_728_043_200_001, 1e300);
  collector.add(collector.placeOf(first), 1_728_043_200_002, 0.1);
  const [points] = collector.take(1);
  const expected = [
    {
      labels: [
        ["Zone", "z"],
        ["__name__", "a_b"],
        ["job", "ü"],
      ],
      samples: [
        [1_728_043_200_001, 1e300],
        [1_728_043_200_002, 0.1],
      ],
    },
    { labels: [["__name__", "c"]], samples: [[5, Number.POSITIVE_INFINITY]] },
  ];
  const message = encoderOf(1)(points!, 0, points!.length, [first.metadata]);
  expect(readV1(message)).toEqual(expected as never);
  expect(readMetadata(message)).toEqual([
    { type: 2, metricFamilyName: "a_b", help: "What it is: é.", unit: "ms" },
  ]);
  const metadata = [2, "What it is: é.", "ms"];
  expect(readV2(encoderOf(2)(points!, 0, points!.length, []))).toEqual(
    expected.map((each) => ({ ...each, metadata })) as never,
  );
});

test("a range of samples is a message of its own, also if it begins within a series", () => {
  const names = plainNames();
  const collector = new PointCollector();
  for (const id of [1, 2])
    for (let at = 1; at <= 3; at++)
      collector.add(collector.placeOf(names.raw(seriesOf(id, `m${id}`, {}))!), at, at * id);
  const [points] = collector.take(1);
  const samples = readV1(encoderOf(1)(points!, 1, 5, [])).map((series) => series.samples);
  expect(samples).toEqual([
    [
      [2, 2],
      [3, 3],
    ],
    [
      [1, 2],
      [2, 4],
    ],
  ]);
});

test("a stale marker has the bits of Prometheus's", () => {
  const collector = new PointCollector();
  collector.add(collector.placeOf(plainNames().raw(seriesOf(1, "m", {}))!), 1, 0, true);
  const [points] = collector.take(1);
  const bytes = Buffer.from(encoderOf(1)(points!, 0, 1, []));
  expect(bytes.includes(Buffer.from([0x09, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f]))).toBe(true);
});

test("every series is in one of the parts, always the same, and in order there", () => {
  const names = plainNames();
  const partsOf = () => {
    const collector = new PointCollector();
    for (let at = 0; at < 400; at++)
      collector.add(collector.placeOf(names.raw(seriesOf(at % 40, "m", { n: String(at % 40) }))!), at, at);
    return collector.take(4).map((points) => readV1(encoderOf(1)(points, 0, points.length, [])));
  };
  const parts = partsOf();
  expect(parts.length).toBe(4);
  expect(parts.flat().length).toBe(40);
  for (const { samples } of parts.flat())
    expect(samples.map(([ms]) => ms)).toEqual(samples.map(([ms]) => ms).sort((a, b) => a - b));
  expect(partsOf()).toEqual(parts);
});

test("matchers, added labels and relabelling see each series of a histogram by its own name", () => {
  const relabel = [
    {
      sourceLabels: ["le"],
      separator: ";",
      regex: "1.0",
      modulus: 0,
      targetLabel: "",
      replacement: "$1",
      action: "drop" as const,
    },
    {
      sourceLabels: ["__name__"],
      separator: ";",
      regex: "(.*)_sum",
      modulus: 0,
      targetLabel: "__name__",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the replacement of a rule
      replacement: "${1}_total",
      action: "replace" as const,
    },
  ];
  const names = new OutputNames({
    matchers: [{ name: "__name__", value: "d.*", isRegex: true, isEqual: true }],
    relabel,
    labels: { site: "x", job: "not used" },
  });
  const { buckets, sum, count } = names.counters(seriesOf(1, "d", { job: "j" }, "observation"));
  const textOf = (series: (typeof buckets)[number]) => series && Object.fromEntries(series.labels);
  expect(buckets.map(textOf)).toEqual([
    undefined,
    { __name__: "d_bucket", job: "j", le: "2.5", site: "x" },
    { __name__: "d_bucket", job: "j", le: "+Inf", site: "x" },
  ]);
  expect(textOf(sum)).toEqual({ __name__: "d_total", job: "j", site: "x" });
  expect(textOf(count)).toEqual({ __name__: "d_count", job: "j", site: "x" });
  expect(names.raw(seriesOf(2, "e", {}))).toBeUndefined();
});
