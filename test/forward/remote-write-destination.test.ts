/** What forwarding does with the answers of a server: it retries, falls back, divides, and waits. */
import { afterEach, expect, test } from "bun:test";
import { decompressSnappyBlock } from "../../src/wire/compression/snappy.ts";
import { dayOf } from "../../src/model/sample.ts";
import { NOON_MS } from "../gateway.ts";
import { readV1, readV2 } from "../receive/remote-write/messages.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

interface Received {
  readonly version: 1 | 2;
  readonly headers: Headers;
  /** `name value`, in order. */
  readonly samples: readonly string[];
}

let gateway: ForwardingGateway | undefined;
let server: { stop(closes: boolean): Promise<void>; url: URL } | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop(true);
  gateway = server = undefined;
});

/** A server that answers as a function says. */
function serve(answer: (received: Received, before: number) => Response | Promise<Response>): Received[] {
  const all: Received[] = [];
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const version = request.headers.get("content-type") === "application/x-protobuf" ? 1 : 2;
      const body = decompressSnappyBlock(new Uint8Array(await request.arrayBuffer()), 10_000_000);
      const series = version === 1 ? readV1(body) : readV2(body);
      const samples = series.flatMap(({ labels, samples: each }) =>
        each.map(([, value]) => `${labels.find(([name]) => name === "__name__")![1]} ${value}`),
      );
      const received = { version, headers: request.headers, samples } as const;
      all.push(received);
      return await answer(received, all.length - 1);
    },
  });
  return all;
}

const open = async (more: Record<string, unknown> = {}) => {
  const table = destinationTable({
    ...{ name: "d", type: "remote_write", url: server!.url.href, shards: 1 },
    ...more,
  });
  if (gateway === undefined) gateway = await ForwardingGateway.openWith(table);
  else await gateway.configure(table);
  return gateway;
};

const push = (names: readonly string[]) =>
  gateway!.push(names.map((metric, index) => ({ metric, atMs: NOON_MS - 1_000 + index, value: index })));

test("knows the age of what waits as soon as it has started", async () => {
  serve(() => new Response("busy", { status: 503 }));
  await open();
  await push(["a", "b"]);
  await open();
  expect(await gateway!.own('weir_forward_lag_samples{destination="d"}')).toBe(2);
  expect(await gateway!.own('weir_forward_lag_seconds{destination="d"}')).toBe(1);
  // So that the log has it before the end.
  await until(
    "a failed attempt",
    async () => (await gateway!.own('weir_forward_retries_total{destination="d"}')) > 0,
  );
});

test("retries 503 and 429, and nothing is sent twice after the answer", async () => {
  const received = serve((_, before) => new Response("busy", { status: [503, 429][before] ?? 204 }));
  await open();
  await push(["a", "b"]);
  await gateway!.sent("d");
  expect(received.map(({ samples }) => samples)).toEqual([
    ["a 0", "b 1"],
    ["a 0", "b 1"],
    ["a 0", "b 1"],
  ]);
  expect(await gateway!.own('weir_forward_retries_total{destination="d"}')).toBe(2);
  expect(await gateway!.own('weir_forward_samples_total{destination="d"}')).toBe(2);
});

test("waits for the answer of a request at a stop, so that its samples are not sent again", async () => {
  const arrived = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const received = serve(async () => {
    arrived.resolve();
    await release.promise;
    return new Response(null, { status: 204 });
  });
  await open();
  await push(["a", "b"]);
  await arrived.promise;
  const stopped = gateway!.stopServices();
  release.resolve();
  await stopped;
  await open();
  await push(["c"]);
  await gateway!.sent("d");
  expect(received.map(({ samples }) => samples)).toEqual([["a 0", "b 1"], ["c 0"]]);
});

