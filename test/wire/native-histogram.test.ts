/** Native histograms become classic buckets: counts worked out by hand from the specification of their buckets. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RemoteWriteDecoder } from "../../src/receive/remote-write/remote-write.ts";
import { BucketLayouts } from "../../src/wire/bucket-layout.ts";
import { plain, STALE_STAND_IN, versions, withStaleMarkers } from "../receive/remote-write/decoded.ts";
import { encodeV1, type HistogramMessage } from "../receive/remote-write/messages.ts";
import { runs } from "../runs.ts";

const MS = 1_704_067_200_000;
const labels = { __name__: "h", job: "x" };

/** Decodes histograms one after another, and returns the classic samples of the last: `le` → value. */
function classic(...histograms: HistogramMessage[]): Record<string, number | "stale"> {
  const outcomes = versions.map(({ encode, Decoder }) => {
    const decoder = new Decoder();
    let last: Record<string, number | "stale"> = {};
    for (const histogram of histograms) {
      const request = decoder.decode(
        withStaleMarkers(encode([{ labels, histograms: [{ timestamp: MS, ...histogram }] }])),
      );
      expect(request.batch.rejected).toEqual([]);
      expect([request.samples, request.histograms, [...request.histogramPositions]]).toEqual([0, 1, [0]]);
      last = {};
      for (const { series, ms, value } of plain(request)) {
        expect(ms).toBe(MS);
        const [, part, le] = /^h_(bucket|sum|count)\{job="x"(?:,le="([^"]*)")?\}$/.exec(series) ?? [];
        last[part === "bucket" ? shortBound(le!) : part!] = value;
      }
    }
    return last;
  });
  expect(outcomes[1]).toEqual(outcomes[0]!);
  return outcomes[0]!;
}

/** A bound as JavaScript writes its number: `1` for the OpenMetrics float `1.0`, as which the decoder must write it. */
function shortBound(le: string): string {
  if (le === "+Inf") return le;
  if (!/[.e]/.test(le)) throw new Error(`le="${le}" is not an OpenMetrics float`);
  return String(Number(le));
}

describe("buckets of schema 0 end at powers of two", () => {
  test("and an empty bucket between two others is kept", () => {
    // Buckets 0 (0.5,1], 1 (1,2] and 3 (4,8] with 1, 3 and 2 observations.
    const histogram = {
      countInt: 6,
      sum: 20,
      schema: 0,
      positiveSpans: [
        { offset: 0, length: 2 },
        { offset: 1, length: 1 },
      ],
      positiveDeltas: [1, 2, -1],
    };
    expect(classic(histogram)).toEqual({
      "0.5": 0,
      "1": 1,
      "2": 4,
      "4": 4,
      "8": 6,
      "+Inf": 6,
      sum: 20,
      count: 6,
    });
  });
  test("and the zero bucket counts in all bounds above it", () => {
    const histogram = {
      countInt: 5,
      sum: 3,
      schema: 0,
      zeroThreshold: 2 ** -128,
      zeroCountInt: 2,
      positiveSpans: [{ offset: 1, length: 1 }],
      positiveDeltas: [3],
    };
    expect(classic(histogram)).toEqual({ "1": 2, "2": 5, "+Inf": 5, sum: 3, count: 5 });
  });
  test("and a zero bucket alone has a bound of its own, and keeps it", () => {
    const zeros = { countInt: 2, sum: 0, schema: 0, zeroThreshold: 0.001, zeroCountInt: 2 };
    // 0.001 is above 2^-10.
    expect(classic(zeros)).toEqual({ "0.001953125": 2, "+Inf": 2, sum: 0, count: 2 });
    const more = {
      ...zeros,
      countInt: 3,
      sum: 1,
      positiveSpans: [{ offset: 0, length: 1 }],
      positiveDeltas: [1],
    };
    expect(classic(zeros, more)).toEqual({ "0.001953125": 2, "0.5": 2, "1": 3, "+Inf": 3, sum: 1, count: 3 });
    expect(classic({ countInt: 1, zeroCountInt: 1 })).toEqual({ "0": 1, "+Inf": 1, sum: 0, count: 1 });
  });
  test("and a wide zero bucket does not count below its threshold", () => {
    // Observations up to 3 are in the zero bucket, but bucket 1 (1,2] has one too.
    const histogram = {
      countInt: 3,
      sum: 3,
      schema: 0,
      zeroThreshold: 3,
      zeroCountInt: 2,
      positiveSpans: [{ offset: 1, length: 1 }],
      positiveDeltas: [1],
    };
    expect(classic(histogram)).toEqual({ "1": 0, "2": 1, "4": 3, "+Inf": 3, sum: 3, count: 3 });
  });
  test("and negative observations count below zero", () => {
    // Negative buckets 0 [-1,-0.5) and 2 [-4,-2) with 1 and 2, one zero, positive bucket 1 (1,2] with 1.
    const histogram = {
      countInt: 5,
      sum: -5,
      schema: 0,
      zeroThreshold: 0.25,
      zeroCountInt: 1,
      negativeSpans: [
        { offset: 0, length: 1 },
        { offset: 1, length: 1 },
      ],
      negativeDeltas: [1, 1],
      positiveSpans: [{ offset: 1, length: 1 }],
      positiveDeltas: [1],
    };
    expect(classic(histogram)).toEqual({
      "-4": 0,
      "-2": 2,
      "-1": 2,
      "-0.5": 3,
      "1": 4,
      "2": 5,
      "+Inf": 5,
      sum: -5,
      count: 5,
    });
  });
  test("and observations above the largest power of two count in +Inf alone", () => {
    const histogram = {
      countInt: 2,
      schema: 0,
      positiveSpans: [{ offset: 1_023, length: 2 }],
      positiveDeltas: [1, 0],
    };
    expect(classic(histogram)).toEqual({
      [String(2 ** 1_022)]: 0,
      [String(2 ** 1_023)]: 1,
      "+Inf": 2,
      sum: 0,
      count: 2,
    });
  });
});

