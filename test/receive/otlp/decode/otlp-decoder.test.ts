/**
 * OTLP metrics become samples: one line per case, in protobuf (written by the reference package protobufjs) and in
 * JSON. Each case is decoded three times by one decoder, so that what it remembers changes nothing.
 */
import { describe, expect, test } from "bun:test";
import { OtlpDecoder } from "../../../../src/receive/otlp/decode/otlp-decoder.ts";
import { jsonToProtobuf } from "../../../../src/receive/otlp/decode/otlp-json.ts";
import type { LabelOptions } from "../../../../src/receive/otlp/labels/point-labels.ts";
import { TRANSLATIONS } from "../../../../src/receive/otlp/labels/translated-names.ts";
import {
  attributes,
  DEFAULTS,
  decodeOnce,
  encode,
  type JsonRequest,
  lines,
  nano,
  request,
  whole,
} from "../otlp-messages.ts";

function decodeAll(sent: JsonRequest, options: Partial<LabelOptions> = {}) {
  const decoder = new OtlpDecoder({ ...DEFAULTS, ...options });
  const first = decoder.decode(encode(sent));
  const want = whole(first);
  expect(whole(decoder.decode(encode(sent)))).toEqual(want);
  expect(whole(decoder.decode(jsonToProtobuf(Buffer.from(JSON.stringify(sent)))))).toEqual(want);
  return first;
}

const ok = (name: string, metric: object, want: readonly string[], resource: Record<string, string> = {}) =>
  test(name, () => {
    const decoded = decodeAll(request([metric], resource));
    expect(decoded.batch.rejected).toEqual([]);
    expect(lines(decoded)).toEqual([...want]);
  });
const bad = (name: string, metric: object, reason: string, cause = "value") =>
  test(name, () => {
    const good = { name: "good", gauge: { dataPoints: [{ timeUnixNano: nano(1), asDouble: 1 }] } };
    const decoded = decodeAll(request([metric, good]));
    expect(lines(decoded)).toEqual(["good 1 @1 gauge"]);
    expect(decoded.batch.rejected.map((each) => [each.index, each.cause, each.reason])).toEqual([
      [0, cause, reason],
    ]);
  });

const at = (seconds: number, more: object = {}) => ({ timeUnixNano: nano(seconds), ...more });
const gauge = (...dataPoints: object[]) => ({ name: "queue.size", gauge: { dataPoints } });
const sum = (aggregationTemporality: number, isMonotonic: boolean, ...dataPoints: object[]) => ({
  name: "jobs",
  sum: { aggregationTemporality, isMonotonic, dataPoints },
});
const histogram = (aggregationTemporality: number, ...dataPoints: object[]) => ({
  name: "duration",
  unit: "s",
  histogram: { aggregationTemporality, dataPoints },
});
const [DELTA, CUMULATIVE] = [1, 2];
const three = { count: "3", sum: 4.5, bucketCounts: ["1", "1", "1"], explicitBounds: [0.5, 2] };

describe("a number", () => {
  ok("of a gauge is a gauge", gauge(at(1, { asDouble: 2.5 }), at(2, { asInt: "-7" })), [
    "queue_size 2.5 @1 gauge",
    "queue_size -7 @2 gauge",
  ]);
  ok("keeps microseconds", gauge({ timeUnixNano: "1704067200123456999", asDouble: 1 }), [
    "queue_size 1 @0.123456 gauge",
  ]);
  ok(
    "may be NaN or infinite in a gauge",
    gauge(at(1, { asDouble: "NaN" }), at(2, { asDouble: "-Infinity" })),
    ["queue_size NaN @1 gauge", "queue_size -Infinity @2 gauge"],
  );
  ok("of a monotonic sum is a running total", sum(CUMULATIVE, true, at(1, { asInt: "5" })), [
    "jobs_total 5 @1 cumulative",
  ]);
  ok("of another sum is a gauge", sum(CUMULATIVE, false, at(1, { asInt: "-5" })), ["jobs -5 @1 gauge"]);
  ok("of a monotonic sum with delta temporality is an increment", sum(DELTA, true, at(1, { asInt: "5" })), [
    "jobs_total 5 @1 delta",
  ]);
  ok("that was not recorded ends its series", gauge(at(1, { flags: 1 })), ["queue_size stale @1 gauge"]);
  ok("with other flags is a value", gauge(at(1, { flags: 6, asDouble: 3 })), ["queue_size 3 @1 gauge"]);
  ok("that was not recorded is no increment", sum(DELTA, true, at(1, { flags: 1 })), []);
  ok("may be sent twice", gauge(at(1, { asDouble: 2 }), at(1, { asDouble: 3 })), [
    "queue_size 2 @1 gauge",
    "queue_size 3 @1 gauge",
  ]);
  bad("without a value is rejected", gauge(at(1)), 'metric "queue.size" has neither as_double nor as_int');
  bad(
    "without a time is rejected",
    gauge({ asDouble: 1 }),
    'metric "queue.size" has no time: time_unix_nano is 0',
    "timestamp",
  );
  bad(
    "with a time in milliseconds is rejected",
    gauge({ timeUnixNano: "1704067200000", asDouble: 1 }),
    'metric "queue.size" has time_unix_nano 1704067200000, which is 1970-01-01T00:28:24.067Z; expected nanoseconds ' +
      "since 1970 (this one looks like milliseconds)",
    "timestamp",
  );
  bad(
    "with a time in microseconds is rejected",
    gauge({ timeUnixNano: "1704067200000000", asDouble: 1 }),
    'metric "queue.size" has time_unix_nano 1704067200000000, which is 1970-01-20T17:21:07.200Z; expected ' +
      "nanoseconds since 1970 (this one looks like microseconds)",
    "timestamp",
  );
  bad(
    "that decreases a counter is rejected",
    sum(DELTA, true, at(1, { asInt: "-1" })),
    'metric "jobs" has the value -1, expected an increment of 0 or more',
  );
  bad(
    "that is no number is rejected as an increment",
    sum(DELTA, true, at(1, { asDouble: "NaN" })),
    'metric "jobs" has the value NaN, expected an increment of 0 or more',
  );

  test("that no 64-bit float holds is stored as the nearest one, with a warning", () => {
    const { batch } = decodeAll(
      request([
        sum(CUMULATIVE, true, at(1, { asInt: "9007199254740993" }), at(2, { asInt: "9007199254740994" })),
      ]),
    );
    expect([...batch.value.subarray(0, 2)]).toEqual([9007199254740992, 9007199254740994]);
    expect(batch.warnings?.first).toEqual([
      {
        index: 0,
        field: "value",
        message: "value 9007199254740993 was stored as 9007199254740992, the nearest 64-bit float",
        metric: "jobs",
        samples: 1,
      },
    ]);
  });
});

