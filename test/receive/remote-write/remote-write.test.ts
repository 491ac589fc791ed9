/**
 * remote_write 1.0 and 2.0 as bytes: how each series is decoded, which are rejected, and our decoders compared with
 * the reference package.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BadInput, TooLarge } from "../../../src/model/errors.ts";
import { RemoteWriteDecoder } from "../../../src/receive/remote-write/remote-write.ts";
import { RemoteWriteV2Decoder } from "../../../src/receive/remote-write/remote-write-v2.ts";
import { runs } from "../../runs.ts";
import { type Plain, plain, STALE_STAND_IN, spell, versions, withStaleMarkers } from "./decoded.ts";
import { encodeRawV2, encodeV1, encodeV2, readV1, type Series } from "./messages.ts";

const MS = 1_704_067_200_000;
const up = { __name__: "up", instance: "a:9100", job: "node" };
const UP = 'up{instance="a:9100",job="node"}';

for (const { version, encode, Decoder } of versions) {
  /** Three times with one decoder: the second and the third time the label blocks are known. */
  const decode = (series: readonly Series[]) => {
    const decoder = new Decoder();
    const body = withStaleMarkers(encode(series));
    const outcomes = [1, 2, 3].map(() => {
      const request = decoder.decode(body);
      const rejected = request.batch.rejected.map(({ index, cause, reason }) => [index, cause, reason]);
      return { samples: plain(request), rejected, counted: [request.samples, request.histograms] };
    });
    expect(outcomes[1]).toEqual(outcomes[0]!);
    expect(outcomes[2]).toEqual(outcomes[0]!);
    return outcomes[0]!;
  };
  const ok = (name: string, series: readonly Series[], want: readonly Plain[]) =>
    test(name, () => expect(decode(series)).toMatchObject({ samples: want, rejected: [] }));
  const bad = (name: string, labels: Series["labels"], want: [cause: string, reason: string]) =>
    test(name, () => {
      const good = { labels: up, samples: [{ value: 1, timestamp: MS }] };
      const outcome = decode([
        {
          labels,
          samples: [
            { value: 2, timestamp: MS },
            { value: 3, timestamp: MS + 1 },
          ],
        },
        good,
      ]);
      expect(outcome.rejected).toEqual([0, 1].map((index) => [index, ...want]));
      expect(outcome.samples).toEqual([{ series: UP, ms: MS, value: 1 }]);
      expect(outcome.counted).toEqual([3, 0]);
    });

  describe(`${version}: accepts`, () => {
    ok("nothing", [], []);
    ok("a series without samples", [{ labels: up }], []);
    ok(
      "a sample",
      [{ labels: up, samples: [{ value: 1.5, timestamp: MS }] }],
      [{ series: UP, ms: MS, value: 1.5 }],
    );
    // proto3 leaves zeros out.
    ok("a sample of zero at the epoch", [{ labels: up, samples: [{}] }], [{ series: UP, ms: 0, value: 0 }]);
    ok(
      "a time before the epoch",
      [{ labels: up, samples: [{ value: 1, timestamp: -1_500 }] }],
      [{ series: UP, ms: -1_500, value: 1 }],
    );
    ok(
      "infinities and NaN",
      [
        {
          labels: up,
          samples: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map((value) => ({
            value,
            timestamp: MS,
          })),
        },
      ],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map((value) => ({
        series: UP,
        ms: MS,
        value,
      })),
    );
    ok(
      "a stale marker, and no other NaN",
      [
        {
          labels: up,
          samples: [
            { value: Number.NaN, timestamp: MS },
            { value: STALE_STAND_IN, timestamp: MS + 1 },
            { value: 0, timestamp: MS + 2 },
          ],
        },
      ],
      [
        { series: UP, ms: MS, value: Number.NaN },
        { series: UP, ms: MS + 1, value: "stale" },
        { series: UP, ms: MS + 2, value: 0 },
      ],
    );
    ok(
      "a series that comes twice",
      [0, 1].map((step) => ({ labels: up, samples: [{ value: step, timestamp: MS + step }] })),
      [0, 1].map((step) => ({ series: UP, ms: MS + step, value: step })),
    );
    ok(
      "names and values in UTF-8",
      [{ labels: { __name__: "räume", "größe.m²": "☃ 10\n" }, samples: [{ value: 1, timestamp: MS }] }],
      [{ series: 'räume{größe.m²="☃ 10\\n"}', ms: MS, value: 1 }],
    );
    // vmagent sends labels as it scraped them; Prometheus's own receiver sorts them too.
    ok(
      "labels out of order, sorted",
      [
        {
          labels: [
            ["job", "node"],
            ["__name__", "up"],
            ["instance", "a:9100"],
          ],
          samples: [{ value: 1, timestamp: MS }],
        },
      ],
      [{ series: UP, ms: MS, value: 1 }],
    );
    ok(
      "labels without a value, which count as absent",
      [{ labels: { ...up, zone: "" }, samples: [{ value: 1, timestamp: MS }] }],
      [{ series: UP, ms: MS, value: 1 }],
    );
  });

  describe(`${version}: rejects only the one series`, () => {
    bad("without a name", { job: "node" }, ["name", 'series {job="node"} has no __name__']);
    bad("with an empty name", { __name__: "", job: "node" }, ["name", 'series {job="node"} has no __name__']);
    bad("without labels", {}, ["name", "series {} has no __name__"]);
    bad(
      "with a label twice",
      [
        ["__name__", "up"],
        ["job", "a"],
        ["job", "b"],
      ],
      ["labels", 'series up{job="a",job="b"} has label "job" twice'],
    );
    bad(
      "with a label twice, not side by side",
      [
        ["job", "a"],
        ["__name__", "up"],
        ["job", "b"],
      ],
      ["labels", 'series up{job="a",job="b"} has label "job" twice'],
    );
    bad(
      "with a label without a name",
      [
        ["", "x"],
        ["__name__", "up"],
      ],
      ["labels", 'series up{="x"} has a label with an empty name'],
    );
  });

  describe(`${version}: rejects a whole message that is truncated or malformed`, () => {
    const body = encode([{ labels: up, samples: [{ value: 1, timestamp: MS }] }]);
    test("at any byte", () => {
      const decoder = new Decoder();
      const whole = plain(decoder.decode(body));
      for (let length = 1; length < body.length; length++) {
        try {
          // A cut between two fields of the message itself is not detected: the message is valid, with less in it.
          expect(plain(decoder.decode(body.subarray(0, length)))).toEqual([]);
        } catch (error) {
          expect(error).toBeInstanceOf(BadInput);
        }
        expect(plain(decoder.decode(body))).toEqual(whole);
      }
    });
    test("with a group, which protobuf no longer has", () => {
      expect(() => new Decoder().decode(Buffer.from([0x0b]))).toThrow("wire type 3");
    });
    test("of the other version, of which nothing would be stored", () => {
      const series = [{ labels: up, samples: [{ value: 1, timestamp: MS }] }];
      const other = version === "1.0" ? encodeV2(series) : encodeV1(series);
      const decoder = new Decoder();
      expect(() => decoder.decode(other)).toThrow(BadInput);
      expect(() => decoder.decode(other)).toThrow(
        version === "1.0"
          ? "the message is an io.prometheus.write.v2.Request, but Content-Type says prometheus.WriteRequest"
          : "the message is a prometheus.WriteRequest, but Content-Type says io.prometheus.write.v2.Request",
      );
      expect(plain(decoder.decode(body))).toEqual([{ series: UP, ms: MS, value: 1 }]);
    });
    test("with a field without a number", () => {
      expect(() => new Decoder().decode(Buffer.from([0x00, 0x01]))).toThrow("a field has number 0");
    });
    test("of random bytes, which cause no other error than BadInput", () => {
      const decoder = new Decoder();
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(255), (bytes, at, byte) => {
          const changed = Buffer.from(body);
          changed[at % changed.length] = byte;
          for (const input of [Buffer.from(bytes), changed]) {
            try {
              decoder.decode(input);
            } catch (error) {
              expect(error).toBeInstanceOf(BadInput);
            }
          }
        }),
        runs(1_000),
      );
      expect(plain(decoder.decode(body))).toEqual([{ series: UP, ms: MS, value: 1 }]);
    });
  });

  test(`${version}: text that is not UTF-8 rejects only its series, or drops only its exemplar`, () => {
    const trace = { value: 1, timestamp: MS, labels: { trace_id: "bad2" } };
    const body = encode([
      { labels: { ...up, job: "bad1" }, samples: [{ value: 1, timestamp: MS }] },
      { labels: up, samples: [{ value: 2, timestamp: MS }], exemplars: [trace] },
    ]);
    for (const word of ["bad1", "bad2"]) body[body.indexOf(word)] = 0xff;
    const decoder = new Decoder();
    for (let time = 0; time < 2; time++) {
      const { batch, exemplars } = decoder.decode(body);
      expect(batch.rejected).toMatchObject([
        { index: 0, cause: "labels", reason: expect.stringContaining("not valid UTF-8") },
      ]);
      expect([batch.length, batch.value[0], batch.exemplars, exemplars]).toEqual([1, 2, undefined, 1]);
    }
  });

  test(`${version}: accepts valid samples and describes the first rejected ones, however many are invalid`, () => {
    const wrong = Array.from({ length: 60_000 }, (_, index) => ({
      labels: { job: `x${index}` },
      samples: [{ value: 1, timestamp: MS }],
    }));
    const good = { labels: up, samples: [{ value: 2, timestamp: MS }] };
    const request = new Decoder().decode(encode([good, ...wrong, good]));
    expect(plain(request)).toEqual([1, 2].map(() => ({ series: UP, ms: MS, value: 2 })));
    const { rejected } = request.batch;
    expect([request.samples, rejected.length]).toEqual([60_002, 60_000]);
    expect(rejected[0]!.reason).toBe('series {job="x0"} has no __name__');
    expect(rejected.map(({ index }) => index)).toEqual(wrong.map((_, index) => index + 1));
    expect(new Set(rejected.map(({ cause }) => cause))).toEqual(new Set(["name"]));
    // Keeping the texts of all of them would take too much memory.
    expect(new Set(rejected.map(({ reason }) => reason)).size).toBeLessThan(2_000);
    expect(new Set(rejected.map(({ payload }) => payload)).size).toBeLessThan(2_000);
  });

  test(`${version}: rejects a request with samples past the limit`, () => {
    const samples = Array.from({ length: 500_001 }, (_, index) => ({ value: 1, timestamp: index }));
    expect(() => new Decoder().decode(encode([{ labels: up, samples }]))).toThrow(TooLarge);
  });

  test(`${version}: tells series apart that come in another order than before`, () => {
    const decoder = new Decoder();
    const names = Array.from({ length: 50 }, (_, index) => `metric_${index}`);
    fc.assert(
      fc.property(fc.shuffledSubarray(names), (order) => {
        const series = order.map((name) => ({
          labels: { __name__: name, job: "x" },
          samples: [{ value: names.indexOf(name) }],
        }));
        const want = order.map((name) => ({
          series: spell(name, [["job", "x"]]),
          ms: 0,
          value: names.indexOf(name),
        }));
        expect(plain(decoder.decode(encode(series)))).toEqual(want);
      }),
      runs(),
    );
  });
}

