/** Campaigns of forwarding, until the number of rounds is reached or a campaign finds a fault. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { canRun } from "../../../test/real-servers.ts";
import { Seeded } from "../seeded.ts";
import { ForwardCampaign } from "./forward-campaign.ts";

const CAMPAIGN_ROUNDS = 25;

interface RoundsOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly first: number;
  readonly folder: string;
  readonly keeps: boolean;
}

/** Returns the exit code. */
export async function tortureForwarding({
  rounds,
  seed,
  first,
  folder,
  keeps,
}: RoundsOptions): Promise<number> {
  const total = {
    rounds: 0,
    pushed: 0,
    lost: 0,
    doubled: 0,
    repeated: 0,
    lostAnswers: 0,
    overtaken: 0,
    unwritten: 0,
  };
  let oldestMs = 0;
  const kills = new Map<string, number>();
  const begin = performance.now();
  let isFailed = false;
  for (let number = first; total.rounds < rounds && !isFailed; number++) {
    const work = mkdtempSync(join(folder, "weir-torture-forward-"));
    const campaign = new ForwardCampaign({
      folder: join(work, "campaign"),
      random: new Seeded(seed * 1_000 + number),
      hasPrometheus: canRun("prometheus"),
      hasVictoriaMetrics: canRun("victoria-metrics"),
    });
    const { tally } = campaign;
    try {
      await campaign.run(Math.min(CAMPAIGN_ROUNDS, rounds - total.rounds));
    } catch (error) {
      isFailed = true;
      console.log(`  ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    isFailed ||= campaign.isFailed;
    for (const key of ["rounds", "pushed", "lostAnswers", "overtaken"] as const) total[key] += tally[key];
    for (const [name, times] of tally.kills) kills.set(name, (kills.get(name) ?? 0) + times);
    const parts = [...tally.verdicts].map(
      ([name, { lost, doubled, repeated, unwritten = 0, unwrittenMs = 0 }]) => {
        total.lost += lost;
        total.doubled += doubled;
        total.repeated += repeated;
        total.unwritten += unwritten;
        oldestMs = Math.max(oldestMs, unwrittenMs);
        const more = [
          ...(repeated > 0 ? [`${repeated} repeated`] : []),
          ...(unwritten > 0 ? [`${unwritten} lost that it had not written`] : []),
        ];
        return [`${name} ${lost} lost, ${doubled} doubled`, ...more].join(", ");
      },
    );
    console.log(
      `seed ${seed}, campaign ${number}: ${tally.rounds} rounds, ${tally.pushed} events; ${parts.join("; ")}`,
    );
    for (const [name, { faults }] of tally.verdicts)
      for (const fault of faults.slice(0, 8)) console.log(`  ${name}: ${fault}`);
    if (isFailed && keeps) console.log(`  kept in ${work}`);
    else rmSync(work, { recursive: true, force: true });
    if (isFailed)
      console.log(`  repeat with: scripts/torture forward --seed ${seed} --campaign ${number} --keep`);
  }
  const seconds = (performance.now() - begin) / 1_000;
  console.log(`kills: ${[...kills].map(([name, times]) => `${name} ${times}`).join(", ")}`);
  console.log(
    `${total.rounds} rounds (${(seconds / Math.max(1, total.rounds)).toFixed(1)} s each), ${total.pushed} events, ` +
      `${total.lostAnswers} lost answers, ${total.lost} lost, ${total.doubled} doubled, ${total.repeated} repeated and ` +
      `${total.unwritten} lost at VictoriaMetrics, acknowledged ${Math.round(oldestMs)} ms before a SIGKILL at most; ${total.overtaken} times the slow destination lagged while the others had everything`,
  );
  return isFailed ? 1 : 0;
}