describe("a metric", () => {
  bad(
    "without a name is rejected",
    { ...gauge(at(1, { asDouble: 1 })), name: "" },
    'metric "": its name is empty',
    "name",
  );
  bad(
    "whose name has no letter is rejected",
    { ...gauge(at(1, { asDouble: 1 })), name: "!?" },
    'metric "!?": no letter or digit of its name remains in Prometheus',
    "name",
  );
  bad(
    "that is a non-monotonic sum of increments is rejected",
    sum(DELTA, false, at(1, { asInt: "1" })),
    'metric "jobs": it is a non-monotonic sum with delta temporality, which is not supported; send sums of ' +
      "UpDownCounters with cumulative temporality",
    "kind",
  );
  for (const [temporality, is] of [
    [0, "not set"],
    [3, "unknown"],
  ] as const) {
    const reason = `its aggregation_temporality is ${is}, expected delta (1) or cumulative (2)`;
    bad(
      `whose temporality is ${is} is rejected`,
      sum(temporality, true, at(1, { asInt: "1" })),
      `metric "jobs": ${reason}`,
      "kind",
    );
    bad(
      `whose temporality is ${is} is rejected if it is a histogram`,
      histogram(temporality, at(1, three)),
      `metric "duration": ${reason}`,
      "kind",
    );
  }

  test("without data is reported", () => {
    const { batch, points } = decodeAll(request([{ name: "nothing" }]));
    expect([points, batch.length]).toEqual([0, 0]);
    expect(batch.warnings?.first[0]?.message).toBe('metric "nothing" has no data of a known type');
  });

  test("has its unit and description as metadata", () => {
    const metric = { ...histogram(CUMULATIVE, at(1, { count: "0" })), description: "How long it took." };
    const { batch } = decodeAll(request([metric]));
    expect(batch.heads.map(({ metric, type, unit, help }) => [metric, type, unit, help])).toEqual([
      ["duration_seconds_bucket", "histogram", "seconds", "How long it took."],
      ["duration_seconds_count", "histogram", "seconds", "How long it took."],
    ]);
  });

  test("has the types of Prometheus", () => {
    const { batch } = decodeAll(
      request([
        gauge(at(1, { asDouble: 1 })),
        sum(CUMULATIVE, true, at(1, { asInt: "1" })),
        { ...sum(CUMULATIVE, false, at(1, { asInt: "1" })), name: "active" },
        { name: "rpc", summary: { dataPoints: [at(1, { count: "0" })] } },
      ]),
    );
    expect(batch.heads.map(({ metric, type }) => [metric, type])).toEqual([
      ["queue_size", "gauge"],
      ["jobs_total", "counter"],
      ["active", "gauge"],
      ["rpc_count", "summary"],
      ["rpc_sum", "summary"],
    ]);
  });
});