describe("other buckets", () => {
  test("of schema 2 are added up, four per power", () => {
    // Buckets 1 to 4 are (1,2], 5 to 8 (2,4]; -3 to 0 (0.5,1]. Counts 1 to 6 in buckets 0 to 5.
    const histogram = {
      countInt: 21,
      schema: 2,
      positiveSpans: [{ offset: 0, length: 6 }],
      positiveDeltas: [1, 1, 1, 1, 1, 1],
    };
    expect(classic(histogram)).toEqual({ "0.5": 0, "1": 1, "2": 15, "4": 21, "+Inf": 21, sum: 0, count: 21 });
  });
  test("of schema -1 are powers of four", () => {
    // Buckets 0 (0.25,1], 1 (1,4], 2 (4,16].
    const histogram = {
      countInt: 6,
      schema: -1,
      positiveSpans: [{ offset: 0, length: 3 }],
      positiveDeltas: [1, 1, 1],
    };
    expect(classic(histogram)).toEqual({ "0.25": 0, "1": 1, "4": 3, "16": 6, "+Inf": 6, sum: 0, count: 6 });
  });
  test("over a range that is too wide keep every second power, for good", () => {
    // Buckets -60 and 61: 122 bounds of powers of two are too many, 63 of powers of four are not.
    const wide = {
      countInt: 2,
      schema: 0,
      positiveSpans: [
        { offset: -60, length: 1 },
        { offset: 120, length: 1 },
      ],
      positiveDeltas: [1, 0],
    };
    const bounds = classic(wide);
    expect(Object.keys(bounds).length).toBe(63 + 3);
    expect(bounds).toMatchObject({ [2 ** -62]: 0, [2 ** -60]: 1, [2 ** 60]: 1, [2 ** 62]: 2, "+Inf": 2 });
    const narrow = {
      countInt: 2,
      schema: 0,
      positiveSpans: [{ offset: 1, length: 2 }],
      positiveDeltas: [1, 0],
    };
    expect(Object.keys(classic(wide, narrow))).toEqual(Object.keys(bounds));
    expect(classic(wide, narrow)).toMatchObject({ "1": 0, "4": 2, "16": 2 });
  });
  test("with custom bounds keep them", () => {
    const histogram = {
      countInt: 6,
      sum: 9,
      schema: -53,
      customValues: [0.1, 2.5, 10],
      positiveSpans: [
        { offset: 0, length: 1 },
        { offset: 1, length: 2 },
      ],
      positiveDeltas: [1, 1, 1],
    };
    expect(classic(histogram)).toEqual({ "0.1": 1, "2.5": 1, "10": 3, "+Inf": 6, sum: 9, count: 6 });
  });
  test("with float counts are converted in the same way", () => {
    const histogram = {
      countFloat: 4.5,
      sum: 1,
      schema: 1,
      zeroThreshold: 0,
      zeroCountFloat: 0.5,
      positiveSpans: [{ offset: 1, length: 2 }],
      positiveCounts: [1.5, 2.5],
    };
    expect(classic(histogram)).toEqual({ "1": 0.5, "2": 4.5, "+Inf": 4.5, sum: 1, count: 4.5 });
  });
});

