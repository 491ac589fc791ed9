/** A gateway that follows files of lines that are not events. */
import { expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig, SettingError } from "../src/config/config.ts";
import { tailFormatOf } from "../src/open-tail.ts";
import { NOON_MS, openTestGateway } from "./gateway.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { until } from "./until.ts";

test("stores the fields that tailMap names, of lines before and after the start", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "app.log");
  writeFileSync(path, "level=info msg=done took=12.5 route=/a\n");
  const config = join(folder, "weir.toml");
  writeFileSync(
    config,
    `sampler = false
tail = ["${path}"]
tailFromStart = true
tailFormat = "logfmt"
tailMap = ["value=took:app.took_ms", "tags=route"]
`,
  );
  const gateway = await GatewayProcess.start({ data: join(folder, "data"), args: ["--config", config] });
  const rows = async (): Promise<unknown[]> => {
    const q = "SELECT value, route FROM app_took_ms ORDER BY value";
    const answer = await fetch(`${gateway.url}/api/v1/sql?${new URLSearchParams({ q, format: "json" })}`);
    return answer.ok ? ((await answer.json()) as { rows: unknown[] }).rows : [];
  };
  await until("the first line is stored", async () => (await rows()).length === 1);
  appendFileSync(path, "level=info msg=done took=30 route=/b\nnot a line of it\n");
  await until("the second line is stored", async () => (await rows()).length === 2);
  expect(await rows()).toEqual([
    { value: 12.5, route: "/a" },
    { value: 30, route: "/b" },
  ]);
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toContain("weir_tail_lines_rejected_total 1");
  expect(await gateway.stop("SIGTERM")).toBe(0);
});

test("lines that arrive are work, as pushes are", async () => {
  const path = join(temporaryFolder(), "metrics.json");
  writeFileSync(path, `${JSON.stringify({ metric_name: "m", value: 1, "@timestamp": NOON_MS })}\n`);
  const gateway = await openTestGateway(`--tail=${path}`, "--tail-from-start");
  try {
    const begun = new Promise<void>((resolve) => gateway.counters.demand.listen(resolve));
    await gateway.startServices();
    await begun;
  } finally {
    await gateway.close();
  }
});

test("names the setting whose format is wrong", async () => {
  const format = (...args: string[]) => tailFormatOf(loadConfig(args, {}, () => undefined));
  expect(await format()).toBeUndefined();
  expect((await format("--tail-format=csv", "--tail-map=value=ms"))?.name).toBe("csv");
  const wrong = () => format("--tail-format=csv");
  await expect(wrong()).rejects.toThrow(SettingError);
  await expect(wrong()).rejects.toThrow("--tail-format csv needs --tail-map value=FIELD");
  await expect(format("--tail-map=vlaue=ms")).rejects.toThrow(
    '--tail-map has the target "vlaue" in "vlaue=ms"',
  );
});
