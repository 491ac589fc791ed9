/**
 * Loaded into a gateway before its program (`bun --preload`): measures the longest time for which the main thread worked
 * without a turn of the event loop, in time of the processor. On a busy machine that is the same, however long the
 * thread waits for a processor. SIGUSR2 writes the longest time since the last one, in ms, to the path in WEIR_PROBE.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

const INTERVAL_MS = 5;
const path = process.env.WEIR_PROBE!;
const main = `/proc/self/task/${process.pid}/schedstat`;
const workedMs = () => Number(readFileSync(main, "latin1").split(" ")[0]) / 1e6;

let longestMs = 0;
let lastMs = workedMs();
setInterval(() => {
  const nowMs = workedMs();
  longestMs = Math.max(longestMs, nowMs - lastMs);
  lastMs = nowMs;
}, INTERVAL_MS).unref();

process.on("SIGUSR2", () => {
  // Renamed, so that a reader never sees a part.
  writeFileSync(`${path}.new`, String(longestMs));
  renameSync(`${path}.new`, path);
  longestMs = 0;
});