describe("a histogram", () => {
  ok("is cumulative buckets, a count and a sum", histogram(CUMULATIVE, at(1, three)), [
    'duration_seconds_bucket{le="0.5"} 1 @1 cumulative',
    'duration_seconds_bucket{le="2.0"} 2 @1 cumulative',
    'duration_seconds_bucket{le="+Inf"} 3 @1 cumulative',
    "duration_seconds_count 3 @1 cumulative",
    "duration_seconds_sum 4.5 @1 cumulative",
  ]);
  ok("of increments has increments in all of its parts", histogram(DELTA, at(1, three)), [
    'duration_seconds_bucket{le="0.5"} 1 @1 delta',
    'duration_seconds_bucket{le="2.0"} 2 @1 delta',
    'duration_seconds_bucket{le="+Inf"} 3 @1 delta',
    "duration_seconds_count 3 @1 delta",
    "duration_seconds_sum 4.5 @1 delta",
  ]);
  ok("may lack buckets and a sum", histogram(CUMULATIVE, at(1, { count: "3" })), [
    'duration_seconds_bucket{le="+Inf"} 3 @1 cumulative',
    "duration_seconds_count 3 @1 cumulative",
  ]);
  ok("may have one bucket", histogram(CUMULATIVE, at(1, { count: "3", sum: 0, bucketCounts: ["3"] })), [
    'duration_seconds_bucket{le="+Inf"} 3 @1 cumulative',
    "duration_seconds_count 3 @1 cumulative",
    "duration_seconds_sum 0 @1 cumulative",
  ]);
  ok(
    "ends the buckets that it does not have any more",
    histogram(CUMULATIVE, at(1, three), at(2, { count: "1", bucketCounts: ["1", "0"], explicitBounds: [2] })),
    [
      'duration_seconds_bucket{le="0.5"} 1 @1 cumulative',
      'duration_seconds_bucket{le="2.0"} 2 @1 cumulative',
      'duration_seconds_bucket{le="+Inf"} 3 @1 cumulative',
      "duration_seconds_count 3 @1 cumulative",
      "duration_seconds_sum 4.5 @1 cumulative",
      'duration_seconds_bucket{le="0.5"} stale @2 cumulative',
      'duration_seconds_bucket{le="2.0"} 1 @2 cumulative',
      'duration_seconds_bucket{le="+Inf"} 1 @2 cumulative',
      "duration_seconds_count 1 @2 cumulative",
    ],
  );
  ok("that was not recorded ends its series", histogram(CUMULATIVE, at(1, three), at(2, { flags: 1 })), [
    'duration_seconds_bucket{le="0.5"} 1 @1 cumulative',
    'duration_seconds_bucket{le="2.0"} 2 @1 cumulative',
    'duration_seconds_bucket{le="+Inf"} 3 @1 cumulative',
    "duration_seconds_count 3 @1 cumulative",
    "duration_seconds_sum 4.5 @1 cumulative",
    'duration_seconds_bucket{le="0.5"} stale @2 cumulative',
    'duration_seconds_bucket{le="2.0"} stale @2 cumulative',
    'duration_seconds_bucket{le="+Inf"} stale @2 cumulative',
    "duration_seconds_count stale @2 cumulative",
    "duration_seconds_sum stale @2 cumulative",
  ]);
  bad(
    "with too few counts is rejected",
    histogram(CUMULATIVE, at(1, { ...three, bucketCounts: ["1", "2"] })),
    'metric "duration" has 2 bucket_counts and 2 explicit_bounds, expected one count more than bounds',
  );
  bad(
    "with bounds and no counts is rejected",
    histogram(CUMULATIVE, at(1, { ...three, bucketCounts: [] })),
    'metric "duration" has 0 bucket_counts and 2 explicit_bounds, expected one count more than bounds',
  );
  bad(
    "with unsorted bounds is rejected",
    histogram(CUMULATIVE, at(1, { ...three, explicitBounds: [2, 0.5] })),
    'metric "duration" has explicit_bounds that are not in ascending order: 0.5 comes after 2',
  );
  bad(
    "with a bound twice is rejected",
    histogram(CUMULATIVE, at(1, { ...three, explicitBounds: [2, 2] })),
    'metric "duration" has explicit_bounds that are not in ascending order: 2 comes after 2',
  );
  bad(
    "with an infinite bound is rejected",
    histogram(CUMULATIVE, at(1, { ...three, explicitBounds: [2, "Infinity"] })),
    'metric "duration" has Infinity among its explicit_bounds, expected finite numbers',
  );
  bad(
    "whose count is not the sum of its buckets is rejected",
    histogram(CUMULATIVE, at(1, { ...three, count: "4" })),
    'metric "duration" has 3 observations in its buckets, and count 4',
  );
  bad(
    "with an attribute le is rejected",
    histogram(CUMULATIVE, at(1, { ...three, attributes: attributes({ le: "1" }) })),
    'metric "duration": attribute "le" is reserved for the bounds of a histogram',
    "labels",
  );

  test("of increments whose sum is negative is stored without the sum, with a warning", () => {
    const decoded = decodeAll(request([histogram(DELTA, at(1, { count: "1", sum: -2 }))]));
    expect(lines(decoded)).toEqual([
      'duration_seconds_bucket{le="+Inf"} 1 @1 delta',
      "duration_seconds_count 1 @1 delta",
    ]);
    expect(decoded.batch.warnings?.first[0]?.message).toBe(
      "the sum -2 is not stored, because an increment must be a number of 0 or more",
    );
  });
});

