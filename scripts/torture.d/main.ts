/**
 * The torture as a program: campaigns of rounds, each on a folder of its own, until the number of rounds is reached or a
 * round finds a fault.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Campaign, type Tally } from "./campaign.ts";
import { tortureLinks } from "./forwarding/links.ts";
import { tortureForwarding } from "./forwarding/rounds.ts";
import { findFaketime, GatewayClock } from "./gateway-clock.ts";
import { Disk } from "./processes.ts";
import { Seeded } from "./seeded.ts";

const HELP = `Usage: scripts/torture [ROUNDS] [--seed N] [--folder DIR] [--keep]
       scripts/torture forward [ROUNDS] [--seed N] [--folder DIR] [--keep]
       scripts/torture links [--minutes N] [--gateways N] [--seed N] [--folder DIR] [--keep]

Kills the gateway with SIGKILL at random moments: during pushes, checkpoints, moves of the journal, midnight, pruning,
deletions, backups, restores, compaction, migrations, changes of tokens and starts. It also cuts and flips copies of log and
journal, fills the disk, steps the clock, and opens up to 1,000 connections that are idle, slow or half closed. Clients repeat
what had no answer with the same Idempotency-Key. Each round compares everything that was acknowledged with rows, totals and
groups. Pushes are events, JSON columns and Arrow streams, which threads decode in half of the campaigns. Samples of gauges
become blocks, late ones too, in days whose other rows are copied in parts.

"forward" kills a gateway with destinations, and the destinations: another gateway, a receiver of OTLP, and Debian's
Prometheus and VictoriaMetrics if they are installed. Answers are lost, and one destination is slow. In the end, all must have
the same. VictoriaMetrics may lack what it acknowledged in the last 12 seconds before a kill.

"links" runs gateways in network namespaces that send to one hub, and cuts their links at random. It needs root.

  ROUNDS         rounds, one kill each at least (default 100)
  --seed N       the seed of all random choices (default 1). The same seed makes the same choices; the moments of the
                 kills also depend on the machine
  --campaign N   the first campaign of the seed (default 0), to repeat one that failed. A campaign has 25 rounds
  --minutes N    how long links are cut (default 10)
  --gateways N   gateways, each in its own namespace (default 10)
  --folder DIR   the folder for temporary data folders (default: the system's)
  --keep         keeps the folder of a campaign that failed
  --help         shows this help

Steps of the clock need libfaketime (Debian's package faketime). A full and a read-only disk need root. Without them, these
events are left out.

The line before the last has how often each kind of event took place, the samples by form of push, and those in blocks at
the end. The last line has rounds, acknowledged samples, lost and doubled ones. The exit code is 0 if nothing was lost, stored
twice or otherwise wrong.
`;

/** Rounds on one folder. Each campaign begins with an empty one. */
const CAMPAIGN_ROUNDS = 25;

const { values: options, positionals } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    campaign: { type: "string", default: "0" },
    minutes: { type: "string", default: "10" },
    gateways: { type: "string", default: "10" },
    folder: { type: "string", default: tmpdir() },
    keep: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

if (options.help) {
  process.stdout.write(HELP);
} else if (positionals[0] === "forward") {
  process.exitCode = await tortureForwarding({
    rounds: Number(positionals[1] ?? 100),
    seed: Number(options.seed),
    first: Number(options.campaign),
    folder: options.folder,
    keeps: options.keep,
  });
} else if (positionals[0] === "links") {
  process.exitCode = await tortureLinks({
    gateways: Number(options.gateways),
    minutes: Number(options.minutes),
    seed: Number(options.seed),
    folder: options.folder,
    keeps: options.keep,
  });
} else {
  process.exitCode = await torture(
    Number(positionals[0] ?? 100),
    Number(options.seed),
    Number(options.campaign),
  );
}

async function torture(rounds: number, seed: number, first: number): Promise<number> {
  if (!Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed) || !Number.isInteger(first)) {
    process.stderr.write(HELP);
    return 2;
  }
  const faketime = findFaketime();
  if (faketime === undefined) console.log("libfaketime is not installed: the clock is not stepped");
  const total = { rounds: 0, kills: 0, acknowledged: 0, lost: 0, doubled: 0, faults: 0 };
  const events = new Map<string, number>();
  const begin = performance.now();
  for (let number = first; total.rounds < rounds; number++) {
    const work = mkdtempSync(join(options.folder, "weir-torture-"));
    // Every other campaign is on a small disk, which can be full or read-only.
    const disk = number % 2 === 1 ? Disk.mount(join(work, "disk"), "160m") : undefined;
    const folder = join(disk?.path ?? work, "campaign");
    mkdirSync(folder);
    const random = new Seeded(seed * 1_000 + number);
    const clock = new GatewayClock(join(work, "clock"), faketime);
    // Half of the campaigns of each kind decode large bodies in other threads.
    const decodeWorkers = number % 4 < 2 ? 0 : 2;
    const campaign = new Campaign({ folder, random, clock, disk, decodeWorkers });
    try {
      await campaign.run(Math.min(CAMPAIGN_ROUNDS, rounds - total.rounds));
    } catch (error) {
      campaign.tally.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    add(total, events, campaign.tally);
    console.log(
      `seed ${seed}, campaign ${number}${disk === undefined ? "" : " (small disk)"}: ${campaign.tally.rounds} rounds, ` +
        `${campaign.tally.acknowledged} acknowledged, ${campaign.tally.lost} lost, ${campaign.tally.doubled} doubled`,
    );
    for (const fault of campaign.tally.faults) console.log(`  ${fault}`);
    if (campaign.isFailed && options.keep) {
      if (disk !== undefined) {
        mkdirSync(join(work, "kept"));
        campaign.keep(join(work, "kept", "campaign"));
        disk.unmount();
      }
      console.log(`  kept in ${work}`);
    } else {
      disk?.unmount();
      rmSync(work, { recursive: true, force: true });
    }
    if (campaign.isFailed) {
      console.log(
        `  repeat with: scripts/torture ${CAMPAIGN_ROUNDS} --seed ${seed} --campaign ${number} --keep`,
      );
      break;
    }
  }
  const seconds = (performance.now() - begin) / 1000;
  console.log([...events].map(([event, times]) => `${event} ${times}`).join(", "));
  console.log(
    `${total.rounds} rounds (${total.kills} kills, ${(seconds / total.rounds).toFixed(1)} s each), ` +
      `${total.acknowledged} acknowledged, ${total.lost} lost, ${total.doubled} doubled`,
  );
  return total.lost + total.doubled + total.faults === 0 ? 0 : 1;
}

function add(
  total: {
    rounds: number;
    kills: number;
    acknowledged: number;
    lost: number;
    doubled: number;
    faults: number;
  },
  events: Map<string, number>,
  tally: Tally,
): void {
  for (const key of ["rounds", "kills", "acknowledged", "lost", "doubled"] as const) total[key] += tally[key];
  total.faults += tally.faults.length;
  for (const [event, times] of tally.events) events.set(event, (events.get(event) ?? 0) + times);
}