test("divides a refused request until the samples are found that the destination does not take", async () => {
  const received = serve(({ samples }) =>
    samples.some((sample) => /^bad/.test(sample))
      ? new Response("out of bounds", { status: 400 })
      : new Response(null, { status: 204 }),
  );
  await open();
  const names = Array.from({ length: 50 }, (_, index) =>
    index === 7 || index === 33 ? `bad${index}` : `good${index}`,
  );
  await push(names);
  await gateway!.sent("d");
  const taken = received.filter(({ samples }) => !samples.some((sample) => /^bad/.test(sample)));
  expect(taken.flatMap(({ samples }) => samples).sort()).toEqual(
    names
      .map((name, index) => `${name} ${index}`)
      .filter((sample) => /^good/.test(sample))
      .sort(),
  );
  expect(await gateway!.own('weir_forward_dropped_samples_total{destination="d",reason="refused"}')).toBe(2);
  await until("the table of rejected samples", async () => {
    const rows = await gateway!.query("SELECT metric, reason FROM weir.rejected ORDER BY metric");
    expect(rows).toEqual(
      ["bad33", "bad7"].map((metric) => ({
        metric,
        reason: 'd: the destination answered 400: "out of bounds"',
      })),
    );
    return true;
  });
});

test("samples that a server has already do not end the search for those that it lacks", async () => {
  let stored = -1;
  let isLost = true;
  // As Prometheus: a request is stored as a whole, and no sample that is older than the last one.
  const received = serve(({ samples }) => {
    const values = samples.map((sample) => Number(sample.split(" ")[1]));
    if (isLost && stored >= 0) return new Response(null, { status: 503 });
    if (values.some((value) => value < stored)) return new Response("out of order sample", { status: 400 });
    stored = values.at(-1)!;
    return new Response(null, { status: isLost ? 503 : 204 });
  });
  const table = destinationTable({
    ...{ name: "d", type: "remote_write", url: server!.url.href, shards: 1, order: "oldest-first" },
  });
  gateway = await ForwardingGateway.openWith(table);
  const pushValues = (from: number, to: number) =>
    gateway!.push(
      Array.from({ length: to - from }, (_, at) => ({
        ...{ metric: "a", atMs: NOON_MS - 60_000 + from + at, value: from + at },
      })),
    );
  await pushValues(0, 400);
  await until("the request whose answer is lost", () => received.length > 0);
  await pushValues(400, 700);
  // The request after the start has the samples of both pushes.
  await gateway.configure(table);
  isLost = false;
  await gateway.sent("d");
  expect(stored).toBe(699);
  const seen = new Set(received.flatMap(({ samples }) => samples));
  expect(seen.size).toBe(700);
});

test("falls back to version 1.0 after 415, and keeps it", async () => {
  const received = serve(({ version }) => new Response(null, { status: version === 2 ? 415 : 204 }));
  await open({ version: 2 });
  await push(["a"]);
  await gateway!.sent("d");
  await push(["b"]);
  await gateway!.sent("d");
  expect(received.map(({ version, samples }) => [version, ...samples])).toEqual([
    [2, "a 0"],
    [1, "a 0"],
    [1, "b 0"],
  ]);
});

test("falls back if a server answers 2xx to version 2.0 without the counts of what it wrote", async () => {
  const received = serve(() => new Response(null, { status: 204 }));
  await open({ version: 2 });
  await push(["a"]);
  await gateway!.sent("d");
  expect(received.map(({ version }) => version)).toEqual([2, 1]);
});

test("counts what a server of version 2.0 says it did not write", async () => {
  serve(
    () => new Response(null, { status: 200, headers: { "X-Prometheus-Remote-Write-Samples-Written": "1" } }),
  );
  await open({ version: 2 });
  await push(["a", "b", "c"]);
  await gateway!.sent("d");
  expect(await gateway!.own('weir_forward_dropped_samples_total{destination="d",reason="unwritten"}')).toBe(
    2,
  );
});