describe("an exponential histogram", () => {
  const exponential = (aggregationTemporality: number, ...dataPoints: object[]) => ({
    name: "latency",
    unit: "s",
    exponentialHistogram: { aggregationTemporality, dataPoints },
  });
  // Scale 1: the buckets end at powers of the root of 2. Bucket 0 is (1, 1.41], 1 is (1.41, 2], 2 is (2, 2.83].
  ok(
    "has powers of two as bounds",
    exponential(
      CUMULATIVE,
      at(1, {
        count: "6",
        sum: 9,
        scale: 1,
        zeroCount: "1",
        positive: { offset: 0, bucketCounts: ["1", "1", "3"] },
      }),
    ),
    [
      'latency_seconds_bucket{le="1.0"} 1 @1 cumulative',
      'latency_seconds_bucket{le="2.0"} 3 @1 cumulative',
      'latency_seconds_bucket{le="4.0"} 6 @1 cumulative',
      'latency_seconds_bucket{le="+Inf"} 6 @1 cumulative',
      "latency_seconds_count 6 @1 cumulative",
      "latency_seconds_sum 9 @1 cumulative",
    ],
  );
  // Scale -1: bucket 0 is (1, 4], 1 is (4, 16].
  test("ends the bounds that its buckets do not have any more", () => {
    const sent = exponential(
      CUMULATIVE,
      at(1, { count: "2", scale: 0, positive: { offset: 0, bucketCounts: ["1", "1"] } }),
      at(2, { count: "3", scale: -1, positive: { offset: 0, bucketCounts: ["2", "1"] } }),
    );
    // Not decoded again, because the bounds of the second point are also those of later points.
    expect(lines(decodeOnce(encode(request([sent]))))).toEqual([
      'latency_seconds_bucket{le="1.0"} 0 @1 cumulative',
      'latency_seconds_bucket{le="2.0"} 1 @1 cumulative',
      'latency_seconds_bucket{le="4.0"} 2 @1 cumulative',
      'latency_seconds_bucket{le="+Inf"} 2 @1 cumulative',
      "latency_seconds_count 2 @1 cumulative",
      'latency_seconds_bucket{le="2.0"} stale @2 cumulative',
      'latency_seconds_bucket{le="1.0"} 0 @2 cumulative',
      'latency_seconds_bucket{le="4.0"} 2 @2 cumulative',
      'latency_seconds_bucket{le="16.0"} 3 @2 cumulative',
      'latency_seconds_bucket{le="+Inf"} 3 @2 cumulative',
      "latency_seconds_count 3 @2 cumulative",
    ]);
  });

  test("of increments has fixed bounds by its unit, whatever its values and its scale are", () => {
    const decoded = decodeAll(
      request([
        exponential(
          DELTA,
          // 2^-20 and below, (1, 2], (8192, 16384], and one below zero.
          at(1, {
            count: "5",
            sum: 1,
            scale: 0,
            zeroCount: "1",
            positive: { offset: 0, bucketCounts: ["2"] },
            negative: { offset: 3, bucketCounts: ["2"] },
          }),
          at(2, { count: "2", sum: 1, scale: 0, positive: { offset: 13, bucketCounts: ["2"] } }),
          // Scale 2 at offset -80: up to 2^-19.75.
          at(3, { count: "1", sum: 1, scale: 2, positive: { offset: -80, bucketCounts: ["1"] } }),
        ),
      ]),
    );
    const bounds = Array.from({ length: 25 }, (_, index) => 2 ** (index - 12));
    const counts = (seconds: number) =>
      lines(decoded)
        .filter((line) => line.includes("_bucket") && line.endsWith(`@${seconds} delta`))
        .map((line) => Number(line.split(" ")[1]));
    expect(counts(1)).toEqual([...bounds.map((bound) => (bound >= 2 ? 5 : 3)), 5]);
    expect(counts(2)).toEqual([...bounds.map(() => 0), 2]);
    expect(counts(3)).toEqual([...bounds.map(() => 1), 1]);
    expect(decoded.batch.heads.filter(({ metric }) => metric.endsWith("_bucket")).length).toBe(26);
  });

  bad(
    "whose count is not the sum of its buckets is rejected",
    exponential(CUMULATIVE, at(1, { count: "2", scale: 0, positive: { offset: 0, bucketCounts: ["1"] } })),
    'metric "latency" has 1 observations in its buckets, and count 2',
  );
  bad(
    "with an impossible scale is rejected",
    exponential(CUMULATIVE, at(1, { count: "0", scale: 21 })),
    'metric "latency" has scale 21, expected -10 to 20',
  );
});

