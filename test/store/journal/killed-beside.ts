/**
 * A process for beside.test.ts: opens the store at the given path, commits small changes while something takes long, and
 * kills itself. It prints a line per acknowledged change.
 *
 * Arguments: the path, and what takes long: `large` (a change), `checkpoint`, `after` (the kill is after the checkpoint),
 * `endless` (both, until another process kills it).
 */
import { writeSync } from "node:fs";
import { createCounters } from "../../../src/model/counters.ts";
import type { Rows } from "../../../src/model/sample.ts";
import { openStore } from "../../../src/store/open-store.ts";

const DAY = 20_000;
const SMALL = 1;
const LARGE = 2;
/** More than a record of the journal has. */
const LARGE_ROWS = 150_000;
const [path, scenario] = process.argv.slice(2) as [string, string];

const checkpointing = Promise.withResolvers<void>();
const counters = createCounters();
const { startTimer } = counters.checkpointSeconds;
counters.checkpointSeconds.startTimer = (labels) => {
  checkpointing.resolve();
  return startTimer.call(counters.checkpointSeconds, labels);
};
const { store } = await openStore({
  counters,
  path,
  memoryLimitBytes: 2 ** 28,
  threads: 2,
  temporaryDirectory: `${path}.tmp`,
});

let [small, large] = [0, 0];
await store.replay(({ seriesId, length }) => {
  for (let row = 0; row < length; row++) {
    if (seriesId[row] === SMALL) small++;
    else large++;
  }
});

function rowsOf(series: number, first: number, length: number): Rows {
  return {
    day: DAY,
    length,
    seriesId: new Uint32Array(length).fill(series),
    timestampUs: Float64Array.from({ length }, (_, at) => DAY * 86_400_000_000 + first + at),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length),
    attributes: [],
    text: new Uint8Array(0),
  };
}

async function commitSmall(): Promise<void> {
  await store.commit({ rows: [rowsOf(SMALL, small, 1)] });
  small++;
  writeSync(1, `small ${small}\n`);
}

async function commitLarge(): Promise<void> {
  await store.commitBeside({ rows: [rowsOf(LARGE, large, LARGE_ROWS)] });
  large += LARGE_ROWS;
  writeSync(1, `large ${large}\n`);
}

const kill = () => process.kill(process.pid, "SIGKILL");

await commitSmall();
if (scenario === "large") {
  void commitLarge();
  await commitSmall();
  kill();
} else if (scenario !== "endless") {
  // A log that is worth a checkpoint.
  await store.commit({ rows: [rowsOf(LARGE, large, LARGE_ROWS)] });
  writeSync(1, `large ${LARGE_ROWS}\n`);
  let isOver = false;
  const checkpoint = store.checkpoint().then((isDone) => {
    isOver = true;
    return isDone;
  });
  await checkpointing.promise;
  await commitSmall();
  writeSync(1, `checkpoint ${isOver ? 1 : 0}\n`);
  if (scenario === "after") writeSync(1, `done ${(await checkpoint) ? 1 : 0}\n`);
  kill();
} else {
  void (async () => {
    for (;;) {
      await commitLarge();
      await store.checkpoint();
    }
  })();
  for (;;) {
    await commitSmall();
    await Bun.sleep(1);
  }
}
