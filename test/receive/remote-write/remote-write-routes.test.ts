/**
 * remote_write with the real gateway: the answers, the stored samples, and that each status makes senders act
 * correctly.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import snappyjs from "snappyjs";
import { createApp } from "../../../src/http/app.ts";
import { BodiesInProgress } from "../../../src/http/body.ts";
import { createLog } from "../../../src/log/log.ts";
import { createCounters } from "../../../src/model/counters.ts";
import { Busy, Timeout, Unavailable } from "../../../src/model/errors.ts";
import { BodyDecoder } from "../../../src/receive/body-decoder.ts";
import { RemoteWriteDecoder } from "../../../src/receive/remote-write/remote-write.ts";
import { remoteWriteRoutes } from "../../../src/receive/remote-write/remote-write-routes.ts";
import { RemoteWriteV2Decoder } from "../../../src/receive/remote-write/remote-write-v2.ts";
import { DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "./decoded.ts";
import { encodeV1, encodeV2, type Series } from "./messages.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
});
afterAll(() => gateway.close());

const snappy = (message: Buffer) => new Uint8Array(snappyjs.compress(withStaleMarkers(message)));
const V1 = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf",
  "x-prometheus-remote-write-version": "0.1.0",
};
const V2 = {
  ...V1,
  "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
  "x-prometheus-remote-write-version": "2.0.0",
};

interface Answer {
  status: number;
  text: string;
  written: (string | null)[];
  headers: Headers;
}

async function post(
  body: Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  app = gateway.app,
  path = "/api/v1/write",
): Promise<Answer> {
  const response = await app.fetch(
    new Request(`http://localhost:9091${path}`, { method: "POST", body, headers }),
  );
  const written = ["samples", "histograms", "exemplars"].map((what) =>
    response.headers.get(`x-prometheus-remote-write-${what}-written`),
  );
  return { status: response.status, text: await response.text(), written, headers: response.headers };
}
const write1 = (series: readonly Series[], ...metadata: Parameters<typeof encodeV1>[1][]) =>
  post(snappy(encodeV1(series, ...metadata)), V1);
const write2 = (series: readonly Series[]) => post(snappy(encodeV2(series)), V2);

let names = 0;
/** A metric that no other test uses. */
const fresh = () => `metric_${++names}`;
const series = (name: string, samples: Series["samples"], labels: Record<string, string> = {}): Series => ({
  labels: Object.entries({ __name__: name, ...labels }).sort(([a], [b]) => (a < b ? -1 : 1)),
  samples,
});

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const reader = await gateway.gateway.store.reader();
  try {
    return await reader.all(sql);
  } finally {
    reader.close();
  }
}
/** The stored samples of a metric: labels, milliseconds from now, and the value, sorted in this order. */
async function stored(metric: string): Promise<unknown[]> {
  const days = gateway.gateway.store.days().map(({ table }) => `SELECT * FROM weir.${table}`);
  if (days.length === 0) return [];
  const rows = await query(
    `SELECT labels, epoch_ms(ts)::DOUBLE - ${NOON_MS} AS ms, value
     FROM (${days.join(" UNION ALL BY NAME ")}) JOIN weir.series USING (series_id)
     WHERE metric = '${metric}' ORDER BY labels::VARCHAR, ts`,
  );
  return rows.map(({ labels, ms, value }) => [labels, ms, value]);
}

