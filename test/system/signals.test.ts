/** The signals that stop the gateway, sent to a real process. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const base = temporaryFolder();
const running: GatewayProcess[] = [];

afterAll(async () => {
  for (const each of running) await each.stop("SIGKILL");
});

async function start(name: string, by: string[] = []) {
  const gateway = await GatewayProcess.start({ data: join(base, name), args: ["--no-sampler"], by });
  running.push(gateway);
  const body = JSON.stringify({ metric_name: "m", value: 42 });
  expect((await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body })).status).toBe(200);
  return gateway;
}

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "%s stops the gateway in order, with exit code 0",
  async (signal) => {
    const gateway = await start(signal);
    expect(await gateway.stop(signal)).toBe(0);
    expect(gateway.log.text).toMatch(new RegExp(`event=stopping message="[^"]*" signal=${signal}\n`));
    expect(gateway.log.text).toContain(" event=stopped ");
  },
);

test("a second SIGHUP, which a closing terminal sends, does not interrupt the stop", async () => {
  const gateway = await start("twice");
  process.kill(gateway.pid, "SIGHUP");
  process.kill(gateway.pid, "SIGHUP");
  await until("the stop to begin", () => gateway.log.text.includes(" event=stopping "));
  process.kill(gateway.pid, "SIGHUP");
  expect(await gateway.ended()).toBe(0);
  expect(gateway.log.text).toContain(" event=stopped ");
});

// Only Linux reports which signals a process was started without.
test.skipIf(process.platform !== "linux")("SIGHUP does not stop a gateway that nohup started", async () => {
  const gateway = await start("nohup", ["nohup"]);
  process.kill(gateway.pid, "SIGHUP");
  expect((await fetch(`${gateway.url}/-/ready`)).status).toBe(200);
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(gateway.log.text).toContain(" signal=SIGTERM\n");
});