test("a series keeps the bounds that it had", () => {
  const wide = {
    countInt: 2,
    schema: 0,
    positiveSpans: [
      { offset: 1, length: 1 },
      { offset: 1, length: 1 },
    ],
    positiveDeltas: [1, 0],
  };
  const afterReset = {
    countInt: 1,
    schema: 0,
    positiveSpans: [{ offset: 2, length: 1 }],
    positiveDeltas: [1],
  };
  expect(classic(wide, afterReset)).toEqual({ "1": 0, "2": 0, "4": 1, "8": 1, "+Inf": 1, sum: 0, count: 1 });
});

describe("bounds", () => {
  const populated = (...buckets: number[]): HistogramMessage => ({
    timestamp: MS,
    countInt: buckets.length,
    schema: 0,
    positiveSpans: buckets.map((bucket, at) => ({
      offset: at === 0 ? bucket : bucket - buckets[at - 1]! - 1,
      length: 1,
    })),
    positiveDeltas: buckets.map((_, at) => (at === 0 ? 1 : 0)),
  });
  /** What each series of a request has, as `series ms value`. */
  const decode = (decoder: RemoteWriteDecoder, histograms: Record<string, HistogramMessage[]>) => {
    const series = Object.entries(histograms).map(([job, all]) => ({
      labels: { __name__: "h", job },
      histograms: all,
    }));
    return plain(decoder.decode(withStaleMarkers(encodeV1(series))))
      .filter((sample) => sample.series.startsWith("h_bucket"))
      .map(
        ({ series, ms, value }) =>
          `${/job="(.*?)"/.exec(series)![1]} ${shortBound(/le="(.*?)"/.exec(series)![1]!)} ${ms - MS} ${value}`,
      );
  };

  test("belong to the metric: when one series needs a bound, all series have it from then on", () => {
    const decoder = new RemoteWriteDecoder();
    expect(decode(decoder, { a: [populated(1)] })).toEqual(["a 1 0 0", "a 2 0 1", "a +Inf 0 1"]);
    expect(decode(decoder, { b: [populated(3)], a: [populated(1)] })).toEqual([
      ...["b 1 0 0", "b 2 0 0", "b 4 0 0", "b 8 0 1", "b +Inf 0 1"],
      ...["a 1 0 0", "a 2 0 1", "a 4 0 1", "a 8 0 1", "a +Inf 0 1"],
    ]);
  });
  test("that are stored already are kept, with those between them", () => {
    // The state after a restart: a zero bucket of 2^-128 was alone once, and classic buckets have the same name.
    const asked: string[] = [];
    const layouts = new BucketLayouts((metric) => {
      asked.push(metric);
      return [String(2 ** -128), "0.5", "1.0", "8.0", "+Inf", "0.3"];
    });
    const decoder = new RemoteWriteDecoder({ layouts });
    const want = [`a ${2 ** -128} 0 0`, "a 0.5 0 0", "a 1 0 0", "a 2 0 1", "a 8 0 1", "a +Inf 0 1"];
    expect(decode(decoder, { a: [populated(1)] })).toEqual(want);
    expect(decode(decoder, { a: [populated(1)] })).toEqual(want);
    expect(asked).toEqual(["h_bucket"]);
  });
  test("that are dropped are ended once", () => {
    const decoder = new RemoteWriteDecoder();
    const custom = (timestamp: number, ...customValues: number[]): HistogramMessage => ({
      timestamp: MS + timestamp,
      schema: -53,
      customValues,
    });
    const all = { a: [custom(0, 1, 2), custom(5, 1, 3), custom(3, 1, 2), custom(6, 1, 3)] };
    expect(decode(decoder, all)).toEqual([
      ...["a 1 0 0", "a 2 0 0", "a +Inf 0 0"],
      ...["a 1 5 0", "a 3 5 0", "a 2 5 stale", "a +Inf 5 0"],
      // A late histogram ends nothing, and neither does a repeated one.
      ...["a 1 3 0", "a 2 3 0", "a +Inf 3 0"],
      ...["a 1 6 0", "a 3 6 0", "a +Inf 6 0"],
    ]);
    expect(decode(decoder, all).filter((sample) => sample.endsWith("stale"))).toEqual([]);
  });
  test("that are dropped are ended again by a retried request, which may not have been stored", () => {
    const decoder = new RemoteWriteDecoder();
    const custom = (timestamp: number, ...customValues: number[]): HistogramMessage => ({
      timestamp: MS + timestamp,
      schema: -53,
      customValues,
    });
    decode(decoder, { a: [custom(0, 1, 2)] });
    const fewer = ["a 1 5 0", "a 2 5 stale", "a +Inf 5 0"];
    for (const _ of [1, 2, 3]) expect(decode(decoder, { a: [custom(5, 1)] })).toEqual(fewer);
    const end = { timestamp: MS + 6, sum: STALE_STAND_IN };
    for (const _ of [1, 2, 3])
      expect(decode(decoder, { a: [end] })).toEqual(["a 1 6 stale", "a +Inf 6 stale"]);
  });
  test("that coarser buckets do not need are ended for their series, and kept for the others", () => {
    const decoder = new RemoteWriteDecoder();
    decode(decoder, { a: [populated(1, 2)], b: [populated(1, 2)] });
    // Schema -1: bucket 1 is (1,4].
    const coarse = { ...populated(1), schema: -1, timestamp: MS + 1 };
    expect(decode(decoder, { a: [coarse], b: [{ ...populated(1, 2), timestamp: MS + 1 }] })).toEqual([
      ...["a 1 1 0", "a 4 1 1", "a 2 1 stale", "a +Inf 1 1"],
      ...["b 1 1 0", "b 2 1 1", "b 4 1 2", "b +Inf 1 2"],
    ]);
  });
  test("of a series that ends right after a restart are all bounds of the metric", () => {
    const decoder = new RemoteWriteDecoder({ layouts: new BucketLayouts(() => ["0.5", "0.3", "+Inf"]) });
    expect(decode(decoder, { a: [{ timestamp: MS, sum: STALE_STAND_IN }] })).toEqual([
      "a 0.5 0 stale",
      "a 0.3 0 stale",
      "a +Inf 0 stale",
    ]);
  });
  test("at the limits of a double are numbers, and no count is lost", () => {
    const decoder = new RemoteWriteDecoder();
    const lowest = {
      ...populated(-1_074, 1_024),
      negativeSpans: [{ offset: 1_024, length: 1 }],
      negativeDeltas: [1],
      countInt: 3,
    };
    const edges = decode(decoder, { a: [lowest] });
    expect(edges.every((edge) => /^a ([-0-9.e+]+|\+Inf) 0 [0-3]$/.test(edge))).toBe(true);
    expect(new Set(edges.map((edge) => edge.split(" ")[1])).size).toBe(edges.length);
    // One observation is below all bounds, one at the smallest, one above all.
    expect(edges.at(-2)).toEndWith(" 2");
    expect(edges[0]).toEndWith(" 1");
  });
});