describe("stores", () => {
  for (const [version, write] of [
    ["1.0", write1],
    ["2.0", write2],
  ] as const) {
    test(`${version}: samples of several days, stale markers, NaN and infinities`, async () => {
      const name = fresh();
      const samples = [
        { value: 1, timestamp: NOON_MS - DAY_MS },
        { value: STALE_STAND_IN, timestamp: NOON_MS - 2_000 },
        { value: Number.POSITIVE_INFINITY, timestamp: NOON_MS - 1_000 },
        { value: Number.NaN, timestamp: NOON_MS },
      ];
      const answer = await write([series(name, samples, { job: "x" })]);
      expect(answer).toMatchObject({
        status: 204,
        text: "",
        written: version === "1.0" ? [null, null, null] : ["4", "0", "0"],
      });
      expect(await stored(name)).toEqual([
        [{ job: "x" }, -DAY_MS, 1],
        [{ job: "x" }, -2_000, null],
        [{ job: "x" }, -1_000, "Infinity"],
        [{ job: "x" }, 0, "NaN"],
      ]);
    });
    test(`${version}: a native histogram, as buckets, sum and count`, async () => {
      const name = fresh();
      const histogram = {
        countInt: 3,
        sum: 4.5,
        schema: 1,
        timestamp: NOON_MS,
        positiveSpans: [{ offset: 1, length: 2 }],
        positiveDeltas: [1, 1],
      };
      const answer = await write([{ labels: { __name__: name, job: "x" }, histograms: [histogram] }]);
      expect(answer).toMatchObject({
        status: 204,
        written: version === "1.0" ? [null, null, null] : ["0", "1", "0"],
      });
      expect(await stored(`${name}_bucket`)).toEqual([
        [{ job: "x", le: "+Inf" }, 0, 3],
        [{ job: "x", le: "1.0" }, 0, 0],
        [{ job: "x", le: "2.0" }, 0, 3],
      ]);
      expect(await stored(`${name}_sum`)).toEqual([[{ job: "x" }, 0, 4.5]]);
      expect(await stored(`${name}_count`)).toEqual([[{ job: "x" }, 0, 3]]);
    });
  }

  test("native histograms with custom buckets, of gauges, of floats, and their stale markers", async () => {
    const custom = fresh();
    const gauge = fresh();
    const at = (ms: number) => NOON_MS + ms;
    const metadata = { type: 4, help: "How deep the queues are now." };
    const answer = await write2([
      {
        labels: { __name__: custom },
        histograms: [
          {
            countInt: 4,
            sum: 9,
            schema: -53,
            customValues: [0.1, 2.5],
            positiveSpans: [{ offset: 0, length: 3 }],
            positiveDeltas: [1, 1, -1],
            timestamp: at(0),
          },
          { sum: STALE_STAND_IN, timestamp: at(1) },
        ],
      },
      {
        labels: { __name__: gauge },
        metadata,
        histograms: [
          {
            countFloat: 2.5,
            sum: 3,
            schema: 0,
            resetHint: 3,
            positiveSpans: [{ offset: 1, length: 1 }],
            positiveCounts: [2.5],
            timestamp: at(0),
          },
          // A gauge may decrease.
          { countFloat: 0, sum: 0, schema: 0, resetHint: 3, timestamp: at(1) },
        ],
      },
    ]);
    expect(answer).toMatchObject({ status: 204, text: "", written: ["0", "4", "0"] });
    expect(await stored(`${custom}_bucket`)).toEqual([
      [{ le: "+Inf" }, 0, 4],
      [{ le: "+Inf" }, 1, null],
      [{ le: "0.1" }, 0, 1],
      [{ le: "0.1" }, 1, null],
      [{ le: "2.5" }, 0, 3],
      [{ le: "2.5" }, 1, null],
    ]);
    expect(await stored(`${custom}_sum`)).toEqual([
      [{}, 0, 9],
      [{}, 1, null],
    ]);
    expect(await stored(`${gauge}_bucket`)).toEqual([
      [{ le: "+Inf" }, 0, 2.5],
      [{ le: "+Inf" }, 1, 0],
      [{ le: "1.0" }, 0, 0],
      [{ le: "1.0" }, 1, 0],
      [{ le: "2.0" }, 0, 2.5],
      [{ le: "2.0" }, 1, 0],
    ]);
  });

  test("native histograms beside equal classic ones of the same scrape", async () => {
    const name = fresh();
    const classic = (part: string, value: number, labels = {}) =>
      series(`${name}_${part}`, [{ value, timestamp: NOON_MS }], labels);
    const native = {
      countInt: 3,
      sum: 4,
      schema: 0,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveDeltas: [1, 1],
      timestamp: NOON_MS,
    };
    expect(
      await write2([
        classic("bucket", 1, { le: "1" }),
        classic("bucket", 3, { le: "3" }),
        classic("bucket", 3, { le: "+Inf" }),
        classic("sum", 4),
        classic("count", 3),
        { labels: { __name__: name }, histograms: [native] },
      ]),
    ).toMatchObject({ status: 204, written: ["5", "1", "0"] });
    // Bounds of native buckets are spelled as those of the classic ones, so that no bucket counts twice.
    expect(await stored(`${name}_bucket`)).toEqual([
      [{ le: "+Inf" }, 0, 3],
      [{ le: "0.5" }, 0, 0],
      [{ le: "1" }, 0, 1],
      [{ le: "2" }, 0, 3],
      [{ le: "3" }, 0, 3],
    ]);
  });

  test("a native histogram before the first classic bucket: the other spelling ends at the next sample", async () => {
    const name = fresh();
    const scrape = async (ms: number) =>
      await write2([
        {
          labels: { __name__: name },
          histograms: [
            {
              countInt: 1,
              sum: 1,
              schema: 0,
              positiveSpans: [{ offset: 0, length: 1 }],
              positiveDeltas: [1],
              timestamp: NOON_MS + ms,
            },
          ],
        },
        series(`${name}_bucket`, [{ value: 1, timestamp: NOON_MS + ms }], { le: "1" }),
      ]);
    for (const ms of [0, 1]) expect((await scrape(ms)).status).toBe(204);
    const all = await stored(`${name}_bucket`);
    expect(all.filter((row) => /"le":"1(\.0)?"/.test(JSON.stringify(row)))).toEqual([
      [{ le: "1.0" }, 0, 1],
      [{ le: "1.0" }, 1, null],
      [{ le: "1" }, 0, 1],
      [{ le: "1" }, 1, 1],
    ]);
  });

  test("le and quantile as they were sent", async () => {
    const name = fresh();
    await write1([series(name, [{ value: 1, timestamp: NOON_MS }], { le: "250" })]);
    await write1([series(name, [{ value: 1, timestamp: NOON_MS + 1 }], { le: "250.0" })]);
    expect(await stored(name)).toEqual([
      [{ le: "250.0" }, 1, 1],
      [{ le: "250" }, 0, 1],
    ]);
  });

  test("samples with labels of the URL, in any encoding, and without headers", async () => {
    const name = fresh();
    const message = encodeV1([series(name, [{ value: 1, timestamp: NOON_MS }])]);
    const path = "/api/v1/write?extra_label=site=north";
    expect((await post(snappy(message), V1, gateway.app, path)).status).toBe(204);
    expect((await post(snappy(message), {})).status).toBe(204);
    for (const [encoding, body] of [
      ["zstd", zlib.zstdCompressSync(message)],
      ["gzip", zlib.gzipSync(message)],
      ["identity", message],
    ] as const) {
      expect((await post(new Uint8Array(body), { ...V1, "content-encoding": encoding })).status).toBe(204);
    }
    expect(await stored(name)).toEqual([
      [{ site: "north" }, 0, 1],
      [{}, 0, 1],
    ]);
  });

  test("the protocol of vmagent, which asks for it and then compresses with zstd", async () => {
    const asked = await post(new Uint8Array(), {}, gateway.app, "/api/v1/write?get_vm_proto_version=1");
    expect([asked.status, asked.text]).toEqual([200, "1"]);
    const labels = { __name__: "asked:also_with_labels" };
    const message = encodeV1([{ labels, samples: [{ value: 2, timestamp: NOON_MS }] }]);
    const path = "/api/v1/write?extra_label=site=north";
    const again = await post(new Uint8Array(), {}, gateway.app, `${path}&get_vm_proto_version=1`);
    expect([again.status, again.text]).toEqual([200, "1"]);
    const headers = {
      "content-encoding": "zstd",
      "content-type": "application/x-protobuf",
      "x-victoriametrics-remote-write-version": "1",
    };
    const body = new Uint8Array(zlib.zstdCompressSync(message));
    expect((await post(body, headers, gateway.app, path)).status).toBe(204);
    expect(await stored(labels.__name__)).toEqual([[{ site: "north" }, 0, 2]]);
  });

  test("series that are exposed on /metrics only if exposeProtocols says so", async () => {
    const name = fresh();
    const exposed = async () => (await (await gateway.fetch("/metrics")).text()).includes(name);
    await write1([series(name, [{ value: 1, timestamp: NOON_MS }])]);
    expect(await exposed()).toBe(false);
    await gateway.reopen("--expose-protocols=remote_write");
    await write1([series(name, [{ value: 1, timestamp: NOON_MS }], { job: "y" })]);
    expect(await exposed()).toBe(true);
    await gateway.reopen();
  });
});