describe("the start of a running total", () => {
  const started = (start: number, seconds: number, more: object) =>
    at(seconds, { startTimeUnixNano: nano(start), ...more });
  const counter = (...dataPoints: object[]) => sum(CUMULATIVE, true, ...dataPoints);
  ok("is a zero, once", counter(started(10, 20, { asInt: "5" }), started(10, 30, { asInt: "6" })), [
    "jobs_total 0 @10 cumulative",
    "jobs_total 5 @20 cumulative",
    "jobs_total 6 @30 cumulative",
  ]);
  ok("is a zero in each part of a histogram", histogram(CUMULATIVE, started(10, 20, three)), [
    'duration_seconds_bucket{le="0.5"} 0 @10 cumulative',
    'duration_seconds_bucket{le="2.0"} 0 @10 cumulative',
    'duration_seconds_bucket{le="+Inf"} 0 @10 cumulative',
    "duration_seconds_count 0 @10 cumulative",
    "duration_seconds_sum 0 @10 cumulative",
    'duration_seconds_bucket{le="0.5"} 1 @20 cumulative',
    'duration_seconds_bucket{le="2.0"} 2 @20 cumulative',
    'duration_seconds_bucket{le="+Inf"} 3 @20 cumulative',
    "duration_seconds_count 3 @20 cumulative",
    "duration_seconds_sum 4.5 @20 cumulative",
  ]);
  ok("is no sample of increments and gauges", sum(DELTA, true, started(10, 20, { asInt: "5" })), [
    "jobs_total 5 @20 delta",
  ]);
  ok("is no sample if it is more than ten minutes ago", counter(started(10, 611, { asInt: "5" })), [
    "jobs_total 5 @611 cumulative",
  ]);
  ok("is no sample if it is the time of the point", counter(started(20, 20, { asInt: "5" })), [
    "jobs_total 5 @20 cumulative",
  ]);

  test("is a zero again when the sender restarts, and when a request is repeated", () => {
    const decoder = new OtlpDecoder(DEFAULTS);
    const samples = (start: number, seconds: number) =>
      lines(decoder.decode(encode(request([counter(started(start, seconds, { asInt: "5" }))])))).length;
    expect([samples(10, 20), samples(10, 20), samples(10, 30), samples(10, 30)]).toEqual([2, 2, 1, 1]);
    // The second start is after the last point. The third overlaps, as one of another worker without an instance.
    expect([samples(35, 40), samples(35, 50), samples(45, 60)]).toEqual([2, 1, 1]);
  });
});

describe("a summary", () => {
  const summary = (...dataPoints: object[]) => ({ name: "rpc", unit: "ms", summary: { dataPoints } });
  ok(
    "is quantiles, a count and a sum",
    summary(
      at(1, {
        count: "3",
        sum: 4.5,
        quantileValues: [
          { quantile: 0.5, value: 1 },
          { quantile: 1, value: 3 },
        ],
      }),
    ),
    [
      'rpc_milliseconds{quantile="0.5"} 1 @1 cumulative',
      'rpc_milliseconds{quantile="1.0"} 3 @1 cumulative',
      "rpc_milliseconds_count 3 @1 cumulative",
      "rpc_milliseconds_sum 4.5 @1 cumulative",
    ],
  );
  bad(
    "with a quantile above 1 is rejected",
    summary(at(1, { count: "3", quantileValues: [{ quantile: 50, value: 1 }] })),
    'metric "rpc" has the quantiles [50], expected numbers from 0 to 1',
  );
});

