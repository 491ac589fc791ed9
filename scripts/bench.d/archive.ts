/**
 * The benchmark of the archive: how long it takes to write a day of events to a folder, what it costs, and how much memory it
 * takes. Storing the day takes longer than archiving it, so both can be run by themselves.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { bodies } from "./events.ts";
import { ingest } from "./ingest.ts";
import { folderBytes, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench archive [options] [-- arguments of weir serve]

Stores a day of events, starts the gateway again with an archive, and measures until the day is archived.

  --events N         events of the day (default 2000000)
  --batch N          events per push (default 5000)
  --data DIR         the data folder. If it has a store, nothing is pushed. It is kept (default: a temporary folder)
  --to DIR           the folder of the archive (default: a temporary folder)
  --seed-only        stores the events, and archives nothing
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    events: { type: "string", default: "2000000" },
    batch: { type: "string", default: "5000" },
    data: { type: "string" },
    to: { type: "string" },
    "seed-only": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const DAY_MS = 86_400_000;
/** Events whose bodies are in memory at once. */
const SLICE_EVENTS = 500_000;
const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

interface ListedDay {
  readonly last_error: string | null;
  readonly state: string;
  readonly archived_rows: number;
  readonly files: number;
  readonly bytes: number;
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const data = options.data ?? join(folder, "data");
  const to = options.to ?? join(folder, "archive");
  try {
    if (!existsSync(join(data, "store.duckdb"))) await seed(data);
    if (!options["seed-only"]) await archive(data, to);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Stores the events of the day before yesterday. */
async function seed(data: string): Promise<void> {
  const begin = (Math.floor(Date.now() / DAY_MS) - 2) * DAY_MS;
  const events = count(options.events);
  const gateway = await GatewayProcess.start({ data, args: ["--no-sampler", ...serveArgs] });
  try {
    for (let from = 0, slice = 1; from < events; from += SLICE_EVENTS, slice++) {
      const to = Math.min(events, from + SLICE_EVENTS);
      const span = {
        fromMs: begin + Math.floor((from / events) * DAY_MS),
        toMs: begin + Math.floor((to / events) * DAY_MS) - 1,
      };
      await ingest(gateway, [...bodies(to - from, count(options.batch), span, slice)], 4);
    }
    if ((await gateway.stop("SIGTERM")) !== 0) throw new Error("the gateway did not stop");
  } finally {
    await gateway.stop("SIGKILL");
  }
}

async function archive(data: string, to: string): Promise<void> {
  console.log(`${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`);
  const args = ["--no-sampler", `--archive-to=${to}`, "--archive-after-ms=0", ...serveArgs];
  const begin = performance.now();
  const gateway = await GatewayProcess.start({ data, args });
  try {
    const started = performance.now();
    const before = usageOf(gateway.pid);
    let day: ListedDay | undefined;
    let stallMs = 0;
    while (day?.state !== "archived") {
      if (day?.last_error) throw new Error(day.last_error);
      await Bun.sleep(50);
      const asked = performance.now();
      const answer = await fetch(`${gateway.url}/api/v1/archive`);
      stallMs = Math.max(stallMs, performance.now() - asked);
      day = ((await answer.json()) as { days: ListedDay[] }).days[0];
    }
    const seconds = (performance.now() - started) / 1_000;
    const after = usageOf(gateway.pid);
    const million = day.archived_rows / 1e6;
    say(
      "archived",
      `${day.archived_rows} samples in ${fixed(seconds)} s, after a start of ${fixed((started - begin) / 1_000)} s`,
    );
    say(
      "CPU-s",
      `${fixed(after.cpuSeconds - before.cpuSeconds)} (${fixed((after.cpuSeconds - before.cpuSeconds) / million, 2)} per million)`,
    );
    say(
      "memory",
      `${fixed(after.residentBytesPeak / 1e6, 0)} MB at most, ${fixed(before.residentBytes / 1e6, 0)} MB before`,
    );
    say("longest answer beside it", `${fixed(stallMs)} ms`);
    say(
      "files",
      `${day.files}, ${fixed(day.bytes / 1e6)} MB, ${fixed(day.bytes / day.archived_rows, 2)} bytes per sample`,
    );
    say("store", `${fixed(folderBytes(data) / 1e6)} MB`);
  } finally {
    await gateway.stop("SIGTERM");
  }
}