test("of samples of one series in one millisecond the last is sent, and the others are counted", async () => {
  const received = serve(() => new Response(null, { status: 204 }));
  await open();
  // The store has microseconds.
  const sample = (metric: string, value: number) => ({ metric, atMs: NOON_MS - 1_000 + value / 10, value });
  await gateway!.push([sample("a", 1), sample("a", 2), sample("b", 7), sample("a", 3)]);
  await gateway!.sent("d");
  expect(received.map(({ samples }) => samples)).toEqual([["a 3", "b 7"]]);
  expect(await gateway!.own('weir_forward_samples_total{destination="d"}')).toBe(2);
  expect(await gateway!.own('weir_forward_dropped_samples_total{destination="d",reason="same_time"}')).toBe(
    2,
  );
  // The settings of the destination say so: no warning.
  expect(gateway!.takeLog().filter((line) => line.includes("forward_dropped"))).toEqual([]);
});

test("sends its headers and credentials", async () => {
  const received = serve(() => new Response(null, { status: 204 }));
  await open({ bearer_token: "geheim", headers: { "X-Scope-OrgID": "tenant" } } as never);
  await push(["a"]);
  await gateway!.sent("d");
  const { headers } = received[0]!;
  expect(headers.get("authorization")).toBe("Bearer geheim");
  expect(headers.get("x-scope-orgid")).toBe("tenant");
  expect(headers.get("x-prometheus-remote-write-version")).toBe("0.1.0");
  expect(headers.get("content-encoding")).toBe("snappy");
});

test("new samples are sent while the backlog waits for its answer", async () => {
  const backlog = Promise.withResolvers<void>();
  const received = serve(async ({ samples }) => {
    if (samples.some((sample) => /^old/.test(sample))) await backlog.promise;
    return new Response(null, { status: 204 });
  });
  const table = destinationTable({
    ...{ name: "d", type: "remote_write", url: server!.url.href, shards: 1, backfill: true },
  });
  gateway = await ForwardingGateway.openWith("");
  await push(["old1", "old2"]);
  await gateway.configure(table);
  await until("the backlog", () => received.length === 1);
  await push(["new"]);
  await until("the new sample", () => received.length === 2);
  expect(received.map(({ samples }) => samples)).toEqual([["old1 0", "old2 1"], ["new 0"]]);
  backlog.resolve();
  await gateway.sent("d");
  expect(received.length).toBe(2);
});

test("a destination that is away delays no other", async () => {
  const received = serve(() => new Response(null, { status: 204 }));
  const remote = { type: "remote_write", shards: 1 };
  gateway = await ForwardingGateway.openWith(
    // Port 9 is reserved: nobody listens there.
    destinationTable({ ...remote, name: "away", url: "http://127.0.0.1:9/write" }) +
      destinationTable({ ...remote, name: "d", url: server!.url.href }),
  );
  await push(["a"]);
  await gateway.sent("d");
  expect(received.length).toBe(1);
  await until(
    "a failed attempt",
    async () => (await gateway!.own('weir_forward_retries_total{destination="away"}')) > 0,
  );
  expect(await gateway.own('weir_forward_lag_samples{destination="away"}')).toBe(1);
});

test("a destination that is slow delays no other, and gets everything in the end", async () => {
  const slow = Promise.withResolvers<void>();
  const byPath = new Map<string, string[]>();
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/slow") await slow.promise;
      const body = decompressSnappyBlock(new Uint8Array(await request.arrayBuffer()), 10_000_000);
      const names = readV1(body).map(({ labels }) => labels.find(([name]) => name === "__name__")![1]);
      byPath.set(pathname, [...(byPath.get(pathname) ?? []), ...names]);
      return new Response(null, { status: 204 });
    },
  });
  const table = (name: string) =>
    destinationTable({ name, type: "remote_write", url: `${server!.url.origin}/${name}`, shards: 1 });
  gateway = await ForwardingGateway.openWith(table("slow") + table("fast"));
  for (const name of ["a", "b", "c"]) {
    await push([name]);
    await gateway.sent("fast");
  }
  expect(byPath).toEqual(new Map([["/fast", ["a", "b", "c"]]]));
  expect(await gateway.own('weir_forward_lag_samples{destination="slow"}')).toBe(3);
  expect(await gateway.own('weir_forward_retries_total{destination="fast"}')).toBe(0);
  slow.resolve();
  await gateway.sent("slow");
  expect(byPath.get("/slow")?.toSorted()).toEqual(["a", "b", "c"]);
});