for (const { version, encode, Decoder } of versions) {
  describe(`${version}: exemplars`, () => {
    const at = { value: 0.25, timestamp: MS };
    const read = (
      exemplars: Series["exemplars"],
      labels: Series["labels"] = up,
      samples: Series["samples"] = [],
    ) => {
      const { batch, exemplars: count } = new Decoder().decode(encode([{ labels, samples, exemplars }]));
      expect([batch.length, count]).toEqual([samples.length, exemplars!.length]);
      return batch.exemplars?.map(({ head, timestampUs, value, labels: own }) => [
        spell(batch.heads[head]!.metric, batch.heads[head]!.labels),
        timestampUs / 1000,
        value,
        Object.fromEntries(own),
      ]);
    };
    test("belong to their series, which needs no samples", () => {
      const labels = { trace_id: "4bf92f3577b34da6", zone: "é" };
      expect(read([{ ...at, labels }, at])).toEqual([
        [UP, MS, 0.25, labels],
        [UP, MS, 0.25, {}],
      ]);
    });
    test("without a time get the time of the sample before them", () => {
      const samples = [MS - 1, MS].map((timestamp) => ({ value: 1, timestamp }));
      expect(read([{ value: 2 }], up, samples)).toEqual([[UP, MS, 2, {}]]);
    });
    test("of 128 characters are kept, longer ones and those of a rejected series are dropped", () => {
      const fits = { trace_id: "é".repeat(120) };
      expect(
        read([
          { ...at, labels: fits },
          { ...at, labels: { trace_id: "x".repeat(121) } },
        ]),
      ).toEqual([[UP, MS, 0.25, fits]]);
      expect(read([at], { job: "x" })).toBeUndefined();
    });
  });
}