test("samples of remote_write set no last push time, unless they are exposed", async () => {
  const lastPushes = async () => {
    const response = await gateway.fetch("/metrics");
    const lines = (await response.text()).split("\n");
    return lines.filter((line) => /^weir_last_push_timestamp_seconds\{.*job="gone"/.test(line));
  };
  const alert = (value: number) =>
    series("ALERTS", [{ value, timestamp: NOON_MS + value }], {
      alertname: "Slow",
      instance: "a",
      job: "gone",
    });
  await write1([alert(1)]);
  expect(await lastPushes()).toEqual([]);
  await gateway.reopen("--expose-protocols=remote_write");
  await write1([alert(2)]);
  expect(await lastPushes()).toEqual([
    `weir_last_push_timestamp_seconds{instance="a",job="gone"} ${NOON_MS / 1000}`,
  ]);
  await gateway.reopen();
});

describe("duplicates", () => {
  test("a repeated request stores nothing, also after a restart", async () => {
    const name = fresh();
    const all = Array.from({ length: 500 }, (_, index) =>
      series(name, [{ value: index, timestamp: NOON_MS }], { n: `${index}` }),
    );
    for (const _ of [1, 2])
      expect(await write2(all)).toMatchObject({ status: 204, written: ["500", "0", "0"] });
    await gateway.reopen();
    expect(await write2(all)).toMatchObject({ status: 204, written: ["500", "0", "0"] });
    expect((await stored(name)).length).toBe(500);
  });
  test("samples out of order are stored, and another value at a stored time is rejected", async () => {
    const name = fresh();
    const at = (value: number, ms: number) => ({ value, timestamp: NOON_MS + ms });
    expect(await write2([series(name, [at(1, 0)])])).toMatchObject({ status: 204 });
    expect(await write2([series(name, [at(2, -5_000), at(3, 0), at(1, 0), at(4, -DAY_MS)])])).toEqual(
      expect.objectContaining({
        status: 400,
        written: ["3", "0", "0"],
        text: expect.stringMatching(
          /^1 of 4 samples were not stored; the first: value 3 of "metric_\d+" differs from 1, which is already stored for this series and time/,
        ),
      }),
    );
    expect(await stored(name)).toEqual([
      [{}, -DAY_MS, 4],
      [{}, -5_000, 2],
      [{}, 0, 1],
    ]);
  });
});

// Prometheus 2.42 answers the first request with 204 and keeps the first value; so does every later scrape of the target.
describe("several values for one series and time in one request: the first is stored, and nothing fails", () => {
  const at = (value: number, ms = 0) => ({ value, timestamp: NOON_MS + ms });
  const rejections = async (name: string) => {
    const reader = await gateway.gateway.store.reader();
    try {
      const rows = await reader.all<{ reason: string }>(
        `SELECT reason FROM weir.rejected WHERE reason LIKE '%"${name}"%'`,
      );
      return rows.map(({ reason }) => reason);
    } finally {
      reader.close();
    }
  };
  for (const [how, seriesFor] of [
    ["as two series", (name: string) => [series(name, [at(1)]), series(name, [at(2)])]],
    ["in one series", (name: string) => [series(name, [at(1), at(2)])]],
  ] as const) {
    test(`${how}, in 1.0 and 2.0, again, and beside others`, async () => {
      const name = fresh();
      const other = fresh();
      const reason = `value 2 of "${name}" differs from 1, which the same request has for this series and time before it`;
      // The whole request again gets the same answer.
      for (const write of [write1, write1, write2]) {
        const answer = await write([...seriesFor(name), series(other, [at(5)])]);
        expect([answer.status, answer.text]).toEqual([204, ""]);
        expect(answer.written[0]).toBe(write === write2 ? "2" : null);
      }
      expect(await stored(name)).toEqual([[{}, 0, 1]]);
      expect(await stored(other)).toEqual([[{}, 0, 5]]);
      // A wrong sample beside it is still 400, and the text names it alone.
      const late = series(other, [at(6)]);
      const answer = await write2([...seriesFor(name), late]);
      expect([answer.status, answer.written[0]]).toEqual([400, "1"]);
      expect(answer.text).not.toContain(name);
      expect(answer.text).toContain(`value 6 of "${other}" differs from 5`);
      // The second value alone is another value at a stored time.
      expect((await write2([series(name, [at(2)])])).status).toBe(400);
      expect(await rejections(name)).toEqual([
        reason,
        reason,
        reason,
        reason,
        expect.stringContaining("which is already stored"),
      ] as string[]);
    });
  }
  test("both differ from what is stored: both are the sender's error", async () => {
    const name = fresh();
    await write1([series(name, [at(1)])]);
    expect(await write2([series(name, [at(2), at(3)])])).toMatchObject({
      status: 400,
      written: ["0", "0", "0"],
    });
    expect(await stored(name)).toEqual([[{}, 0, 1]]);
  });
});

describe("400: stores the valid samples and reports the others", () => {
  const bad = (name: string, wrong: Series, first: string) =>
    test(name, async () => {
      const good = fresh();
      const all = [series(good, [{ value: 1, timestamp: NOON_MS }]), wrong];
      const answer = await write2(all);
      expect(answer.status).toBe(400);
      expect(answer.written).toEqual(["1", "0", "0"]);
      expect(answer.text.split("\n")[0]).toStartWith(`1 of 2 samples were not stored; the first: ${first}`);
      expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await stored(good)).toEqual([[{}, 0, 1]]);
    });
  const now = [{ value: 1, timestamp: NOON_MS }];
  bad("no name", { labels: { job: "x" }, samples: now }, 'series {job="x"} has no __name__');
  bad(
    "a label twice",
    {
      labels: [
        ["__name__", "m"],
        ["a", "1"],
        ["a", "2"],
      ],
      samples: now,
    },
    'series m{a="1",a="2"} has label "a" twice',
  );
  bad(
    "a label that is too long",
    series("m", now, { ["l".repeat(256)]: "x" }),
    `label "${"l".repeat(119)}… is longer than 255 bytes`,
  );
  bad(
    "a control character in a label's name",
    series("m", now, { "a\n": "x" }),
    'label "a\\n" contains a control character',
  );
  bad(
    "a value that is too long",
    series("m", now, { a: "x".repeat(5_000) }),
    'the value of label "a" is 5000 bytes long',
  );
  bad(
    "too many labels",
    series("m", now, Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`l${n}`, "x"]))),
    "the sample has 70 labels",
  );
  bad(
    "a name that is too long",
    series("m".repeat(256), now),
    `__name__ "${"m".repeat(119)}… is longer than 255 bytes (nameBytesMax)`,
  );
  bad(
    "a time before retention",
    series("m", [{ value: 1, timestamp: NOON_MS - 4 * DAY_MS }]),
    "timestamp 2024-09-30T12:00:00.000Z is before retention, which starts at 2024-10-02T00:00:00.000Z " +
      '(--retention-days 3; 5 would cover it): {"timestamp":"2024-09-30T12:00:00.000Z","__name__":"m","value":1,' +
      '"labels":{}}',
  );
  bad(
    "a time in the future",
    series("m", [{ value: 1, timestamp: NOON_MS + DAY_MS }]),
    "timestamp 2024-10-05T12:00:00.000Z is in the future",
  );
  bad("a time outside the range of dates", series("m", [{ value: 1, timestamp: 2 ** 60 }]), "timestamp");

  test("another value at a stored time is kept in the table rejected, in the words of remote_write", async () => {
    const name = fresh();
    await write1([series(name, now)]);
    await write1([series(name, [{ value: 2, timestamp: NOON_MS }])]);
    expect(await gateway.query(`SELECT payload FROM weir.rejected WHERE payload LIKE '%"${name}"%'`)).toEqual(
      [{ payload: `{"__name__":"${name}","value":2,"timestamp":${NOON_MS}}` }],
    );
  });

  test("an extra_label that cannot be a label is reported as a label", async () => {
    const path = "/api/v1/write?extra_label=__name__=x";
    const answer = await post(snappy(encodeV1([series(fresh(), now)])), V1, gateway.app, path);
    expect([answer.status, answer.text.trimEnd()]).toEqual([
      400,
      'Query parameter extra_label is rejected: label "__name__" is reserved for the name of the metric.',
    ]);
  });

  test("an invalid native histogram counts as one sample", async () => {
    const answer = await write2([
      { labels: { __name__: fresh() }, histograms: [{ schema: 60, timestamp: NOON_MS }] },
    ]);
    expect(answer).toMatchObject({ status: 400, written: ["0", "0", "0"] });
    expect(answer.text).toContain("has schema 60");
  });
  test("rejects a sample of another kind, and stores one with the name of a part of the metric", async () => {
    const name = fresh();
    const event = { metric_name: name, value: 1, "@timestamp": NOON_MS };
    await gateway.fetch("/api/v1/push", { method: "POST", body: JSON.stringify(event) });
    const answer = await write2([series(`${name}_count`, now), series(name, now)]);
    expect(answer).toMatchObject({ status: 400, written: ["1", "0", "0"] });
    expect(answer.text).toContain(`metric "${name}" is stored as observation, this sample is cumulative`);
  });
});