describe("labels", () => {
  const point = (plain: Parameters<typeof attributes>[0]) =>
    gauge(at(1, { asDouble: 1, attributes: attributes(plain) }));
  ok(
    "are sorted attributes with translated names",
    point({ "http.method": "GET", "1st": "x", _own: "y", a: "" }),
    ['queue_size{http_method="GET",key_1st="x",key_own="y"} 1 @1 gauge'],
  );
  ok(
    "join the values of attributes with the same translated name",
    point({ "a.b": "2", "a-b": "1", "a b": "0" }),
    ['queue_size{a_b="0;1;2"} 1 @1 gauge'],
  );
  ok(
    "have the JSON text of numbers and booleans",
    point({
      whole: 9223372036854775807n,
      low: -9223372036854775808n,
      half: 0.5,
      large: 1e21,
      yes: true,
      no: false,
    }),
    [
      'queue_size{half="0.5",large="1e+21",low="-9223372036854775808",no="false",whole="9223372036854775807",yes="true"} 1 @1 gauge',
    ],
  );

  const nested = (value: object) => gauge(at(1, { asDouble: 1, attributes: [{ key: "a", value }] }));
  ok(
    "have the JSON text of arrays and maps, with the keys of a map in order",
    nested({
      arrayValue: {
        values: [
          { stringValue: "x" },
          { intValue: "9007199254740993" },
          { boolValue: true },
          {},
          {
            kvlistValue: {
              values: [
                { key: "z", value: { doubleValue: 1.5 } },
                { key: "b", value: { stringValue: "" } },
              ],
            },
          },
        ],
      },
    }),
    ['queue_size{a="[\\"x\\",9007199254740993,true,null,{\\"b\\":\\"\\",\\"z\\":1.5}]"} 1 @1 gauge'],
  );
  ok("have bytes in base64", nested({ bytesValue: "AQL/" }), ['queue_size{a="AQL/"} 1 @1 gauge']);
  ok("leave out attributes without a value", nested({}), ["queue_size 1 @1 gauge"]);
  bad(
    "with an empty name are rejected",
    point({ "": "x" }),
    'metric "queue.size": an attribute has an empty name',
    "labels",
  );
  bad(
    "whose name disappears are rejected",
    point({ 字字: "x" }),
    'metric "queue.size": attribute "字字" cannot be a label: no letter or digit of its name remains in Prometheus',
    "labels",
  );

  test("nested too deeply are rejected", () => {
    let value: object = { stringValue: "x" };
    for (let depth = 0; depth < 40; depth++) value = { arrayValue: { values: [value] } };
    const { batch } = decodeAll(request([nested(value)]));
    expect(batch.rejected.map(({ reason }) => reason)).toEqual([
      'metric "queue.size": attribute "a" is nested more than 32 levels deep',
    ]);
  });

  const service = { "service.namespace": "emp", "service.name": "worker", "service.instance.id": "w-1" };
  ok(
    "get job and instance from the resource",
    point({ a: "b" }),
    ['queue_size{a="b",instance="w-1",job="emp/worker"} 1 @1 gauge'],
    service,
  );
  ok("get job without a namespace", point({}), ['queue_size{job="worker"} 1 @1 gauge'], {
    "service.name": "worker",
  });

  test("of a point named job are replaced by those of the resource, with a warning", () => {
    const decoded = decodeAll(request([point({ job: "x", instance: "w-1" })], service));
    expect(lines(decoded)).toEqual(['queue_size{instance="w-1",job="emp/worker"} 1 @1 gauge']);
    expect(decoded.batch.warnings?.first.map(({ message }) => message)).toEqual([
      'attribute "job" was replaced by service.name of the resource',
    ]);
  });

  const resource = {
    ...service,
    "machine.id": "m-1",
    "deployment.environment": "production",
    "host.name": "h",
  };
  const promoted = (options: Partial<LabelOptions>, plain = {}) =>
    lines(decodeAll(request([point(plain)], resource), options))[0];
  test("promote the attributes of the resource that the setting names", () => {
    const promoteResourceAttributes = ["machine.id", "deployment.environment", "absent"];
    expect(promoted({ promoteResourceAttributes })).toBe(
      'queue_size{deployment_environment="production",instance="w-1",job="emp/worker",machine_id="m-1"} 1 @1 gauge',
    );
    expect(promoted({ promoteResourceAttributes }, { machine_id: "own" })).toContain('machine_id="own"');
  });
  test("promote all attributes of the resource except ignored ones", () => {
    const options = {
      promoteResourceAttributes: ["all"],
      ignoreResourceAttributes: ["host.name", "service.name"],
    };
    expect(promoted(options)).toBe(
      'queue_size{deployment_environment="production",instance="w-1",job="emp/worker",machine_id="m-1",' +
        'service_instance_id="w-1",service_namespace="emp"} 1 @1 gauge',
    );
  });

  test("have the scope if the setting says so", () => {
    const scopeMetrics = [
      {
        scope: { name: "meter", version: "1.0", attributes: attributes({ "a.b": "c" }) },
        schemaUrl: "https://opentelemetry.io/schemas/1.37.0",
        metrics: [point({})],
      },
    ];
    const sent = { resourceMetrics: [{ scopeMetrics }] };
    expect(lines(decodeAll(sent))).toEqual(["queue_size 1 @1 gauge"]);
    expect(lines(decodeAll(sent, { promoteScope: true }))).toEqual([
      'queue_size{otel_scope_a_b="c",otel_scope_name="meter",' +
        'otel_scope_schema_url="https://opentelemetry.io/schemas/1.37.0",otel_scope_version="1.0"} 1 @1 gauge',
    ]);
  });

  test("are not translated if the setting says so", () => {
    const options = {
      translation: TRANSLATIONS["no-translation"],
      promoteResourceAttributes: ["machine.id"],
    };
    expect(promoted(options, { "http.method": "GET" })).toBe(
      'queue.size{http.method="GET",instance="w-1",job="emp/worker",machine.id="m-1"} 1 @1 gauge',
    );
  });
});

