/**
 * Stores samples, snapshots of the totals, and packs, until it is killed. Prints how many batches are stored after each, and
 * what it does. Arguments: the file of the store, the first batch, and a seed.
 */
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { snapshotOf } from "../../totals-snapshots.ts";
import { batch, DAY, samplesOf, SERIES } from "./numbered-batches.ts";

const [path, first, seed] = process.argv.slice(2) as [string, string, string];
const { store, stored } = await openStore({
  path,
  counters: createCounters(),
  memoryLimitBytes: 2 ** 27,
  threads: 2,
  temporaryDirectory: join(path, "..", "tmp"),
});
const say = (line: string) => process.stdout.write(`${line}\n`);
if (stored.series.length === 0) await store.commit(SERIES);
let state = Number(seed);
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
for (let number = Number(first); ; number++) {
  await store.commit({ rows: [batch(number)] });
  say(`stored ${number + 1}`);
  const chance = random();
  if (chance < 0.3) {
    // All samples so far: a start adds those that it replays.
    const totals = { seriesId: 1, count: samplesOf(number + 1), sumHigh: 0, sumLow: 0, value: null };
    const times = { createdUs: 0, lastUs: 0, arrivedUs: 0, buckets: [] };
    await store.commit({ totals: snapshotOf([{ ...totals, ...times }]) });
    say("snapshot");
  } else if (chance < 0.6) {
    say("packing");
    await store.pack({ day: DAY, untilUs: (DAY + 1) * 86_400_000_000, isForced: true, rowsAtOnce: 50 });
    say("packed");
  } else if (chance < 0.7) {
    say("checkpoint");
    await store.checkpoint();
  }
}
