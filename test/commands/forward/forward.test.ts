/** `weir forward` and `GET /api/v1/forward`: what a destination lacks, and why. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { weir } from "../weir.ts";

let gateway: GatewayProcess;
let isAway = true;
const sink = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => new Response("try later", { status: isAway ? 503 : 204 }),
});

beforeAll(async () => {
  const data = temporaryFolder();
  const config = join(data, "weir.toml");
  writeFileSync(config, `[[forward]]\nname = "away"\ntype = "remote_write"\nurl = "${sink.url.href}"\n`);
  gateway = await GatewayProcess.start({ data, args: ["--no-sampler", "--config", config] });
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
  await sink.stop(true);
});

const forward = (...args: string[]) => weir(["forward", ...args], { env: { WEIR_URL: gateway.url } });

test("prints a destination that fails with its error, and exits with 1 until it takes samples", async () => {
  const push = { method: "POST", body: '[{"metric_name":"m","type":"gauge","value":1}]' };
  expect((await fetch(`${gateway.url}/api/v1/push`, push)).status).toBe(200);
  await until("an attempt", async () => (await forward()).out.includes("failing"));
  const { code, out } = await forward();
  expect(code).toBe(1);
  const [head, line] = out.split("\n");
  expect(head).toMatch(/^NAME +TYPE +STATE +LAG +AGE +SENT +DROPPED +LAST ERROR$/);
  expect(line).toMatch(/^away +remote_write +failing +1 +\S+ +0 +0 +http:\S+ answered 503: "try later"$/);
  isAway = false;
  await until("the sample to be sent", async () => (await forward()).code === 0);
  const [destination] = JSON.parse((await forward("--format", "json")).out) as object[];
  expect(destination).toMatchObject({
    ...{ name: "away", type: "remote_write", failing: false, sent_samples: 1 },
    ...{ lag_samples: 0, lag_seconds: 0, dropped_samples: 0 },
    last_error: expect.stringContaining("answered 503"),
  });
});

test("says that there is no destination", async () => {
  const other = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
  const env = { WEIR_URL: other.url };
  expect(await weir(["forward"], { env })).toMatchObject({
    code: 0,
    out: "",
    err: expect.stringContaining("sends to no destination"),
  });
  await other.stop("SIGKILL");
});
