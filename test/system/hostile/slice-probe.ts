/**
 * Loaded into a gateway before its program (`bun --preload`): measures the longest time for which the main thread worked
 * without a turn of the event loop, in time of the processor.
 *
 * That time does not count how long the thread waits for a processor. But the same work takes up to twice the time where
 * others use the caches of the processor, and other machines are slower. So a fixed piece of work is measured in the
 * same thread all the while, and the longest time is told in these pieces.
 *
 * SIGUSR2 writes what was measured since the last one, as JSON, to the path in WEIR_PROBE.
 */
import { dlopen, ptr } from "bun:ffi";
import { renameSync, writeFileSync } from "node:fs";

/** What the probe measured. Times are ms of the main thread's processor time. */
export interface Probed {
  readonly longestMs: number;
  /** A piece of work: nine of ten took at most this. Within a second a processor can become half as fast. */
  readonly pieceMs: number;
}

const INTERVAL_MS = 5;
/** A piece is measured after so many intervals, and so often when the result is asked. */
const INTERVALS_PER_PIECE = 10;
const PIECES_WHEN_ASKED = 5;
/** Until the compiler has optimized it. */
const PIECES_TO_BEGIN = 100;

const path = process.env.WEIR_PROBE!;
const CLOCK_THREAD_CPUTIME_ID = 3;
const { symbols } = dlopen("libc.so.6", { clock_gettime: { args: ["i32", "ptr"], returns: "i32" } });
const time = new BigInt64Array(2);
const timeAt = ptr(time);
/** Exact, where /proc and getrusage() advance by 4 ms. */
function workedMs(): number {
  symbols.clock_gettime(CLOCK_THREAD_CPUTIME_ID, timeAt);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}

const text = JSON.stringify(
  Array.from({ length: 1_200 }, (_, index) => ({ id: `s${(index * 7_919) % 1_201}`, at: index })),
);
/** Parses, groups, sorts and writes: what a gateway mostly does. 1 ms on the machine that these tests were written on. */
function piece(): number {
  const byId = Map.groupBy(JSON.parse(text) as { id: string }[], ({ id }) => id);
  return JSON.stringify([...byId.keys()].sort().map((id) => byId.get(id))).length;
}

for (let n = 0; n < PIECES_TO_BEGIN; n++) piece();
let piecesMs: number[] = [];
let longestMs = 0;
let lastMs = workedMs();
let intervals = 0;

function measurePiece(): void {
  const beginMs = workedMs();
  piece();
  lastMs = workedMs();
  piecesMs.push(lastMs - beginMs);
}

setInterval(() => {
  const nowMs = workedMs();
  longestMs = Math.max(longestMs, nowMs - lastMs);
  lastMs = nowMs;
  if (++intervals % INTERVALS_PER_PIECE === 0) measurePiece();
}, INTERVAL_MS).unref();

process.on("SIGUSR2", () => {
  for (let n = 0; n < PIECES_WHEN_ASKED; n++) measurePiece();
  const pieceMs = piecesMs.sort((a, b) => a - b)[Math.floor(piecesMs.length * 0.9)]!;
  // Renamed, so that a reader never sees a part.
  writeFileSync(`${path}.new`, JSON.stringify({ longestMs, pieceMs } satisfies Probed));
  renameSync(`${path}.new`, path);
  longestMs = 0;
  piecesMs = [];
});
