/** A disk that fills up: pushes are told so, what was acknowledged stays, and all is well once there is room. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGateway } from "../../src/commands/gateway.ts";
import { loadConfig } from "../../src/config.ts";

const disk = mkdtempSync(join(tmpdir(), "weir-disk-"));
const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], { stderr: "ignore" });

afterAll(() => {
  if (mount.success) Bun.spawnSync(["umount", disk]);
  rmSync(disk, { recursive: true, force: true });
});

// Only root may make a small disk.
test.skipIf(!mount.success)("a full disk loses nothing that was acknowledged", async () => {
  const silent = () => undefined;
  const log = { error: silent, warn: silent, info: silent, debug: silent };
  const config = loadConfig([`--data=${join(disk, "data")}`], {}, () => undefined);
  const gateway = await openGateway(config, { log });
  const request = (path: string, init?: RequestInit) =>
    gateway.app.fetch(new Request(`http://localhost${path}`, init));
  const events = Array.from({ length: 1_000 }, (_, n) => ({
    name: "m",
    value: n,
    tags: { task_id: `task-${n}-${n * n}` },
  }));
  const body = JSON.stringify(events);
  const push = async () => (await request("/api/v1/push", { method: "POST", body })).status;
  writeFileSync(join(disk, "filler"), new Uint8Array(16 * 2 ** 20));
  let acknowledged = 0;
  let status = 200;
  while (status === 200 && acknowledged < 1_000_000) {
    status = await push();
    if (status === 200) acknowledged += events.length;
  }
  expect(status).toBe(503);
  rmSync(join(disk, "filler"));
  expect(await push()).toBe(200);
  acknowledged += events.length;
  expect((await request("/-/ready")).status).toBe(200);
  await gateway.close();

  const again = await openGateway(config, { log });
  expect(again.store.days().reduce((sum, { rows }) => sum + rows, 0)).toBe(acknowledged);
  await again.close();
});
