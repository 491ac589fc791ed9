/**
 * Bodies that other threads decode: answers, stored rows and exposed samples are those of a gateway that decodes on its
 * first thread alone, and a thread that ends loses no push that was answered.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import snappyjs from "snappyjs";
import { arrowStream } from "../../../scripts/bench.d/arrow-writer.ts";
import { BodiesInProgress } from "../../../src/http/body.ts";
import type { EventsTask } from "../../../src/receive/decoding/decode-messages.ts";
import { DecodeWorkers, type DecodeWorkersOptions } from "../../../src/receive/decoding/decode-workers.ts";
import { workersFor } from "../../../src/open-decode-workers.ts";
import { DEFAULTS } from "../../defaults.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { encodeV1, encodeV2, type Series } from "../remote-write/messages.ts";

const EVENTS_MAX = 1_000;
const SETTINGS = ["--label-values-max=50", `--events-max=${EVENTS_MAX}`, "--expose-protocols=remote_write"];
const COUNT = 400;
const { nameBytesMax, tagsMax, tagValueBytesMax, eventsMax, inflatedBytesMax } = DEFAULTS;
const LIMITS = { nameBytesMax, tagsMax, tagValueBytesMax, eventsMax, inflatedBytesMax };

let alone: TestGateway;
let beside: TestGateway;
beforeAll(async () => {
  alone = await openTestGateway("--decode-workers=0", ...SETTINGS);
  beside = await openTestGateway("--decode-workers=2", ...SETTINGS);
  // They end with the services.
  await beside.startServices();
});
afterAll(async () => {
  for (const gateway of [alone, beside]) {
    // The fields that no event has are logged once.
    expect(gateway.takeLog().map((line) => JSON.parse(line).event)).toEqual(["field_warning"]);
    await gateway.close();
  }
});

interface Push {
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer> | string;
  readonly headers?: Record<string, string>;
}

async function answerOf(gateway: TestGateway, { path, body, headers = {} }: Push): Promise<unknown> {
  const response = await gateway.fetch(path, { method: "POST", body, headers });
  const own = [...response.headers].filter(([name]) => name !== "date");
  return { status: response.status, headers: own, text: await response.text() };
}

const outcomes = async () => {
  const { values } = await beside.counters.bodiesDecodedBeside.get();
  return Object.fromEntries(
    values.map(({ labels, value }): [string, number] => [`${labels.outcome}`, value]),
  );
};

/** Pushes to both gateways, and compares the answers. Returns how the bodies were decoded. */
async function both(...pushes: readonly Push[]): Promise<Record<string, number>> {
  const before = await outcomes();
  for (const push of pushes) expect(await answerOf(beside, push)).toEqual(await answerOf(alone, push));
  const after = await outcomes();
  return Object.fromEntries(
    Object.entries(after)
      .map(([outcome, count]) => [outcome, count - (before[outcome] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
}

const PATH = "/api/v1/push";
const eventOf = (index: number, fields: object = {}) => ({
  "@timestamp": NOON_MS - index,
  metric_name: "work.duration_ms",
  type: "observation",
  unit: "ms",
  value: index + 0.25,
  tags: { job: "w", task_id: `task-${index}`, status: index % 3 === 0 ? "failed" : "done" },
  ...fields,
});
const events = (make: (index: number) => unknown = eventOf, count = COUNT) =>
  Array.from({ length: count }, (_, index) => make(index));
const array = (list: readonly unknown[]) => JSON.stringify(list);
const lines = (list: readonly unknown[]) => list.map((each) => `${JSON.stringify(each)}\n`).join("");

describe("events", () => {
  test("an array, and lines, twice: the second time all series are known", async () => {
    const own = (index: number) => eventOf(index, { help: "How long — in all." });
    const bodies = [array(events(own)), lines(events(own)), array(events(own)), lines(events(own))];
    expect(await both(...bodies.map((body) => ({ path: PATH, body })))).toEqual({ decoded: 4 });
  });

  test("invalid events are rejected by their index, and unknown fields are warnings", async () => {
    const mixed = events((index) =>
      index % 40 === 7
        ? eventOf(index, { value: "many" })
        : index % 40 === 9
          ? eventOf(index, { colour: "red" })
          : eventOf(index),
    );
    const pushes = [PATH, `${PATH}?strict=true`].map((path) => ({ path, body: array(mixed) }));
    expect(await both(...pushes)).toEqual({ decoded: 2 });
  });

  test("a body that is cut, one of another format, and one with too many events get the same error", async () => {
    const body = array(events());
    const text = `# TYPE a counter\n${"a 1\n".repeat(5_000)}`;
    for (const each of [
      { path: PATH, body: body.slice(0, -30) },
      { path: PATH, body: text },
      { path: PATH, body: array(events(eventOf, EVENTS_MAX + 1)) },
    ]) {
      const { left = 0 } = await both(each, { path: PATH, body }, { path: PATH, body });
      // After a body that was left, the first thread decodes a few itself.
      expect(left).toBeLessThanOrEqual(1);
    }
  });

  test("a label with too many values becomes an attribute in the threads, too", async () => {
    const many = (index: number) => eventOf(index, { tags: { job: "w", file: `file-${index}` } });
    const pushes = [array(events(many)), array(events(many)), lines(events(many))];
    await both(...pushes.map((body) => ({ path: PATH, body })));
    expect(beside.gateway.registry.isAttribute("work.duration_ms", "file")).toBe(true);
  });

  test("a label with a NUL character does not make another series be rejected", async () => {
    const tagged = (metric: string, tags: object, fields: object = {}) =>
      array(events((index) => eventOf(index, { metric_name: metric, tags, ...fields })));
    const bodies = [
      tagged("nul", { zone: "a\0zoo\0b" }),
      tagged("nul", { zone: "a", zoo: "b" }),
      tagged("unit", {}, { unit: "undefined" }),
      tagged("unit", {}, { unit: undefined }),
    ];
    expect(await both(...bodies.map((body) => ({ path: PATH, body })))).toEqual({ decoded: 4 });
    expect((await beside.send("GET /api/v1/series?match[]=nul_count"))[1]).toContain('"zoo":"b"');
  });

  test("a body with an idempotency key is stored once, and one that is compressed is read", async () => {
    const body = array(events((index) => eventOf(index, { metric_name: "once" })));
    const keyed = { path: PATH, body, headers: { "idempotency-key": "a" } };
    const zipped = new Uint8Array(gzipSync(Buffer.from(body)));
    await both(keyed, keyed, { path: PATH, body: zipped, headers: { "content-encoding": "gzip" } });
  });
});

test("columns in JSON, and tables of Arrow, with invalid rows", async () => {
  const json = (value: unknown) =>
    JSON.stringify({
      metric: "table.size",
      type: "gauge",
      columns: {
        ts: events((index) => NOON_MS - 10_000 - index),
        value: events((index) => (index === 17 ? value : index)),
        host: events((index) => `host-${index % 20}`),
        note: events((index) => `a text that makes the body long ${index % 30}`),
      },
    });
  const arrow = arrowStream([
    { name: "ts", is: "time", values: Float64Array.from(events((index) => NOON_MS - index) as number[]) },
    { name: "value", is: "number", values: Float64Array.from(events((index) => index / 4) as number[]) },
    { name: "host", is: "dictionary", values: events((index) => `h${index % 7}`) as string[] },
    { name: "task_id", is: "text", values: events((index) => `task-${index}-of-the-table`) as string[] },
    {
      name: "tier",
      is: "text",
      values: events((index) => (index % 5 === 0 ? undefined : "gold")) as string[],
    },
  ]);
  const headers = { "content-type": "application/vnd.apache.arrow.stream" };
  const tables = [1, 2].map(() => ({
    path: `${PATH}?metric=table.ms&type=observation`,
    body: arrow,
    headers,
  }));
  const cut = { path: `${PATH}?metric=table.ms`, body: arrow.slice(0, arrow.length - 100), headers };
  const valid = { path: PATH, body: json(3) };
  const { decoded = 0, left = 0 } = await both(valid, { path: PATH, body: json("x") }, valid, ...tables, cut);
  expect(decoded + left).toBeGreaterThan(4);
  expect(decoded).toBeGreaterThan(3);
});

describe("remote_write", () => {
  const series = (count: number, metric: string, shiftMs = 0): Series[] =>
    Array.from({ length: count }, (_, index) => ({
      labels: {
        __name__: metric,
        instance: `host-${index}:9100`,
        job: "node",
        token: `${index * 7_919}`.repeat(6),
      },
      samples: [{ value: index / 8, timestamp: NOON_MS - 60_000 + shiftMs }],
    }));
  const written = (message: Buffer, version = 1): Push => ({
    path: "/api/v1/write",
    body: new Uint8Array(snappyjs.compress(message)),
    headers: {
      "content-encoding": "snappy",
      "content-type":
        version === 1
          ? "application/x-protobuf"
          : "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    },
  });

  test("1.0 and 2.0: new series, known series, samples out of order and repeated", async () => {
    const v1 = [0, 1_000, 500, 500].map((ms) => written(encodeV1(series(600, "one", ms))));
    const v2 = [0, 1_000, 500, 500].map((ms) => written(encodeV2(series(1_200, "two", ms)), 2));
    expect(await both(...v1, ...v2)).toEqual({ decoded: 8 });
  });

  test("many new series at once, metadata for known series, and then their samples again", async () => {
    const many = [0, 1_000].map((ms) => written(encodeV1(series(1_600, "many", ms))));
    const metadata = written(encodeV1([], [{ metricFamilyName: "many", type: 1, help: "Of many." }]));
    const after = [2_000, 3_000, 4_000, 5_000].map((ms) => written(encodeV1(series(1_600, "many", ms))));
    const { left, decoded } = await both(...many, metadata, ...after);
    expect(left).toBeGreaterThan(0);
    expect(decoded).toBeGreaterThan(0);
    const [, text] = await beside.send("GET /api/v1/metadata?metric=many");
    expect(text).toContain('"type":"counter","help":"Of many."');
    expect(text).toBe((await alone.send("GET /api/v1/metadata?metric=many"))[1]);
  });

  test("invalid series, native histograms, and a block that is corrupt", async () => {
    const bad = series(600, "bad").map((each, index) =>
      index % 50 === 3 ? { ...each, labels: { instance: `no name ${index}` } } : each,
    );
    const native = series(600, "native").map((each) => ({
      ...each,
      histograms: [
        { countInt: 3, sum: 4, schema: 0, positiveSpans: [{ length: 1 }], positiveDeltas: [3] },
      ].map((histogram) => ({ ...histogram, timestamp: NOON_MS - 5_000 })),
    }));
    const corrupt = written(encodeV1(series(600, "corrupt")));
    (corrupt.body as Uint8Array)[9_000] = 0xff;
    (corrupt.body as Uint8Array).fill(0xff, 5_000, 5_020);
    const usual = written(encodeV1(series(600, "usual")));
    await both(written(encodeV1(bad)), written(encodeV1(native)), usual, corrupt, usual, usual);
  });
});

test("afterwards both gateways have stored and expose the same", async () => {
  const exported = async (gateway: TestGateway) => {
    const [, text] = await gateway.send(
      `GET /api/v1/export?from=${NOON_MS - 3_600_000}&to=${NOON_MS + 1_000}`,
    );
    return text.split("\n").sort();
  };
  const rows = await exported(beside);
  expect(rows.length).toBeGreaterThan(10_000);
  expect(rows).toEqual(await exported(alone));
  expect(await beside.exposed()).toEqual(await alone.exposed());
});

describe("a thread that ends", () => {
  const task: EventsTask = { kind: "events", strict: false };
  const open = (options: Partial<DecodeWorkersOptions> = {}) => {
    const faults: string[] = [];
    const workers = new DecodeWorkers({
      workersMax: 1,
      limits: LIMITS,
      inProgress: new BodiesInProgress(),
      rules: () => ({ epoch: 0, names: [], demoted: [] }),
      rulesEpoch: () => 0,
      seriesCount: () => 0,
      onFault: ({ message }) => void faults.push(message),
      ...options,
    });
    return { workers, bodies: workers.of<EventsTask>("events"), faults };
  };
  const body = () => new Uint8Array(Buffer.from(array(events())));

  test("fails its bodies with 503, and after three such threads the first one decodes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-decode-"));
    try {
      const script = join(folder, "worker.js");
      writeFileSync(
        script,
        `self.onmessage = ({ data }) => { if (data.type === "decode") throw new Error("out of luck"); };`,
      );
      const { workers, bodies, faults } = open({ makeWorker: () => new Worker(script, { ref: false }) });
      for (let count = 1; count <= 3; count++) {
        expect(bodies.takes(20_000)).toBe(true);
        const lost = [bodies.decode(task, body()), bodies.decode(task, body())];
        for (const each of lost) expect(await each.catch((error) => error.status)).toBe(503);
        expect(faults.length).toBe(count);
        expect(workers.count).toBe(0);
      }
      expect(faults[0]).toContain("out of luck");
      expect(bodies.takes(20_000)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("or sends what cannot be read fails the body with 503, instead of leaving it without an answer", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-decode-"));
    try {
      const script = join(folder, "worker.js");
      writeFileSync(
        script,
        `self.onmessage = ({ data: { type, id } }) => {
          const fresh = { generation: 0, heads: [{ metric: "m", kind: "gauge", labels: {} }] };
          const batch = { fresh, list: -1, numbers: new Uint32Array(1), columns: {}, samples: 1 };
          if (type === "decode") self.postMessage({ type: "decoded", id, batch });
        };`,
      );
      const { workers, bodies, faults } = open({ makeWorker: () => new Worker(script, { ref: false }) });
      expect(await bodies.decode(task, body()).catch((error) => error.status)).toBe(503);
      expect(faults).toEqual([expect.stringContaining("is not readable")]);
      expect(workers.count).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("or hangs is replaced: its bodies get 503 with the reason, and the next body is decoded", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-decode-"));
    try {
      const script = join(folder, "worker.js");
      writeFileSync(script, `self.onmessage = ({ data }) => { if (data.type === "decode") for (;;) {} };`);
      const hung = new Worker(script, { ref: false });
      const ended = new Promise((resolve) => hung.addEventListener("close", resolve));
      const usual = new URL("../../../src/receive/decoding/decode-worker.ts", import.meta.url);
      const workersLeft = [hung, new Worker(usual, { ref: false })];
      const outcomes: string[] = [];
      const timers = new Set<{ readonly ms: number; readonly run: () => void }>();
      const { workers, bodies, faults } = open({
        makeWorker: () => workersLeft.shift()!,
        onBody: (outcome) => void outcomes.push(outcome),
        after: (ms, run) => {
          const timer = { ms, run };
          timers.add(timer);
          return () => void timers.delete(timer);
        },
      });
      const fire = () => {
        const [timer] = timers;
        timers.delete(timer!);
        timer!.run();
        return timer!.ms;
      };
      const lost = [bodies.decode(task, body()), bodies.decode(task, body())];
      const late = Promise.all(lost.map((each) => each.catch(({ status, message }) => [status, message])));
      // One time for all bodies that it has, in two halves.
      expect(timers.size).toBe(1);
      expect(fire()).toBe(15_000);
      expect(workers.count).toBe(1);
      expect(fire()).toBe(15_000);
      const reason =
        "The thread that decodes the body returned nothing for 30 s; nothing of the body is stored, try again.";
      expect(await late).toEqual([
        [503, reason],
        [503, reason],
      ]);
      expect(faults).toEqual(["a thread that decodes returned nothing for 30 s"]);
      expect(workers.count).toBe(0);
      // It does not go on using a core.
      await ended;
      expect((await bodies.decode(task, body())).batch?.length).toBe(COUNT);
      expect(outcomes).toEqual(["late", "late", "decoded"]);
      // Only that of a thread without bodies.
      expect([...timers].map(({ ms }) => ms)).toEqual([120_000]);
      await workers.stop();
      expect(timers.size).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("because the gateway stops fails its bodies, and is no fault", async () => {
    const { workers, bodies, faults } = open();
    const lost = bodies.decode(task, body());
    await workers.stop();
    expect(await lost.catch((error) => error.status)).toBe(503);
    expect(faults).toEqual([]);
    expect(bodies.takes(20_000)).toBe(false);
  });

  test("a body goes to the first thread while other bodies use all memory for bodies", async () => {
    const inProgress = new BodiesInProgress();
    inProgress.reserve(256 * 2 ** 20, 0);
    const { workers, bodies } = open({ inProgress });
    const sent = body();
    expect((await bodies.decode(task, sent)).body).toBe(sent);
    expect(workers.count).toBe(0);
  });
});

test("small bodies stay on the first thread, and bodies of a kind that is always left soon do, too", async () => {
  const workers = new DecodeWorkers({
    workersMax: 1,
    limits: LIMITS,
    inProgress: new BodiesInProgress(),
    rules: () => ({ epoch: 0, names: [], demoted: [] }),
    rulesEpoch: () => 0,
    seriesCount: () => 0,
    onFault: (error) => {
      throw error;
    },
  });
  const bodies = workers.of<EventsTask>("events");
  expect(bodies.takes(500)).toBe(false);
  let given = 0;
  for (let count = 0; count < 100; count++) {
    if (!bodies.takes(20_000)) continue;
    given++;
    const sent = new Uint8Array(20_000).fill(0x7b);
    const { body } = await bodies.decode({ kind: "events", strict: false }, sent);
    expect(body).toEqual(new Uint8Array(20_000).fill(0x7b));
  }
  // After each one, 1, 2, 4, 8, 16, 32 and 64 are not sent.
  expect(given).toBe(7);
  await workers.stop();
});

test("machines with one or two cores have no such thread, and large ones eight", () => {
  expect([1, 2, 3, 4, 8, 16, 64].map(workersFor)).toEqual([0, 0, 1, 2, 6, 8, 8]);
});