describe("any number of invalid samples", () => {
  for (const [version, write] of [
    ["1.0", write1],
    ["2.0", write2],
  ] as const) {
    test(`${version}: stores all valid ones, counts the invalid ones and lists the first`, async () => {
      const name = fresh();
      const wrong = Array.from({ length: 30_000 }, (_, n) => ({
        labels: { job: `wrong${n}` },
        samples: [{ value: 1, timestamp: NOON_MS }],
      }));
      const good = [0, 1, 2].map((n) => series(name, [{ value: n, timestamp: NOON_MS + n }]));
      const histogram = { labels: { job: "h" }, histograms: [{ countInt: 1, timestamp: NOON_MS }] };
      const answer = await write([good[0]!, ...wrong, good[1]!, histogram, good[2]!]);
      expect(answer.status).toBe(400);
      expect(answer.written).toEqual(version === "1.0" ? [null, null, null] : ["3", "0", "0"]);
      const lines = answer.text.trimEnd().split("\n");
      expect(lines[0]).toBe(
        '30001 of 30004 samples were not stored; the first: series {job="wrong0"} has no __name__',
      );
      expect(lines.slice(1)).toEqual(
        Array.from({ length: 9 }, (_, n) => `series {job="wrong${n + 1}"} has no __name__`),
      );
      expect(await stored(name)).toEqual([0, 1, 2].map((n) => [{}, n, n]));
    });
  }
});