const label = fc.tuple(
  fc.stringMatching(/^[a-z_]{1,6}$/),
  fc.string({ maxLength: 12, unit: "grapheme" }).map((value) => value.toWellFormed()),
);
const sample = fc.record(
  { value: fc.double({ noNaN: true }), timestamp: fc.integer({ min: -9e12, max: 9e12 }) },
  { requiredKeys: [] },
);
const anySeries = fc.record({
  labels: fc
    .uniqueArray(label, { selector: ([name]) => name, maxLength: 8 })
    .map((pairs) => [
      ["__name__", "m"] as [string, string],
      ...pairs.filter(([name]) => !name.startsWith("__")),
    ]),
  samples: fc.array(sample, { maxLength: 4 }),
});

test("1.0: reads what the reference package writes as it does", () => {
  const decoder = new RemoteWriteDecoder();
  fc.assert(
    fc.property(fc.array(anySeries, { maxLength: 8 }), (series) => {
      const body = encodeV1(series);
      const want = readV1(body).flatMap(({ labels, samples }) => {
        const kept = labels.filter(([name, value]) => value !== "" && name !== "__name__");
        const sorted = kept.sort(([a], [b]) => (a < b ? -1 : 1));
        return samples.map(([ms, value]) => ({ series: spell("m", sorted), ms, value }));
      });
      expect(plain(decoder.decode(body))).toEqual(want);
    }),
    runs(500),
  );
});