describe("an exemplar of a native histogram", () => {
  test("belongs to the bucket that contains it, once the buckets are known", () => {
    for (const { encode, Decoder } of versions) {
      const decoder = new Decoder();
      const exemplar = (value: number) => ({ value, timestamp: MS, labels: { trace_id: "t" } });
      const exemplars = [0.7, 1, 2, 3].map(exemplar);
      const request = [
        {
          labels,
          histograms: [{ countInt: 1, positiveSpans: [{ offset: 1, length: 1 }], positiveDeltas: [1] }],
        },
        { labels, exemplars },
      ];
      const { batch } = decoder.decode(encode(request));
      const edges = batch.exemplars!.map(({ head }) => {
        const { metric, labels: own } = batch.heads[head]!;
        return `${metric} ${shortBound(own.get("le")!)}`;
      });
      expect(edges).toEqual(["h_bucket 1", "h_bucket 1", "h_bucket 2", "h_bucket +Inf"]);
    }
  });
});

test("a request of 5,000 histograms with a hundred bounds each is accepted", () => {
  const positiveSpans = [{ offset: 0, length: 99 }];
  const positiveDeltas = Array.from({ length: 99 }, (_, at) => (at === 0 ? 1 : 0));
  const wide = { timestamp: MS, countInt: 99, schema: 0, positiveSpans, positiveDeltas };
  const all = Array.from({ length: 5_000 }, (_, n) => ({
    labels: { __name__: "h", n: String(n) },
    histograms: [wide],
  }));
  const request = new RemoteWriteDecoder().decode(encodeV1(all));
  expect([request.histograms, request.batch.rejected.length]).toEqual([5_000, 0]);
  expect(request.batch.length).toBe(5_000 * (100 + 3));
});