test("a deletion renumbers rows, and each sample that is left is sent once", async () => {
  let isAway = true;
  const received = serve(() => new Response(null, { status: isAway ? 503 : 204 }));
  await open({ samples_per_request: 4 });
  await push(Array.from({ length: 20 }, (_, index) => `m${index}`));
  await until("an attempt", () => received.length > 0);
  const deleted = gateway!.gateway.registry.metric("m2")!;
  const [series] = deleted.series.values();
  await gateway!.gateway.ingest.deleteSamples({ seriesIds: [series!.seriesId], fromUs: 0, toUs: Infinity });
  isAway = false;
  await gateway!.sent("d");
  const sent = new Set(received.flatMap(({ samples }) => samples).map((sample) => sample.split(" ")[0]!));
  for (let index = 0; index < 20; index++) if (index !== 2) expect(sent.has(`m${index}`)).toBe(true);
});

test("samples that a deletion takes out of blocks are not sent", async () => {
  const received = serve(() => new Response(null, { status: 204 }));
  gateway = await ForwardingGateway.openWith("");
  const nameOf = (index: number) => (index % 2 === 0 ? "even" : "odd");
  await gateway.push(
    Array.from({ length: 40 }, (_, index) => ({
      ...{ metric: nameOf(index), value: index },
      atMs: NOON_MS - 4 * 3_600_000 + index * 1_000,
    })),
  );
  await gateway.gateway.ingest.storeTotals();
  const packed = { day: dayOf(NOON_MS * 1_000), untilUs: (NOON_MS - 3_600_000) * 1_000, isForced: true };
  expect(await gateway.gateway.store.pack(packed)).toBe(40);
  await gateway.configure(destinationTable({ name: "d", type: "remote_write", url: server!.url.href }));
  await push(["before"]);
  await gateway.sent("d");
  const deleteFrom = async (metric: string, index: number) => {
    const [series] = gateway!.gateway.registry.metric(metric)!.series.values();
    const fromUs = (NOON_MS - 4 * 3_600_000 + index * 1_000) * 1_000;
    return await gateway!.gateway.ingest.deleteSamples({
      ...{ seriesIds: [series!.seriesId], fromUs, toUs: fromUs + 999_000 },
    });
  };
  // The block of the other metric has samples before and behind the range, and none in it.
  expect([await deleteFrom("even", 20), await deleteFrom("odd", 20)]).toEqual([1, 0]);
  await push(["after"]);
  await gateway.sent("d");
  expect(received.flatMap(({ samples }) => samples)).toEqual(["before 0", "after 0"]);
  expect(await gateway.query("SELECT count(*)::INTEGER AS rows FROM weir.samples_20241004")).toEqual([
    { rows: 41 },
  ]);
});

test("counts what retention drops before a destination had it, and holds days if there is room", async () => {
  const received = serve(() => new Response(null, { status: 503 }));
  const table = destinationTable({ name: "d", type: "remote_write", url: server!.url.href });
  gateway = await ForwardingGateway.openWith(`forwardHoldBytes = "1GB"\n${table}`);
  await push(["a", "b"]);
  await until("an attempt", () => received.length > 0);
  gateway.nowMs += 4 * 86_400_000;
  expect((await gateway.gateway.ingest.prune()).days).toEqual([]);
  await gateway.configure(table);
  expect((await gateway.gateway.ingest.prune()).rows).toBe(2);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="d",reason="retention"}')).toBe(2);
});