describe("supported messages and encodings", () => {
  const body = (message: "v1" | "v2", name: string) => {
    const all = [series(name, [{ value: 1, timestamp: NOON_MS }])];
    return snappy(message === "v1" ? encodeV1(all) : encodeV2(all));
  };
  const ok = (message: "v1" | "v2", headers: Record<string, string>) =>
    test(`${message}: ${JSON.stringify(headers)}`, async () => {
      const name = fresh();
      expect(await post(body(message, name), headers)).toMatchObject({
        status: 204,
        written: message === "v1" ? [null, null, null] : ["1", "0", "0"],
      });
      expect(await stored(name)).toEqual([[{}, 0, 1]]);
    });
  ok("v1", { "content-type": "" });
  ok("v1", { "content-type": "application/x-protobuf" });
  ok("v1", { "content-type": "Application/X-Protobuf; charset=utf-8" });
  ok("v1", { "content-type": "application/x-protobuf;proto=prometheus.WriteRequest" });
  ok("v1", { "content-type": 'application/x-protobuf ; Proto="prometheus.WriteRequest"' });
  ok("v2", { "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request" });
  ok("v2", { "content-type": "APPLICATION/X-PROTOBUF;  PROTO=io.prometheus.write.v2.Request ; a=b" });
  ok("v2", { "content-type": 'application/x-protobuf;proto="io.prometheus.write.v2.Request"' });
  ok("v1", { "content-encoding": "" });
  ok("v1", { "content-encoding": "Snappy" });
  ok("v1", { "content-encoding": " SNAPPY " });
  // The version header is informative: the content type counts.
  ok("v1", { "content-type": "application/x-protobuf", "x-prometheus-remote-write-version": "2.0.0" });

  const bad = (what: string, headers: Record<string, string>, written: (string | null)[], text: string) =>
    test(`415 for ${what}, with a plain sentence`, async () => {
      const name = fresh();
      const answer = await post(body("v2", name), headers);
      expect(answer).toMatchObject({ status: 415, written });
      expect(answer.text).toEndWith("\n");
      expect(answer.text).toContain(text);
      expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await stored(name)).toEqual([]);
    });
  // Without a version the answer has no counts of written samples.
  const unknown = [null, null, null];
  const expected =
    "expected application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request.";
  bad("JSON", { "content-type": "application/json" }, unknown, expected);
  bad("an empty message", { "content-type": "application/x-protobuf;proto=" }, unknown, expected);
  bad(
    "another case",
    { "content-type": "application/x-protobuf;proto=IO.prometheus.write.v2.Request" },
    unknown,
    expected,
  );
  bad("an encoding", { ...V2, "content-encoding": "snappy, snappy" }, ["0", "0", "0"], '"snappy"');
  bad(
    "a framed snappy",
    { ...V2, "content-encoding": "x-snappy-framed" },
    ["0", "0", "0"],
    '"x-snappy-framed"',
  );

  test("an empty request is 204", async () => {
    expect(await write1([])).toMatchObject({ status: 204, text: "" });
    expect(await write2([])).toMatchObject({ status: 204, text: "", written: ["0", "0", "0"] });
    const named = { labels: { __name__: fresh() } };
    expect(await write2([named])).toMatchObject({ status: 204, written: ["0", "0", "0"] });
    // A snappy block has at least one byte.
    expect((await post(new Uint8Array(0), V1)).status).toBe(400);
  });
});