describe("target_info", () => {
  const points = (...seconds: number[]) => gauge(...seconds.map((each) => at(each, { asDouble: 1 })));
  const infos = (sent: JsonRequest) =>
    lines(decodeAll(sent)).filter((line) => line.startsWith("target_info"));

  test("has the other attributes of the resource, once per request and time", () => {
    const sent = request([points(1), points(1)], {
      "service.name": "w",
      "machine.id": "m",
      "telemetry.sdk.name": "x",
    });
    const twice = { resourceMetrics: [...sent.resourceMetrics, ...sent.resourceMetrics] };
    expect(infos(twice)).toEqual(['target_info{job="w",machine_id="m",telemetry_sdk_name="x"} 1 @1 gauge']);
  });
  test("has a sample each two and a half minutes between the first and the last point", () => {
    const sent = request([points(0, 400)], { "service.name": "w", a: "b" });
    expect(infos(sent).map((line) => line.split(" ")[2])).toEqual(["@0", "@150", "@300", "@400"]);
  });
  test("has two samples if the points are more than two days apart", () => {
    expect(infos(request([points(0, 200_000)], { "service.name": "w", a: "b" })).length).toBe(2);
  });
  test("does not exist without job and instance, without other attributes, and without points", () => {
    expect(infos(request([points(1)], { "machine.id": "m" }))).toEqual([]);
    expect(infos(request([points(1)], { "service.name": "w", "service.namespace": "n" }))).toEqual([]);
    expect(infos(request([], { "service.name": "w", "machine.id": "m" }))).toEqual([]);
  });
});

describe("exemplars", () => {
  const exemplar = (more: object) => ({
    timeUnixNano: nano(1),
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    ...more,
  });
  const exemplarsOf = (metric: object) => {
    const { batch } = decodeAll(request([metric]));
    return batch.exemplars?.map(({ head, value, labels }) => [
      batch.heads[head]!.metric,
      batch.heads[head]!.labels.get("le"),
      value,
      Object.fromEntries(labels),
    ]);
  };
  const ids = { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" };

  test("belong to the bucket of their value, with the ids of trace and span", () => {
    const exemplars = [exemplar({ asDouble: 0.5 }), exemplar({ asDouble: 0.6 }), exemplar({ asInt: "9" })];
    expect(exemplarsOf(histogram(CUMULATIVE, at(1, { ...three, exemplars })))).toEqual([
      ["duration_seconds_bucket", "0.5", 0.5, ids],
      ["duration_seconds_bucket", "2.0", 0.6, ids],
      ["duration_seconds_bucket", "+Inf", 9, ids],
    ]);
  });
  test("have the filtered attributes if they are not too long", () => {
    const exemplars = [
      exemplar({ asDouble: 1, filteredAttributes: attributes({ "user.id": "u" }) }),
      exemplar({ asDouble: 2, filteredAttributes: attributes({ long: "x".repeat(100) }) }),
      { timeUnixNano: nano(1), asDouble: 3, filteredAttributes: attributes({ a: "b" }) },
    ];
    expect(exemplarsOf(sum(CUMULATIVE, true, at(1, { asInt: "1", exemplars })))).toEqual([
      ["jobs_total", undefined, 1, { ...ids, user_id: "u" }],
      ["jobs_total", undefined, 2, ids],
      ["jobs_total", undefined, 3, { a: "b" }],
    ]);
  });
  test("without a value or a label are dropped and counted", () => {
    const exemplars = [exemplar({}), { timeUnixNano: nano(1), asDouble: 1, traceId: "00".repeat(16) }];
    const decoded = decodeAll(request([sum(CUMULATIVE, true, at(1, { asInt: "1", exemplars }))]));
    expect([decoded.batch.exemplars, decoded.exemplarsDropped]).toEqual([undefined, 2]);
  });
});

describe("a body", () => {
  test("with points after points of the same metric keeps their series apart", () => {
    const points = (plain: Record<string, string>, value: number) =>
      at(1, { asDouble: value, attributes: attributes(plain) });
    const decoder = new OtlpDecoder(DEFAULTS);
    const orders = [
      [{ a: "1" }, { a: "2" }, {}],
      [{ a: "2" }, {}, { a: "1" }],
      [{ b: "2" }, { a: "1" }, { a: "1", b: "2" }],
    ];
    for (const order of orders) {
      const sent = request([
        gauge(...order.map((each, index) => points(each as Record<string, string>, index))),
      ]);
      expect(lines(decoder.decode(encode(sent)))).toEqual(lines(decodeOnce(encode(sent))));
    }
  });

  test("may have its fields in any order, and unknown ones", () => {
    const field = (number: number, type: number, ...bytes: number[]) =>
      Buffer.of((number << 3) | type, ...bytes);
    const block = (number: number, ...parts: Buffer[]) => {
      const bytes = Buffer.concat(parts);
      return Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes]);
    };
    const text = (value: string) => Buffer.from(value);
    const attribute = (number: number, key: string, value: string) =>
      block(number, block(2, block(1, text(value))), block(1, text(key)));
    const time = Buffer.alloc(9);
    time[0] = (3 << 3) | 1;
    time.writeBigUInt64LE(BigInt(nano(1)), 1);
    const value = Buffer.alloc(9);
    value[0] = (6 << 3) | 1;
    value.writeBigInt64LE(7n, 1);
    const unknown = block(15, text("?"));
    // Attributes before, between and after the other fields; monotonicity before the points; the name after the data.
    const point = block(
      1,
      attribute(7, "a", "1"),
      time,
      unknown,
      attribute(7, "b", "2"),
      value,
      attribute(7, "c", "3"),
    );
    const metric = block(
      2,
      block(3, text("s")),
      block(7, field(3, 0, 1), point, field(2, 0, 2)),
      unknown,
      block(1, text("x")),
    );
    const scope = block(2, metric, block(1, block(1, text("meter"))));
    const message = block(1, scope, block(1, attribute(1, "service.name", "w")));
    for (const decoder = new OtlpDecoder(DEFAULTS), times = [1, 2]; times.pop(); )
      expect(lines(decoder.decode(message))).toEqual([
        'x_seconds_total{a="1",b="2",c="3",job="w"} 7 @1 cumulative',
      ]);
  });

  test("whose texts are not UTF-8 loses the points that they belong to", () => {
    const named = (name: string) => ({ name, gauge: { dataPoints: [at(1, { asDouble: 1 })] } });
    const labelled = {
      name: "l",
      gauge: { dataPoints: [at(1, { asDouble: 1, attributes: attributes({ k: "@@" }) })] },
    };
    const message = encode(request([named("@@"), labelled, named("good")]));
    for (let from = message.indexOf("@@"); from >= 0; from = message.indexOf("@@", from))
      message[from] = 0xff;
    const decoded = decodeOnce(message);
    expect(lines(decoded)).toEqual(["good 1 @1 gauge"]);
    expect(decoded.batch.rejected.map(({ index, reason }) => [index, reason])).toEqual([
      [0, 'metric "\ufffd@": its name, description or unit is not valid UTF-8'],
      [1, 'metric "l": attribute "k" is not valid UTF-8: "\ufffd@"'],
    ]);
  });

  test("that ends early is rejected as a whole", () => {
    const message = encode(request([histogram(CUMULATIVE, at(1, three))], { "service.name": "w" }));
    for (let end = 1; end < message.length; end++)
      expect(() => decodeOnce(message.subarray(0, end))).toThrow("the body is not a protobuf message");
  });
});

