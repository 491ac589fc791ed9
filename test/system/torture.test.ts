/**
 * A short form of `scripts/torture`: the real gateway is killed at random moments, and everything that it acknowledged is there
 * once. The choices are those of a seed. Only root can mount the small disk, and only libfaketime steps the clock.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Campaign } from "../../scripts/torture.d/campaign.ts";
import { Crowd } from "../../scripts/torture.d/crowd.ts";
import { findFaketime, GatewayClock } from "../../scripts/torture.d/gateway-clock.ts";
import { Disk } from "../../scripts/torture.d/processes.ts";
import { Seeded } from "../../scripts/torture.d/seeded.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const work = temporaryFolder();
const disk = Disk.mount(join(work, "disk"), "160m");
afterAll(() => disk?.unmount());

async function tortured(name: string, rounds: number, seed: number, on?: Disk) {
  const folder = join(on?.path ?? work, name);
  mkdirSync(folder);
  const clock = new GatewayClock(join(work, `${name}.clock`), findFaketime());
  const campaign = new Campaign({
    folder,
    random: new Seeded(seed),
    clock,
    disk: on,
    decodeWorkers: on === undefined ? 2 : 0,
    levelsMax: 50,
  });
  await campaign.run(rounds);
  return campaign.tally;
}

describe("kills at any moment lose no acknowledged sample and store none twice", () => {
  test("on a disk", async () => {
    const tally = await tortured("disk-rounds", 4, 3);
    expect(tally).toMatchObject({ rounds: 4, lost: 0, doubled: 0, faults: [] });
    expect(tally.acknowledged).toBeGreaterThan(1_000);
  });

  test.skipIf(disk === undefined)("on a small disk that fills up or is read-only (needs root)", async () => {
    const tally = await tortured("small-disk-rounds", 4, 8, disk);
    expect(tally).toMatchObject({ rounds: 4, lost: 0, doubled: 0, faults: [] });
    expect(tally.acknowledged).toBeGreaterThan(1_000);
  });
});

describe("1,000 connections that are idle, slow, cut or half closed", () => {
  test("prevent no push, and half-closed ones get their answer", async () => {
    const gateway = await GatewayProcess.start({
      data: join(work, "crowd"),
      args: ["--no-sampler", "--stop-timeout-ms=60s"],
    });
    const crowd = new Crowd(gateway.url, 1_000, new Seeded(1));
    await crowd.gather();
    for (let value = 1; value <= 20; value++) {
      const response = await fetch(`${gateway.url}/api/v1/push`, {
        method: "POST",
        body: JSON.stringify({ metric_name: "crowd.value", type: "counter", value }),
      });
      expect(await response.json()).toMatchObject({ accepted: 1 });
    }
    expect(crowd.halfClosed).toBeGreaterThan(150);
    await until("the half-closed connections to be answered", () => crowd.answered === crowd.halfClosed);
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(text).toContain('crowd_value_total{instance=""} 210');
    crowd.close();
    expect(await gateway.stop("SIGTERM")).toBe(0);
  });
});
