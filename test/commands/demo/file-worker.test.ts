/** A worker of the demo that writes a file, around the end of a day. */
import { afterEach, expect, setSystemTime, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "../../../src/commands/demo/seeded-random.ts";
import { FileWorker } from "../../../src/commands/demo/simulated-workers.ts";
import { workFrom } from "../../../src/commands/demo/task-work.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

afterEach(() => void setSystemTime());

/** The files after the day ended, during which a worker recorded some steps. */
async function filesAfterMidnight(steps: number): Promise<string[]> {
  const folder = temporaryFolder();
  setSystemTime(Date.UTC(2028, 1, 28, 23, 59, 59));
  const worker = new FileWorker("1", folder);
  writeFileSync(join(folder, "metrics_1.json"), "history\n");
  const work = workFrom(new SeededRandom(1, 1), Date.now(), () => false)[Symbol.iterator]();
  setSystemTime(Date.UTC(2028, 1, 29));
  for (let step = 0; step < steps; step++) worker.record(work.next().value!);
  expect(await worker.end()).toBe(steps);
  return readdirSync(folder).sort();
}

test("keeps the name of its file until it records, so that its history can be imported", async () => {
  expect(await filesAfterMidnight(0)).toEqual(["metrics_1.json"]);
});

test("renames its file with the first steps of a day", async () => {
  expect(await filesAfterMidnight(2)).toEqual(["metrics_1.json", "metrics_1.json.2028-02-28"]);
});
