/** Native histograms as classic buckets: counts worked out by hand from the specification of their buckets. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RemoteWriteDecoder } from "../../../src/decode/remote-write.ts";
import { plain, STALE_STAND_IN, versions, withStaleMarkers } from "./decoded.ts";
import { encodeV1, type HistogramMessage } from "./messages.ts";

const MS = 1_704_067_200_000;
const labels = { __name__: "h", job: "x" };

/** The classic series of histograms that come one after another, the last one's samples: `le` → value. */
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
        last[part === "bucket" ? le! : part!] = value;
      }
    }
    return last;
  });
  expect(outcomes[1]).toEqual(outcomes[0]!);
  return outcomes[0]!;
}

describe("buckets of schema 0 end at powers of two", () => {
  test("each with one between them kept", () => {
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
  test("the zero bucket is in all that are above it", () => {
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
  test("a zero bucket alone has a bound of its own, and keeps it", () => {
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
  test("a wide zero bucket is not below its threshold", () => {
    // Observations up to 3 are in the zero bucket; bucket 1 (1,2] has one all the same.
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
  test("negative observations are below zero", () => {
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
  test("what is above the largest power of two is in +Inf alone", () => {
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

describe("finer and coarser buckets", () => {
  test("of schema 2 are added up, four to a power", () => {
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
  test("over too wide a range are every second power, for good", () => {
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
  test("that are custom keep their own bounds", () => {
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
  test("with float counts are the same", () => {
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

test("Bounds that a series had it keeps", () => {
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

test("A stale marker ends every series of the histogram", () => {
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

describe("turned away, and nothing beside it, is a histogram", () => {
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
    "with more in its buckets than it counts",
    { countInt: 1, positiveSpans: [{ offset: 0, length: 1 }], positiveDeltas: [2] },
    "has 2 observations in its buckets, and a count of 1",
  );
  bad(
    "with custom bounds that do not ascend",
    { schema: -53, customValues: [1, 1] },
    "has custom bounds that do not ascend",
  );
});

test("Downscaling is exact: each bucket's observations are in the bounds that hold them, and in no lower", () => {
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
  );
});
