/** Delimited MetricFamily messages and framed snappy: written by the reference packages, read by our decoders. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import snappyjs from "snappyjs";
import { TooLarge } from "../../../src/model/errors.ts";
import { decompressSnappyFrames } from "../../../src/wire/compression/snappy-frames.ts";
import type { DecodedDistribution } from "../../../src/wire/exposition-formats/decoded-families.ts";
import { decodeMetricFamilies } from "../../../src/wire/exposition-formats/metric-family.ts";
import { decodeText } from "../../../src/wire/exposition-formats/text-format.ts";
import { runs } from "../../runs.ts";
import { chunk, compressedChunk, IDENTIFIER } from "../compression/framed-snappy.ts";
import { delimited } from "./metric-family-messages.ts";

const TYPES = { counter: 0, gauge: 1, summary: 2, untyped: 3, histogram: 4 } as const;

describe("MetricFamily", () => {
  const label = [{ name: "a", value: "b" }];

  test("keeps the exemplar of a bucket with its bound, and drops an invalid one without its metric", () => {
    const exemplar = (labels: object[]) => ({ label: labels, value: 0.5 });
    const bucket = [
      { cumulativeCount: 1, upperBound: 1, exemplar: exemplar(label) },
      { cumulativeCount: 2, upperBound: 2, exemplar: exemplar([{ name: "a", value: "x".repeat(128) }]) },
      { cumulativeCount: 3, upperBound: 4, exemplar: exemplar([...label, ...label]) },
    ];
    const metric = [{ histogram: { sampleCount: 3, sampleSum: 3, bucket } }];
    const counts = { nativeHistograms: 0, exemplarsDropped: 0 };
    const [family] = decodeMetricFamilies(delimited({ name: "h", type: 4, metric }), undefined, counts);
    expect(family!.metrics).toEqual([
      {
        labels: new Map(),
        value: {
          count: 3,
          sum: 3,
          edges: [
            { edge: 1, value: 1 },
            { edge: 2, value: 2 },
            { edge: 4, value: 3 },
          ],
        },
        timestampMs: undefined,
        exemplars: [{ labels: new Map([["a", "b"]]), value: 0.5, timestampMs: undefined, edge: 1 }],
      },
    ]);
    expect(counts).toEqual({ nativeHistograms: 0, exemplarsDropped: 2 });
  });

  test("is decoded for each type", () => {
    const body = delimited(
      {
        name: "c",
        help: "h",
        type: 0,
        metric: [{ label, counter: { value: 1.5, exemplar: { label, value: 3 } } }],
      },
      {
        name: "g",
        type: 1,
        unit: "seconds",
        metric: [{ gauge: { value: -1 }, timestampMs: 1_704_067_200_000 }],
      },
      {
        name: "s",
        type: 2,
        metric: [{ summary: { sampleCount: 2, sampleSum: 3, quantile: [{ quantile: 0.5, value: 9 }] } }],
      },
      { name: "u", type: 3, metric: [{ untyped: { value: Number.NaN } }] },
      {
        name: "h",
        type: 4,
        metric: [
          {
            label,
            histogram: { sampleCount: 2, sampleSum: 3, bucket: [{ cumulativeCount: 1, upperBound: 1 }] },
          },
        ],
      },
      { name: "e", type: 1, metric: [] },
    );
    const labels = new Map([["a", "b"]]);
    const none = new Map();
    expect(decodeMetricFamilies(body)).toEqual([
      {
        name: "c",
        type: "counter",
        help: "h",
        unit: "",
        metrics: [
          {
            labels,
            value: 1.5,
            timestampMs: undefined,
            exemplars: [{ labels, value: 3, timestampMs: undefined }],
          },
        ],
      },
      {
        name: "g",
        type: "gauge",
        help: "",
        unit: "seconds",
        metrics: [{ labels: none, value: -1, timestampMs: 1_704_067_200_000 }],
      },
      {
        name: "s",
        type: "summary",
        help: "",
        unit: "",
        metrics: [
          {
            labels: none,
            value: { count: 2, sum: 3, edges: [{ edge: 0.5, value: 9 }] },
            timestampMs: undefined,
          },
        ],
      },
      {
        name: "u",
        type: "untyped",
        help: "",
        unit: "",
        metrics: [{ labels: none, value: Number.NaN, timestampMs: undefined }],
      },
      {
        name: "h",
        type: "histogram",
        help: "",
        unit: "",
        metrics: [
          { labels, value: { count: 2, sum: 3, edges: [{ edge: 1, value: 1 }] }, timestampMs: undefined },
        ],
      },
    ]);
  });

  test("that is sent twice: the last one counts", () => {
    const of = (value: number) => ({ name: "g", type: 1, metric: [{ gauge: { value } }] });
    expect(decodeMetricFamilies(delimited(of(1), of(2))).map(({ metrics }) => metrics[0]!.value)).toEqual([
      2,
    ]);
  });

  const bad = (family: object, message: string) =>
    test(`rejects ${JSON.stringify(family)}`, () =>
      expect(() => decodeMetricFamilies(delimited(family))).toThrow(message));
  bad({ name: "1a", type: 1, metric: [] }, 'invalid metric name "1a"');
  bad({ name: "a", type: 9, metric: [] }, 'metric "a" has unknown type 9');
  bad(
    { name: "a", type: 1, metric: [{ counter: { value: 1 } }] },
    'a metric of "a" has no value of type gauge',
  );
  bad({ name: "a", type: 1, metric: [{ label: [{ name: "b-c" }] }] }, 'invalid label name "b-c"');
  bad({ name: "a", type: 1, metric: [{ label: [...label, ...label] }] }, 'label "a" appears twice');
  bad(
    { name: "a", type: 4, metric: [{ histogram: { schema: 3, positiveSpan: [{ offset: 0, length: 1 }] } }] },
    'a native histogram of "a" has spans of 1 buckets and 0 counts',
  );

  test("with only native histograms gets classic buckets at powers of two, the same for all series", () => {
    const histograms = [
      // 0.3, 1.5 twice, 3. In schema 0, bucket -1 ends at 0.5, bucket 1 at 2, bucket 2 at 4.
      {
        sampleCount: 4,
        sampleSum: 6.3,
        schema: 0,
        positiveSpan: [
          { offset: -1, length: 1 },
          { offset: 1, length: 2 },
        ],
        positiveDelta: [1, 1, -1],
      },
      // A histogram of doubles: -3 counts 0.5, 0 counts 1.5.
      {
        sampleCountFloat: 2,
        sampleSum: -1.5,
        schema: 1,
        zeroThreshold: 0.125,
        zeroCountFloat: 1.5,
        negativeSpan: [{ offset: 4, length: 1 }],
        negativeCount: [0.5],
      },
      // No observations yet.
      { sampleCount: 0, sampleSum: 0, schema: 3, positiveSpan: [{ offset: 0, length: 0 }] },
    ];
    const body = delimited({ name: "h", type: 4, metric: histograms.map((histogram) => ({ histogram })) });
    const values = decodeMetricFamilies(body)[0]!.metrics.map(({ value }) => value);
    const buckets = (counts: Record<string, number>) =>
      Object.entries(counts).map(([edge, value]) => ({ edge: Number(edge), value }));
    expect(values).toEqual([
      { count: 4, sum: 6.3, edges: buckets({ " 0.25": 0, " 0.5": 1, " 1": 1, " 2": 3, " 4": 4 }) },
      {
        count: 2,
        sum: -1.5,
        edges: buckets({
          " -4": 0,
          " -2": 0.5,
          " 0.25": 2,
          " 0.5": 2,
          " 1": 2,
          " 2": 2,
          " 4": 2,
        }),
      },
      {
        count: 0,
        sum: 0,
        edges: buckets({ " -4": 0, " -2": 0, " 0.25": 0, " 0.5": 0, " 1": 0, " 2": 0, " 4": 0 }),
      },
    ]);
  });

  test("rejects small native histograms that become a million buckets", () => {
    // The lowest and the highest bucket on both sides: 200 bounds, which all series of the metric get.
    const ends = [
      { offset: -50, length: 1 },
      { offset: 97, length: 1 },
    ];
    const wide = {
      sampleCount: 4,
      positiveSpan: ends,
      positiveDelta: [1, 0],
      negativeSpan: ends,
      negativeDelta: [1, 0],
    };
    const none = { positiveSpan: [{ offset: 0, length: 0 }] };
    const bodyOf = (length: number) =>
      delimited({
        name: "h",
        type: 4,
        metric: [wide, ...new Array(length - 1).fill(none)].map((histogram) => ({ histogram })),
      });
    const few = decodeMetricFamilies(bodyOf(2))[0]!.metrics;
    expect(few.map(({ value }) => (value as DecodedDistribution).edges.length)).toEqual([200, 200]);
    expect(() => decodeMetricFamilies(bodyOf(5_001))).toThrow(
      new TooLarge("the body has native histograms of more than 1000000 buckets, send it in parts", "body"),
    );
  });

  test("rejects a body with too many families and samples", () => {
    const tooLarge = new TooLarge(
      "the body has more than 500000 families and samples, send it in parts",
      "body",
    );
    const gauge = Buffer.from("22021200", "hex");
    // Together with its family, the last metric is one too many.
    const gauges = Buffer.concat([Buffer.from("0a01671801", "hex"), Buffer.alloc(4 * 500_000, gauge)]);
    expect(() =>
      decodeMetricFamilies(Buffer.concat([protobuf.Writer.create().uint32(gauges.length).finish(), gauges])),
    ).toThrow(tooLarge);
    expect(() => decodeMetricFamilies(Buffer.alloc(4 * 500_001, Buffer.from("030a0167", "hex")))).toThrow(
      tooLarge,
    );
  });

  test("prefers classic buckets where a histogram has both", () => {
    const both = {
      sampleCount: 2,
      sampleSum: 3,
      bucket: [{ cumulativeCount: 1, upperBound: 1 }],
      schema: 3,
      positiveSpan: [{ offset: 0, length: 1 }],
      positiveDelta: [2],
    };
    const [family] = decodeMetricFamilies(delimited({ name: "h", type: 4, metric: [{ histogram: both }] }));
    expect(family!.metrics[0]!.value).toEqual({ count: 2, sum: 3, edges: [{ edge: 1, value: 1 }] });
  });

  test("rejects a message that is truncated at any byte", () => {
    const body = delimited({ name: "gg", type: 1, help: "help", metric: [{ label, gauge: { value: 1 } }] });
    for (let end = 1; end < body.length; end++) {
      expect(() => decodeMetricFamilies(body.subarray(0, end))).toThrow("is not a protobuf message");
    }
  });

  const name = fc.stringMatching(/^[a-z_:][a-z0-9_]{0,5}$/);
  const labels = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[a-z][a-z0-9]{0,3}$/), value: fc.string() }),
    {
      selector: (pair) => pair.name,
      maxLength: 3,
    },
  );
  const number = fc.double();
  const edges = fc.array(fc.tuple(number, fc.nat()), { maxLength: 4 });

  test("reads everything that the reference package writes", () => {
    const metric = fc.record({
      labels,
      number,
      edges,
      timestampMs: fc.option(fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), { nil: undefined }),
    });
    const family = fc.record({
      name,
      help: fc.string(),
      type: fc.constantFrom(...Object.keys(TYPES)) as fc.Arbitrary<keyof typeof TYPES>,
      metrics: fc.array(metric, { minLength: 1, maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(family, { selector: (each) => each.name, maxLength: 3 }), (families) => {
        const body = delimited(
          ...families.map(({ name, help, type, metrics }) => ({
            name,
            help,
            type: TYPES[type],
            metric: metrics.map(({ labels, number, edges, timestampMs }) => ({
              label: labels,
              timestampMs,
              ...(type === "summary"
                ? {
                    summary: {
                      sampleCount: 3,
                      sampleSum: number,
                      quantile: edges.map(([quantile, value]) => ({ quantile, value })),
                    },
                  }
                : type === "histogram"
                  ? {
                      histogram: {
                        sampleCount: 3,
                        sampleSum: number,
                        bucket: edges.map(([upperBound, cumulativeCount]) => ({
                          upperBound,
                          cumulativeCount,
                        })),
                      },
                    }
                  : { [type]: { value: number } }),
            })),
          })),
        );
        expect(decodeMetricFamilies(body)).toEqual(
          families.map(({ name, help, type, metrics }) => ({
            name,
            help,
            type,
            unit: "",
            metrics: metrics.map(({ labels, number, edges, timestampMs }) => ({
              labels: new Map(labels.map(({ name, value }) => [name, value])),
              value:
                type === "summary" || type === "histogram"
                  ? { sum: number, count: 3, edges: edges.map(([edge, value]) => ({ edge, value })) }
                  : number,
              timestampMs,
            })),
          })),
        );
      }),
      runs(),
    );
  });

  test("reads the same from protobuf as from text", () => {
    const text =
      '# HELP c h\n# TYPE c counter\nc{a="b"} 1\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 3\nh_count 2\n';
    const body = delimited(
      { name: "c", help: "h", type: 0, metric: [{ label, counter: { value: 1 } }] },
      {
        name: "h",
        type: 4,
        metric: [
          { histogram: { sampleCount: 2, sampleSum: 3, bucket: [{ cumulativeCount: 1, upperBound: 1 }] } },
        ],
      },
    );
    expect(decodeMetricFamilies(body)).toEqual(decodeText(Buffer.from(text)));
  });
});

describe("framed snappy", () => {
  test("reads compressed, plain and padding chunks", () => {
    const [one, two] = [Buffer.from("a 1\n".repeat(500)), Buffer.from("b 2\n")];
    const padding = Buffer.from([0xfe, 2, 0, 0, 9, 9]);
    const body = Buffer.concat([
      IDENTIFIER,
      compressedChunk(one),
      padding,
      chunk(1, two, two),
      IDENTIFIER,
      compressedChunk(two),
    ]);
    expect(Buffer.from(decompressSnappyFrames(body, 10_000)).toString()).toBe(`${one}${two}${two}`);
    expect(decompressSnappyFrames(new Uint8Array(), 10).length).toBe(0);
  });

  test("uses CRC-32C: the checksum of 123456789 is e3069283", () => {
    const digits = Buffer.from("123456789");
    const sum = (((0xe3069283 >>> 15) | (0xe3069283 << 17)) + 0xa282ead8) >>> 0;
    const body = Buffer.concat([IDENTIFIER, chunk(1, digits, digits, sum)]);
    expect(Buffer.from(decompressSnappyFrames(body, 100)).toString()).toBe("123456789");
  });

  test("rejects a stream that is not complete", () => {
    const plain = Buffer.from("hello hello hello hello");
    const body = Buffer.concat([IDENTIFIER, compressedChunk(plain)]);
    const bad = (bytes: Uint8Array, message: string) =>
      expect(() => decompressSnappyFrames(bytes, 10_000)).toThrow(message);
    bad(compressedChunk(plain), "does not begin with its identifier");
    bad(body.subarray(0, -1), "is truncated");
    bad(
      Buffer.concat([IDENTIFIER, chunk(0, snappyjs.compress(plain), plain, 1)]),
      "checksum of the chunk at byte 10",
    );
    bad(Buffer.concat([IDENTIFIER, Buffer.from([0x02, 0, 0, 0])]), "unknown type 2");
    bad(Buffer.from("a 1\n"), "truncated");
    expect(() => decompressSnappyFrames(body, 10)).toThrow("inflates past the limit of 10 bytes");
  });
});
