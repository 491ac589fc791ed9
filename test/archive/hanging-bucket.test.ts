/** A bucket that accepts connections and does not answer: it holds up neither SQL nor a stop. */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { DAY_MS } from "../gateway.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const requests: string[] = [];
const bucket = Bun.serve({
  ...{ hostname: "127.0.0.1", port: 0, idleTimeout: 0 },
  fetch({ url }) {
    requests.push(url);
    return new Promise<Response>(() => {});
  },
});
const data = temporaryFolder();

afterAll(async () => {
  await bucket.stop(true);
  rmSync(data, { recursive: true, force: true });
});

/** Noon of the day before yesterday. */
const NOON = (Math.floor(Date.now() / DAY_MS) - 2) * DAY_MS + DAY_MS / 2;

test("statements that wait for a bucket end with their time limit, and a stop waits for none of its requests", async () => {
  const first = await GatewayProcess.start({ data, args: ["--no-sampler"] });
  const body = JSON.stringify([{ "@timestamp": NOON, metric_name: "a", value: 1 }]);
  expect((await fetch(`${first.url}/api/v1/push`, { method: "POST", body })).status).toBe(200);
  await first.stop("SIGTERM");
  const gateway = await GatewayProcess.start({
    data,
    args: [
      ...["--no-sampler", "--archive-to=s3://fleet/a", "--archive-after-ms=0", "--archive-read"],
      ...["--sql-concurrency-max=1", "--sql-timeout-ms=200"],
    ],
    env: { S3_ENDPOINT: bucket.url.origin, S3_ACCESS_KEY_ID: "a", S3_SECRET_ACCESS_KEY: "b" },
  });
  const ask = async () => (await fetch(`${gateway.url}/api/v1/sql?q=SELECT+count(*)+FROM+a`)).status;
  // The second one has the turn of the first.
  expect([await ask(), await ask()]).toEqual([422, 422]);
  await until("a day is being archived", () => requests.some((url) => url.includes("date%3D2")));
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(gateway.log.text).not.toContain("stop_late");
  expect(gateway.log.text).not.toContain("query_stuck");
}, 120_000);
