/**
 * A bucket, of an S3 server that a relay cuts off in the middle of uploads, and a gateway that is killed while it archives. In the end
 * the bucket has each sample once, and a data folder gets them back.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import S3rver from "s3rver";
import { archivedDaysOf, faultsOf, manifestOf } from "../../src/archive/archive-contents.ts";
import { S3Target } from "../../src/archive/targets/s3-target.ts";
import { DAY_MS } from "../gateway.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { duckdb } from "./archiving-gateway.ts";

const KEYS = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
const METRICS = 12;
const EVENTS = 600;

const folder = temporaryFolder();
let server: S3rver;
let relay: Server;
let port = 0;
/** After how many bytes of a request the relay closes its connection. Undefined: never. */
let cutAfter: number | undefined;

beforeAll(async () => {
  server = new S3rver({
    ...{ address: "127.0.0.1", port: 0, silent: true, directory: join(folder, "s3") },
    configureBuckets: [{ name: "fleet" }],
  });
  const address = await server.run();
  relay = createServer((client) => {
    const upstream = connect(address.port, "127.0.0.1");
    let bytes = 0;
    client.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (cutAfter !== undefined && bytes > cutAfter) {
        client.destroy();
        upstream.destroy();
      } else upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => client.write(chunk));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("end", () => other.end());
      one.on("error", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  port = (relay.address() as { port: number }).port;
});

afterAll(async () => {
  relay.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Noon of the day before yesterday. */
const NOON = (Math.floor(Date.now() / DAY_MS) - 2) * DAY_MS + DAY_MS / 2;

const events = Array.from({ length: EVENTS }, (_, at) => ({
  "@timestamp": NOON + at,
  metric_name: `work.m${at % METRICS}`,
  value: at,
  tags: { op: `op${at % 3}`, task_id: `t${at}` },
}));

const environment = () => ({
  S3_ENDPOINT: `http://127.0.0.1:${port}`,
  S3_ACCESS_KEY_ID: KEYS.accessKeyId,
  S3_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
});

interface Round {
  /** Milliseconds after the start at which the gateway is killed. */
  readonly killAfterMs: readonly number[];
  /** Bytes of requests that pass until then. */
  readonly cutAfter: number | undefined;
}

const round: fc.Arbitrary<Round> = fc.record({
  killAfterMs: fc.array(fc.integer({ min: 300, max: 2_000 }), { minLength: 1, maxLength: 3 }),
  cutAfter: fc.option(fc.integer({ min: 100, max: 3_000 }), { nil: undefined }),
});

test("each sample is in the bucket once, whenever the gateway is killed and uploads are cut off", async () => {
  const { seed, numRuns } = runs(1);
  for (const [at, { killAfterMs, cutAfter: bytes }] of fc.sample(round, { seed, numRuns }).entries()) {
    const data = join(folder, `data${at}`);
    const prefix = `gateways/g${at}`;
    const first = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    const push = await fetch(`${first.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
    expect(await push.json()).toMatchObject({ accepted: EVENTS });
    await first.stop("SIGTERM");
    const args = ["--no-sampler", `--archive-to=s3://fleet/${prefix}`, "--archive-after-ms=0"];
    cutAfter = bytes;
    for (const ms of killAfterMs) await GatewayProcess.startAndKill({ data, args, env: environment() }, ms);
    cutAfter = undefined;
    const gateway = await GatewayProcess.start({ data, args, env: environment() });
    try {
      await until("the day is archived", async () => {
        const { days } = (await (await fetch(`${gateway.url}/api/v1/archive`)).json()) as {
          days: { state: string }[];
        };
        return days[0]?.state === "archived";
      });
      expect(gateway.log.text).not.toContain(KEYS.secretAccessKey);
    } finally {
      await gateway.stop("SIGTERM");
    }
    const target = new S3Target("fleet", prefix, { ...KEYS, endpoint: environment().S3_ENDPOINT });
    const days = await archivedDaysOf(target);
    expect(days).toEqual([Math.floor(NOON / DAY_MS)]);
    const manifest = (await manifestOf(target, days[0]!))!;
    expect(manifest.rows).toBe(EVENTS);
    expect(await faultsOf(target, days[0]!, manifest)).toEqual([]);
    // No other file: each metric, the series, and the manifest.
    expect((await target.list("")).size).toBe(METRICS + 2);
    const paths: string[] = [];
    for (const { parts } of manifest.metrics)
      for (const { file, sha256 } of parts) {
        const path = join(folder, `${at}-${sha256}.parquet`);
        await target.fetch(`date=${manifest.date}/${file}`, path);
        paths.push(`'${path}'`);
      }
    expect(
      await duckdb(
        `SELECT count(*) AS n, count(DISTINCT task_id) AS tasks, sum(value) AS sum FROM read_parquet([${paths.join(",")}])`,
      ),
    ).toEqual([{ n: EVENTS, tasks: EVENTS, sum: (EVENTS * (EVENTS - 1)) / 2 }]);
  }
}, 300_000);

test("a data folder gets the day of a bucket back, also if downloads were cut off", async () => {
  const data = join(folder, "restored");
  const restore = () =>
    Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "..", "..", "src", "main.ts"),
        ...["restore", "--from", "s3://fleet/gateways/g0", "--data", data, "--no-sampler"],
      ],
      { env: { ...process.env, ...environment() }, stdout: "pipe", stderr: "pipe" },
    );
  cutAfter = 1_200;
  const failed = restore();
  await failed.exited;
  cutAfter = undefined;
  const done = restore();
  const out = await new Response(done.stdout).text();
  expect({ code: await done.exited, out }).toMatchObject({ code: 0 });
  expect(out).toMatch(/^\d{4}-\d\d-\d\d: \d+ samples restored/);
  const again = restore();
  expect(await new Response(again.stdout).text()).toContain("0 samples restored, 600 were restored before\n");
}, 120_000);