describe("stores nothing and answers", () => {
  const name = fresh();
  const message = encodeV1([series(name, [{ value: 1, timestamp: NOON_MS }])]);
  const bad = (
    what: string,
    status: number,
    body: Uint8Array<ArrayBuffer>,
    headers: Record<string, string>,
    text: string,
  ) =>
    test(what, async () => {
      const answer = await post(body, headers);
      expect(answer.status).toBe(status);
      expect(answer.text).toContain(text);
      expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
      expect(await stored(name)).toEqual([]);
    });
  const block = snappy(message);
  bad("400: not a snappy block", 400, new Uint8Array(message), V1, "not a complete snappy block");
  bad("400: a truncated snappy block", 400, block.slice(0, -3), V1, "not a complete snappy block");
  bad(
    "400: not protobuf",
    400,
    snappy(Buffer.from("what is this?")),
    V1,
    "the body is not a protobuf message",
  );
  bad(
    "400: a truncated message",
    400,
    snappy(message.subarray(0, -3)),
    V1,
    "the body is not a protobuf message",
  );

  bad(
    "413: a block that inflates past the limit",
    413,
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
    V1,
    "past the limit",
  );
  bad("415: an unknown encoding", 415, block, { ...V1, "content-encoding": "lz4" }, '"lz4" is not supported');
  bad(
    "415: another type",
    415,
    block,
    { ...V1, "content-type": "application/json" },
    "expected application/x-protobuf",
  );
  bad(
    "415: another message",
    415,
    block,
    { ...V1, "content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request" },
    "is not supported",
  );
});