test("2.0: reads the same from the same series as 1.0", () => {
  const first = new RemoteWriteDecoder();
  const second = new RemoteWriteV2Decoder();
  fc.assert(
    fc.property(fc.array(anySeries, { maxLength: 8 }), (series) => {
      expect(plain(second.decode(encodeV2(series)))).toEqual(plain(first.decode(encodeV1(series))));
    }),
    runs(500),
  );
});

/** A field of a message: its number, and the bytes of a nested message or text. */
const field = (number: number, ...parts: readonly (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  if (body.length > 127) throw new Error("one byte of length");
  return Buffer.concat([Buffer.from([number * 8 + 2, body.length]), body]);
};
const double = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

describe("accepts fields in any order, and skips unknown ones", () => {
  const name = field(1, field(2, "up"), field(1, "__name__"));
  const job = field(1, field(1, "job"), field(2, "node"));
  const sample = field(2, Buffer.from([16, 5, 9]), double(2));
  test("1.0: labels between and after the samples", () => {
    const decoder = new RemoteWriteDecoder();
    const plainly = encodeV1([{ labels: up, samples: [{ value: 1, timestamp: MS }] }]);
    for (const parts of [
      [name, job, sample, sample],
      [name, sample, job, sample],
      [sample, sample, job, name],
    ]) {
      const request = decoder.decode(Buffer.concat([plainly, field(1, ...parts), plainly]));
      const other = { series: 'up{job="node"}', ms: 5, value: 2 };
      const first = { series: UP, ms: MS, value: 1 };
      expect(plain(request)).toEqual([first, other, other, first]);
      expect(request.samples).toBe(4);
    }
  });
  test("1.0: a series with labels after its samples is read twice, and what it drops is counted once", () => {
    const notText = Buffer.from([0xff]);
    const metadata = field(3, Buffer.from([8, 1]), field(2, notText));
    const exemplar = field(3, field(1, field(1, "trace_id"), field(2, notText)));
    // One observation of 1.5: count, sum, schema 0, one bucket, time.
    const histogram = field(
      4,
      Buffer.from([8, 1, 25]),
      double(1.5),
      Buffer.from([32, 0]),
      field(11, Buffer.from([8, 0, 16, 1])),
      field(12, Buffer.from([2])),
      Buffer.from([120, 5]),
    );
    const body = Buffer.concat([metadata, field(1, name, histogram, exemplar, job)]);
    expect(new RemoteWriteDecoder().decode(body)).toMatchObject({
      histograms: 1,
      classicHistograms: 1,
      exemplars: 1,
      exemplarsDropped: 1,
      metadataDropped: 1,
    });
  });
  test("2.0: symbols after the series, references one by one, start times of samples", () => {
    const symbols = ["", "__name__", "up", "job", "node", "trace_id", "t1"].map((text) => field(4, text));
    const started = field(2, Buffer.from([9]), double(2), Buffer.from([16, 5, 24, 1]));
    const exemplar = field(4, Buffer.from([8, 5, 8, 6, 17]), double(0.5), Buffer.from([24, 5]));
    const created = Buffer.from([48, 7]);
    const series = field(5, created, exemplar, started, Buffer.from([8, 1, 8, 2, 8, 3, 8, 4]));
    const request = new RemoteWriteV2Decoder().decode(Buffer.concat([series, ...symbols]));
    expect(plain(request)).toEqual([{ series: 'up{job="node"}', ms: 5, value: 2 }]);
    expect(request.batch.exemplars).toMatchObject([
      { timestampUs: 5_000, value: 0.5, labels: new Map([["trace_id", "t1"]]) },
    ]);
  });
});

describe("metadata", () => {
  const said = { type: 1, metricFamilyName: "requests_total", help: "Requests so far.", unit: "requests" };
  const requests: Series = { labels: { __name__: "requests_total" }, samples: [{ value: 1, timestamp: MS }] };

  test("1.0: applies to later samples, by the name of their family", () => {
    const decoder = new RemoteWriteDecoder();
    const named = (name: string): Series => ({
      labels: { __name__: name },
      samples: [{ value: 1, timestamp: MS }],
    });
    const heads = (names: readonly string[]) =>
      decoder
        .decode(encodeV1(names.map(named)))
        .batch.heads.map(({ metric, kind, type }) => [metric, kind, type]);
    const names = [
      "requests_total",
      "size_bucket",
      "size_sum",
      "size_count",
      "size",
      "lag_sum",
      "lag",
      "temperature",
      "other_sum",
    ];
    expect(heads(names)).toEqual(names.map((name) => [name, "cumulative", "unknown"]));
    const metadata = [
      said,
      { type: 3, metricFamilyName: "size" },
      { type: 5, metricFamilyName: "lag" },
      { type: 2, metricFamilyName: "temperature" },
      { type: 2, metricFamilyName: "other" },
    ];
    expect(decoder.decode(encodeV1([], metadata))).toMatchObject({
      samples: 0,
      batch: { length: 0, heads: [] },
    });
    expect(heads(names)).toEqual([
      ["requests_total", "cumulative", "counter"],
      ["size_bucket", "cumulative", "histogram"],
      ["size_sum", "cumulative", "histogram"],
      ["size_count", "cumulative", "histogram"],
      ["size", "cumulative", "histogram"],
      ["lag_sum", "cumulative", "summary"],
      ["lag", "cumulative", "summary"],
      ["temperature", "gauge", "gauge"],
      // A gauge has no parts.
      ["other_sum", "cumulative", "unknown"],
    ]);
    expect(decoder.decode(encodeV1([requests])).batch.heads[0]).toMatchObject({
      help: "Requests so far.",
      unit: "requests",
    });
  });

  test("1.0: the first type counts, so that senders that disagree cost nothing", () => {
    const decoder = new RemoteWriteDecoder();
    decoder.decode(encodeV1([requests], [said]));
    const [head] = decoder.decode(encodeV1([requests])).batch.heads;
    decoder.decode(encodeV1([], [{ ...said, type: 2, help: "Other." }]));
    expect(decoder.decode(encodeV1([requests])).batch.heads[0]).toBe(head!);
  });

  test("2.0: comes with each series", () => {
    const decoder = new RemoteWriteV2Decoder();
    const bare = decoder.decode(encodeV2([requests])).batch.heads[0];
    expect(bare).toMatchObject({ kind: "cumulative", type: "unknown" });
    const told = { ...requests, metadata: { type: 1, help: "Requests so far.", unit: "requests" } };
    const [head] = decoder.decode(encodeV2([told])).batch.heads;
    expect(head).toMatchObject({
      kind: "cumulative",
      type: "counter",
      help: "Requests so far.",
      unit: "requests",
    });
    expect(decoder.decode(encodeV2([told])).batch.heads[0]).toBe(head!);
    expect(decoder.decode(encodeV2([requests])).batch.heads[0]).toBe(bare!);
  });
});

describe("2.0: references", () => {
  test("0 is the empty text: rejects a table that begins with another text", () => {
    const request = (symbols: string[]) => encodeRawV2({ symbols, timeseries: [{ labelsRefs: [0, 1] }] });
    const decoder = new RemoteWriteV2Decoder();
    expect(() => decoder.decode(request(["__name__", "up"]))).toThrow(
      'the first symbol of the request is "__name__", expected an empty one',
    );
    expect(plain(decoder.decode(encodeRawV2({ symbols: [], timeseries: [] })))).toEqual([]);
    expect(plain(decoder.decode(encodeRawV2({ symbols: [""], timeseries: [] })))).toEqual([]);
  });
  test("of an exemplar without a symbol, or odd in number, drop the exemplar", () => {
    for (const labelsRefs of [[3, 9], [9, 3], [3]]) {
      const series = { labelsRefs: [1, 2], samples: [{ value: 1 }], exemplars: [{ labelsRefs }] };
      const symbols = ["", "__name__", "up", "a", "b"];
      const { batch } = new RemoteWriteV2Decoder().decode(encodeRawV2({ symbols, timeseries: [series] }));
      expect([batch.length, batch.rejected, batch.exemplars]).toEqual([1, [], undefined]);
    }
  });
  const decode = (labelsRefs: number[], symbols = ["", "__name__", "up", "job", "node"]) =>
    new RemoteWriteV2Decoder().decode(
      encodeRawV2({ symbols, timeseries: [{ labelsRefs, samples: [{ value: 1 }] }] }),
    );
  test("without a symbol, or odd in number, reject their series", () => {
    for (const references of [
      [1, 5],
      [1, 2, 3],
      [4_000_000_000, 2],
    ]) {
      const { batch, samples } = decode(references);
      expect(samples).toBe(1);
      expect(batch.length).toBe(0);
      expect(batch.rejected).toMatchObject([
        { index: 0, cause: "labels", reason: expect.stringContaining("5 symbols") },
      ]);
    }
  });
  test("refer to the request's own table", () => {
    const decoder = new RemoteWriteV2Decoder();
    const body = (symbols: string[]) =>
      encodeRawV2({ symbols, timeseries: [{ labelsRefs: [1, 2], samples: [{ value: 1 }] }] });
    for (const name of ["a", "b", "a", "c"])
      expect(plain(decoder.decode(body(["", "__name__", name])))[0]!.series).toBe(name);
  });
  test("rejects a request with more symbols than are remembered, and accepts the next", () => {
    const decoder = new RemoteWriteV2Decoder();
    const symbols = Array.from({ length: 262_200 }, (_, index) => (index === 0 ? "" : `s${index}`));
    expect(() => decoder.decode(encodeRawV2({ symbols, timeseries: [] }))).toThrow(TooLarge);
    expect(plain(decoder.decode(encodeV2([{ labels: up, samples: [{ value: 1, timestamp: MS }] }])))).toEqual(
      [{ series: UP, ms: MS, value: 1 }],
    );
  });
});
