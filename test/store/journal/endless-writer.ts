/**
 * A process for row-groups.test.ts: commits changes of drawn sizes to the store at the given path, until it is killed,
 * and prints the number of rows after each acknowledgement. Readers and checkpoints come in between.
 */
import { writeSync } from "node:fs";
import { createCounters } from "../../../src/model/counters.ts";
import type { Rows } from "../../../src/model/sample.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { TextBuilder } from "../../../src/store/engine/columns.ts";

const DAY = 20_000;
const path = process.argv[2]!;

const { store } = await openStore({
  counters: createCounters(),
  path,
  memoryLimitBytes: 2 ** 28,
  threads: 2,
  temporaryDirectory: `${path}.tmp`,
});
let next = store.days().reduce((sum, day) => sum + day.rows, 0);
let state = (next * 2_654_435_761) >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};

function rowsFrom(first: number, length: number): Rows {
  const builder = new TextBuilder();
  const column = builder.column(Array.from({ length }, (_, at) => `task-${first + at}`));
  return {
    day: DAY,
    length,
    seriesId: new Uint32Array(length).fill(1),
    timestampUs: Float64Array.from({ length }, (_, at) => DAY * 86_400_000_000 + first + at),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length),
    attributes: [{ name: "task_id", ...column }],
    text: builder.text,
  };
}

async function read(): Promise<void> {
  for (;;) {
    await Bun.sleep(20 + 300 * random());
    (await store.reader()).close();
    if (random() < 0.2) await store.checkpoint();
  }
}

void read();
writeSync(1, `${next}\n`);
for (;;) {
  const kind = random();
  const length = Math.ceil(random() * (kind < 0.3 ? 5 : kind < 0.9 ? 4_000 : 60_000));
  const split = Math.floor(length * random());
  const rows = [rowsFrom(next, split), rowsFrom(next + split, length - split)];
  await store.commit({ rows });
  next += length;
  writeSync(1, `${next}\n`);
}