describe("503 and Retry-After, so that senders retry", () => {
  for (const error of [
    new Busy("the queue is full"),
    new Unavailable("the gateway is stopping"),
    new Timeout("too slow"),
  ]) {
    test(error.name, async () => {
      const inProgress = new BodiesInProgress();
      const routes = remoteWriteRoutes({
        decoders: {
          v1: new BodyDecoder(() => new RemoteWriteDecoder(), inProgress),
          v2: new BodyDecoder(() => new RemoteWriteV2Decoder(), inProgress),
        },
        ingest: { push: () => Promise.reject(error) },
        limits: {
          bodyBytesMax: 2 ** 20,
          inflatedBytesMax: 2 ** 22,
          timeoutMs: 60_000,
          inProgress,
          tagsMax: 64,
          nameBytesMax: 255,
          tagValueBytesMax: 4_096,
        },
        counters: createCounters(),
      });
      const app = createApp([routes], { log: createLog("error"), counters: createCounters() });
      const answer = await post(snappy(encodeV2([series("m", [{ value: 1, timestamp: NOON_MS }])])), V2, app);
      expect(answer).toMatchObject({ status: 503, text: `${error.message}\n`, written: ["0", "0", "0"] });
      expect(answer.headers.get("retry-after")).toBe("1");
    });
  }
});

describe("exemplars", () => {
  for (const [version, write] of [
    ["1.0", write1],
    ["2.0", write2],
  ] as const) {
    test(`${version}: are stored in a table, each once`, async () => {
      const name = fresh();
      const exemplar = (ms: number) => ({
        value: 0.2,
        timestamp: NOON_MS + ms,
        labels: { trace_id: `t${ms}` },
      });
      const own = { __name__: name, job: "x", le: "1" };
      const send = (...ms: number[]) =>
        write([
          { labels: own, samples: [{ value: 1, timestamp: NOON_MS + ms[0]! }] },
          { labels: own, exemplars: ms.map(exemplar) },
        ]);
      expect(await send(-1, -2, -1)).toMatchObject({
        status: 204,
        written: version === "1.0" ? [null, null, null] : ["1", "0", "3"],
      });
      // The same again, one more, and one that is past retention.
      expect(await send(-2, -1, 0, -30 * DAY_MS)).toMatchObject(
        version === "1.0"
          ? { status: 204, text: "" }
          : {
              status: 400,
              text: expect.stringMatching(/^1 of 4 exemplars were not stored: their series was not/),
              written: ["1", "0", "3"],
            },
      );
      expect(
        await query(
          `SELECT epoch_ms(ts)::DOUBLE - ${NOON_MS} AS ms, labels, value, exemplar FROM exemplars
           WHERE metric = '${name}' ORDER BY ts`,
        ),
      ).toEqual(
        [-2, -1, 0].map((ms) => ({
          ms,
          labels: { job: "x", le: "1" },
          value: 0.2,
          exemplar: { trace_id: `t${ms}` },
        })),
      );
    });
  }
  test("2.0: invalid exemplars are reported beside invalid samples", async () => {
    const name = fresh();
    const exemplars = ["x".repeat(200), "fits"].map((trace_id) => ({
      value: 1,
      timestamp: NOON_MS,
      labels: { trace_id },
    }));
    const answer = await write2([
      { ...series(name, [{ value: 1, timestamp: NOON_MS }]), exemplars },
      { labels: { job: "x" }, samples: [{ value: 1, timestamp: NOON_MS }], exemplars },
      { ...series(name, [{ value: 1, timestamp: NOON_MS }], { "a\n": "x" }), exemplars },
    ]);
    expect(answer).toMatchObject({ status: 400, written: ["1", "0", "1"] });
    const [samples, unnamed, notStored, ...rest] = answer.text.trimEnd().split("\n");
    expect(samples).toBe('2 of 3 samples were not stored; the first: series {job="x"} has no __name__');
    expect(unnamed).toStartWith('label "a\\n" contains a control character');
    expect(notStored).toStartWith("5 of 6 exemplars were not stored: ");
    expect(rest).toEqual([]);
  });

  test("of a native histogram belong to its buckets", async () => {
    const name = fresh();
    const native = { countInt: 1, positiveSpans: [{ offset: 1, length: 1 }], positiveDeltas: [1] };
    const exemplar = { value: 1.5, timestamp: NOON_MS, labels: { trace_id: "n" } };
    const labels = { __name__: name, job: "x" };
    expect(
      await write2([
        { labels, histograms: [{ ...native, timestamp: NOON_MS }] },
        { labels, exemplars: [exemplar] },
      ]),
    ).toMatchObject({ status: 204, written: ["0", "1", "1"] });
    expect(await query(`SELECT metric, labels FROM exemplars WHERE exemplar['trace_id'] = 'n'`)).toEqual([
      { metric: `${name}_bucket`, labels: { job: "x", le: "2.0" } },
    ]);
  });
});

