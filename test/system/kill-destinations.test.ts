/**
 * Rounds of kills around a gateway that sends to another gateway, a Prometheus and a VictoriaMetrics, beside a slow destination.
 * `scripts/torture forward` runs a hundred of them.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ForwardCampaign } from "../../scripts/torture.d/forwarding/forward-campaign.ts";
import { Seeded } from "../../scripts/torture.d/seeded.ts";
import { canRun } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const ROUNDS = 3;

test("every destination has every sample after kills, and none twice where its protocol prevents that", async () => {
  const folder = temporaryFolder();
  const campaign = new ForwardCampaign({
    folder: join(folder, "campaign"),
    random: new Seeded(7),
    hasPrometheus: canRun("prometheus"),
    hasVictoriaMetrics: canRun("victoria-metrics"),
  });
  await campaign.run(ROUNDS);
  const { rounds, kills, verdicts } = campaign.tally;
  expect(rounds).toBe(ROUNDS);
  expect(kills.size).toBeGreaterThan(0);
  expect([...verdicts.keys()].slice(0, 2)).toEqual(["gateway", "hub"]);
  for (const [name, { lost, doubled, faults }] of verdicts)
    expect({ name, lost, doubled, faults }).toEqual({ name, lost: 0, doubled: 0, faults: [] });
  rmSync(folder, { recursive: true });
}, 600_000);
