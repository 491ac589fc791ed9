/**
 * The past of the simulated workers: an hour of their work, in files as workers write them, so that a graph has something
 * to show when the demo begins.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventLine } from "./event-lines.ts";
import { SeededRandom } from "./seeded-random.ts";
import { workFrom } from "./task-work.ts";

const MINUTE_MS = 60_000;
/** A minute less than an hour, so that a question about the last hour covers all of it for a while. */
const HISTORY_MS = 59 * MINUTE_MS;

/** The worker that stopped, and how long ago. */
export const SILENT = { index: "4", minutes: 12 } as const;

/** git.example.net limited the rate of requests from this long ago on, for some minutes. */
const LIMITED_MS = { from: 40 * MINUTE_MS, to: 34 * MINUTE_MS } as const;

/**
 * Writes `metrics_INDEX.json` of a worker.
 *
 * @param nowMs where the history ends
 * @returns the path, and how many samples it has
 */
export function writeHistory(
  folder: string,
  index: string,
  seed: number,
  nowMs: number,
): { readonly path: string; readonly samples: number } {
  const endMs = index === SILENT.index ? nowMs - SILENT.minutes * MINUTE_MS : nowMs;
  const isLimited = (atMs: number) => atMs > nowMs - LIMITED_MS.from && atMs < nowMs - LIMITED_MS.to;
  const lines: string[] = [];
  for (const step of workFrom(new SeededRandom(seed, Number(index)), nowMs - HISTORY_MS, isLimited)) {
    if (step.atMs > endMs) break;
    lines.push(eventLine(step));
  }
  const path = join(folder, `metrics_${index}.json`);
  writeFileSync(path, lines.join(""));
  return { path, samples: lines.length };
}