test("counts native histograms, and the exemplars that are dropped", async () => {
  const { nativeHistograms, exemplarsDropped } = gateway.counters;
  const counted = async () =>
    Promise.all(
      [nativeHistograms, exemplarsDropped].map(async (each) => (await each.get()).values[0]!.value),
    );
  const [histogramsBefore, exemplarsBefore] = await counted();
  const histogram = {
    countInt: 1,
    sum: 1.5,
    positiveSpans: [{ offset: 0, length: 1 }],
    positiveDeltas: [1],
    timestamp: NOON_MS,
  };
  const exemplars = ["x".repeat(200), "fits"].map((trace_id) => ({
    labels: { trace_id },
    value: 1.5,
    timestamp: NOON_MS,
  }));
  const labels = { __name__: fresh() };
  expect((await write2([{ labels, histograms: [histogram], exemplars }])).written).toEqual(["0", "1", "1"]);
  expect(await counted()).toEqual([histogramsBefore! + 1, exemplarsBefore! + 1]);
});

describe("metadata", () => {
  const metric = (name: string) =>
    query(`SELECT kind, type, unit, help FROM metrics WHERE metric = '${name}'`);
  test("2.0: is sent with the series", async () => {
    const name = fresh();
    await write2([
      {
        ...series(name, [{ value: 1, timestamp: NOON_MS }]),
        metadata: { type: 2, help: "How warm.", unit: "celsius" },
      },
    ]);
    expect(await metric(name)).toEqual([
      { kind: "gauge", type: "gauge", unit: "celsius", help: "How warm." },
    ]);
  });
  test("1.0: that arrives later refines a stored metric of any kind, and rejects nothing", async () => {
    const name = fresh();
    expect(await write1([series(name, [{ value: 1, timestamp: NOON_MS }])])).toMatchObject({ status: 204 });
    expect(await metric(name)).toEqual([{ kind: "cumulative", type: "unknown", unit: "", help: "" }]);
    expect(
      await write1([], [{ type: 2, metricFamilyName: name, help: "How warm.", unit: "celsius" }]),
    ).toMatchObject({ status: 204 });
    expect(await write1([series(name, [{ value: 2, timestamp: NOON_MS + 1 }])])).toMatchObject({
      status: 204,
    });
    expect(await metric(name)).toEqual([
      { kind: "cumulative", type: "gauge", unit: "celsius", help: "How warm." },
    ]);
    // Another sender declares it a counter: the first type counts, and the samples are stored.
    const counter = { ...series(name, [{ value: 3, timestamp: NOON_MS + 2 }]), metadata: { type: 1 } };
    expect(await write2([counter])).toMatchObject({ status: 204 });
    expect(await metric(name)).toEqual([
      { kind: "cumulative", type: "gauge", unit: "celsius", help: "How warm." },
    ]);
    expect((await stored(name)).length).toBe(3);
  });
});