test("counts and bounds may be packed in one field each", () => {
  const double = (tag: number, value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return [...Buffer.from([tag, tag >= 128 ? 1 : 0]).subarray(0, tag >= 128 ? 2 : 1), ...bytes];
  };
  const decode = (...histogram: number[]) => {
    const name = [10, 13, 10, 8, ...Buffer.from("__name__"), 18, 1, 104];
    const series = [...name, 34, histogram.length, ...histogram];
    const { batch } = new RemoteWriteDecoder().decode(Buffer.from([10, series.length, ...series]));
    expect(batch.rejected).toEqual([]);
    return [...batch.value];
  };
  // Span 0 to 1, deltas 1 and 1 (zigzag 2); bounds 0.5, 1, 2, +Inf, then sum and count.
  expect(decode(8, 3, 90, 2, 16, 2, 96, 2, 96, 2)).toEqual([0, 1, 3, 3, 0, 3]);
  // Field 13: two counts as doubles.
  expect(decode(...double(17, 3), 90, 2, 16, 2, ...double(105, 1), ...double(105, 2))).toEqual([
    0, 1, 3, 3, 0, 3,
  ]);
  // Field 2 of schema -53 (zigzag 105), one bound in field 16.
  expect(decode(8, 1, 32, 105, 90, 2, 16, 1, 96, 2, ...double(129, 0.5))).toEqual([1, 1, 0, 1]);
});

test("a stale marker ends every series of the histogram", () => {
  const histogram = {
    countInt: 2,
    sum: 3,
    schema: 0,
    positiveSpans: [{ offset: 1, length: 1 }],
    positiveDeltas: [2],
  };
  const stale = "stale" as const;
  expect(classic(histogram, { sum: STALE_STAND_IN })).toEqual({
    "1": stale,
    "2": stale,
    "+Inf": stale,
    sum: stale,
    count: stale,
  });
  expect(classic({ sum: STALE_STAND_IN })).toEqual({ "+Inf": stale, sum: stale, count: stale });
});