describe("a message that would take all memory is rejected", () => {
  const bounds = (length: number) => Array.from({ length }, (_, at) => at);
  const point = (length: number) =>
    at(1, { count: "0", bucketCounts: Array(length + 1).fill("0"), explicitBounds: bounds(length) });

  bad(
    "because of a histogram with too many bounds",
    histogram(CUMULATIVE, point(10_001)),
    'metric "duration" has 10001 explicit_bounds, at most 10000 are accepted',
  );
  bad(
    "because of a histogram without a value and with too many bounds",
    histogram(CUMULATIVE, at(1, { flags: 1, explicitBounds: bounds(10_001) })),
    'metric "duration" has 10001 explicit_bounds, at most 10000 are accepted',
  );
  bad(
    "because of a summary with too many quantiles",
    {
      name: "rtt",
      summary: { dataPoints: [at(1, { quantileValues: bounds(10_001).map(() => ({ quantile: 0.5 })) })] },
    },
    'metric "rtt" has 10001 quantiles, at most 10000 are accepted',
  );
  bad(
    "because of an exponential histogram with too many buckets",
    {
      name: "size",
      exponentialHistogram: {
        aggregationTemporality: CUMULATIVE,
        dataPoints: [at(1, { count: "0", positive: { bucketCounts: Array(10_002).fill("0") } })],
      },
    },
    'metric "size" has more than 10000 buckets on one side, which are not accepted',
  );

  test("as a whole, because of too many new series", () => {
    const points = Array.from({ length: 60 }, (_, each) => ({
      ...point(10_000),
      attributes: attributes({ each: String(each) }),
    }));
    const message = encode(request([histogram(DELTA, ...points)]));
    expect(() => decodeOnce(message)).toThrow("the request has more than 600000 new series");
  });

  test("as a whole, because of too many labels of buckets", () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, name) => [`label_${name}`, "x"]));
    const points = Array.from({ length: 13 }, (_, each) => ({
      ...point(10_000),
      attributes: attributes({ ...many, each: String(each) }),
    }));
    const message = encode(request([histogram(DELTA, ...points)]));
    expect(() => decodeOnce(message)).toThrow("the request has more than 12000000 labels of buckets");
  });

  test("as a whole, because of too many samples of target_info", () => {
    const resource = (name: number) => ({
      resource: { attributes: attributes({ "service.name": String(name), region: "eu" }) },
      scopeMetrics: [{ metrics: [gauge(at(0, { asDouble: 1 }), at(2 * 86_400, { asDouble: 1 }))] }],
    });
    const message = encode({ resourceMetrics: Array.from({ length: 2_000 }, (_, each) => resource(each)) });
    expect(() => decodeOnce(message)).toThrow("the request has more than 2100000 samples");
  });
});