describe("rejects only the one histogram", () => {
  const bad = (name: string, histogram: HistogramMessage, reason: string) =>
    test(name, () => {
      const body = encodeV1([{ labels, samples: [{ value: 1, timestamp: MS }], histograms: [histogram] }]);
      const { batch } = new RemoteWriteDecoder().decode(body);
      expect(batch.length).toBe(1);
      expect(batch.rejected).toMatchObject([
        { index: 1, cause: "value", reason: `native histogram h{job="x"} ${reason}` },
      ]);
    });
  bad("of an unknown schema", { schema: 53 }, "has schema 53, expected -9 to 52 or -53");
  bad(
    "with counts that lack spans",
    { countInt: 1, positiveDeltas: [1] },
    "has spans of 0 buckets and 1 counts",
  );
  bad(
    "with spans that lack counts",
    { positiveSpans: [{ offset: 0, length: 4_000_000_000 }] },
    "has spans of 4000000000 buckets and 0 counts",
  );
  bad(
    "with a negative count",
    { countInt: 1, positiveSpans: [{ offset: 0, length: 1 }], positiveDeltas: [-1] },
    "has a negative count in a bucket",
  );
  bad(
    "with spans that overlap",
    {
      countInt: 2,
      positiveSpans: [
        { offset: 0, length: 1 },
        { offset: -1, length: 1 },
      ],
      positiveDeltas: [1, 0],
    },
    "has spans that overlap",
  );
  bad(
    "with more observations in its buckets than its count",
    { countInt: 1, positiveSpans: [{ offset: 0, length: 1 }], positiveDeltas: [2] },
    "has 2 observations in its buckets, and a count of 1",
  );
  bad(
    "with custom bounds that are not in ascending order",
    { schema: -53, customValues: [1, 1] },
    "has custom bounds that are not in ascending order",
  );
  bad(
    "with a custom bound of +Inf, which is implied",
    { schema: -53, customValues: [1, Number.POSITIVE_INFINITY] },
    "has a custom bound that is not a finite number",
  );
  bad(
    "with more custom buckets than bounds",
    {
      countInt: 3,
      schema: -53,
      customValues: [1],
      positiveSpans: [{ offset: 0, length: 3 }],
      positiveDeltas: [1, 0, 0],
    },
    "has custom buckets up to number 3, and 1 bounds",
  );
  bad(
    "with a custom bucket below the first",
    {
      countInt: 1,
      schema: -53,
      customValues: [1],
      positiveSpans: [{ offset: -1, length: 1 }],
      positiveDeltas: [1],
    },
    "has custom buckets below the first",
  );
  bad(
    "with a zero bucket up to infinity",
    { zeroThreshold: Number.POSITIVE_INFINITY },
    "has a zero bucket up to Infinity",
  );
  bad("with a zero bucket up to NaN", { zeroThreshold: Number.NaN }, "has a zero bucket up to NaN");
});

test("downscaling is exact: observations count in the bounds that contain them, and in no lower one", () => {
  const buckets = fc.uniqueArray(
    fc.record({ bucket: fc.integer({ min: -80, max: 80 }), count: fc.integer({ min: 1, max: 5 }) }),
    {
      selector: ({ bucket }) => bucket,
      minLength: 1,
      maxLength: 20,
    },
  );
  fc.assert(
    fc.property(buckets, fc.integer({ min: 0, max: 8 }), (unordered, schema) => {
      const ordered = unordered.sort((a, b) => a.bucket - b.bucket);
      const total = ordered.reduce((sum, { count }) => sum + count, 0);
      let next = 0;
      const positiveSpans = ordered.map(({ bucket }) => {
        const offset = bucket - next;
        next = bucket + 1;
        return { offset, length: 1 };
      });
      const positiveDeltas = ordered.map(({ count }, at) => count - (ordered[at - 1]?.count ?? 0));
      const bounds = classic({ countInt: total, schema, positiveSpans, positiveDeltas });
      for (const [le, value] of Object.entries(bounds)) {
        if (le === "sum" || le === "count" || le === "+Inf") continue;
        // A bucket ends at 2^(bucket / 2^schema): compared by exponents, which are exact.
        const exponent = Math.log2(Number(le));
        const want = ordered
          .filter(({ bucket }) => bucket <= exponent * 2 ** schema)
          .reduce((sum, { count }) => sum + count, 0);
        expect([le, value]).toEqual([le, want]);
      }
      expect(bounds["+Inf"]).toBe(total);
    }),
    runs(),
  );
});

/** Random counts by the number of a bucket. */
const side = fc
  .uniqueArray(fc.tuple(fc.integer({ min: -300, max: 300 }), fc.integer({ min: 0, max: 5 })), {
    selector: ([bucket]) => bucket,
    maxLength: 12,
  })
  .map((buckets) => buckets.sort(([a], [b]) => a - b));
const drawn = fc.record({
  schema: fc.integer({ min: -4, max: 8 }),
  positive: side,
  negative: side,
  zeroCount: fc.integer({ min: 0, max: 3 }),
  zeroExponent: fc.constantFrom(undefined, -128, -3, 0, 4),
  job: fc.constantFrom("a", "b"),
});

test("in any sequence of histograms, no bucket counts too much, and none vanishes without being ended", () => {
  const spans = (buckets: [number, number][]) =>
    buckets.map(([bucket], at) => ({
      offset: at === 0 ? bucket : bucket - buckets[at - 1]![0] - 1,
      length: 1,
    }));
  const deltas = (buckets: [number, number][]) =>
    buckets.map(([, count], at) => count - (buckets[at - 1]?.[1] ?? 0));
  const sum = (buckets: [number, number][], isIn: (bucket: number) => boolean) =>
    buckets.reduce((total, [bucket, count]) => total + (isIn(bucket) ? count : 0), 0);
  fc.assert(
    fc.property(fc.array(drawn, { minLength: 1, maxLength: 8 }), (all) => {
      const decoder = new RemoteWriteDecoder();
      const open = new Map<string, Set<string>>();
      for (const [at, { schema, positive, negative, zeroCount, zeroExponent, job }] of all.entries()) {
        const zeroThreshold = zeroExponent === undefined ? 0 : 2 ** zeroExponent;
        const countInt = zeroCount + sum(positive, () => true) + sum(negative, () => true);
        const histogram = {
          ...{ timestamp: MS + at, countInt, schema, zeroThreshold, zeroCountInt: zeroCount },
          ...{ positiveSpans: spans(positive), positiveDeltas: deltas(positive) },
          ...{ negativeSpans: spans(negative), negativeDeltas: deltas(negative) },
        };
        const request = decoder.decode(
          encodeV1([{ labels: { __name__: "h", job }, histograms: [histogram] }]),
        );
        expect(request.batch.rejected).toEqual([]);
        const buckets = plain(request).flatMap(({ series, value }) => {
          const edge = /^h_bucket.*le="([^"]*)"/.exec(series)?.[1];
          return edge === undefined ? [] : [{ edge, value }];
        });
        const shown = buckets.filter(({ value }) => value !== "stale");
        const bounds = shown.map(({ edge }) => (edge === "+Inf" ? Number.POSITIVE_INFINITY : Number(edge)));
        expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => a - b));
        for (const [index, bound] of bounds.entries()) {
          let want = countInt;
          if (Number.isFinite(bound)) {
            // A bucket ends at 2^(number / 2^schema): compared by exponents, which are exact.
            const edge = Math.log2(Math.abs(bound)) * 2 ** schema;
            const own = bound < 0 ? negative : positive;
            // No bucket with observations extends over the bound.
            if (bound !== 0) expect(sum(own, (bucket) => bucket > edge && bucket - 1 < edge)).toBe(0);
            if (bound < 0) want = sum(negative, (bucket) => bucket > edge);
            else
              want =
                sum(negative, () => true) +
                (zeroThreshold <= bound ? zeroCount : 0) +
                (bound === 0 ? 0 : sum(positive, (bucket) => bucket <= edge));
          }
          expect([bound, shown[index]!.value]).toEqual([bound, want]);
        }
        const now = new Set(shown.map(({ edge }) => edge));
        const ended = new Set(buckets.filter(({ value }) => value === "stale").map(({ edge }) => edge));
        expect(ended).toEqual((open.get(job) ?? new Set<string>()).difference(now));
        open.set(job, now);
      }
    }),
    runs(300),
  );
});
