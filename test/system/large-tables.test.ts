/**
 * Large tables of Arrow and of JSON columns, several at once, beside a pusher of 20 events per second: none of them delays
 * a push, with and without threads that decode. Delays are measured in work of the main thread, as in hostile.test.ts.
 */
import { describe, expect, test } from "bun:test";
import { arrowStream } from "../../scripts/bench.d/arrow-writer.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { BesideAPusher, type Hostile, SLICE_MAX, WAIT_MAX } from "./hostile/beside-a-pusher.ts";

const ROWS = 90_000;
const list = <Value>(of: (row: number) => Value): Value[] =>
  Array.from({ length: ROWS }, (_, row) => of(row));
const NOW_MS = Date.now();

const arrow = (number: number) =>
  arrowStream([
    { name: "ts", is: "time", values: Float64Array.from(list((row) => NOW_MS - row)) },
    { name: "value", is: "number", values: Float64Array.from(list((row) => row / 4)) },
    { name: "host", is: "dictionary", values: list((row) => `host-${row % 50}`) },
    { name: "zone", is: "text", values: list((row) => `zone-${row % 7}`) },
    { name: "task_id", is: "text", values: list((row) => `table-${number}-row-${row}`) },
  ]);
const columns = (number: number) =>
  JSON.stringify({
    columns: {
      ts: list((row) => NOW_MS - row),
      value: list((row) => row),
      host: list((row) => `host-${row % 50}`),
      task_id: list((row) => `columns-${number}-row-${row}`),
    },
  });

const tables: readonly Hostile[] = [0, 1, 2].flatMap((number): Hostile[] => [
  {
    name: `Arrow ${number}`,
    path: "/api/v1/push?metric=table.ms",
    headers: { "content-type": "application/vnd.apache.arrow.stream" },
    body: () => arrow(number),
  },
  { name: `columns ${number}`, path: "/api/v1/push?metric=table.ms", body: () => columns(number) },
]);

describe.each([0, 2])("with %d threads that decode", (workers) => {
  test("six large tables at once delay no push, and each row is stored", async () => {
    const args = ["--no-sampler", `--decode-workers=${workers}`];
    const subject = await BesideAPusher.start(temporaryFolder(), args);
    try {
      // The second time, the code is compiled.
      await subject.cost(tables.slice(0, 2));
      const { slice, wait, statuses } = await subject.cost(tables);
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(slice).toBeLessThan(SLICE_MAX);
      expect(wait).toBeLessThan(WAIT_MAX);
      await subject.stopPushing();
      expect(subject.refused).toEqual([]);
      const sql = `SELECT metric, count(*)::INT AS rows FROM samples GROUP BY metric ORDER BY metric`;
      const answer = await subject.fetch("/api/v1/sql", { method: "POST", body: sql });
      expect(((await answer.json()) as { rows: unknown }).rows).toEqual([
        { metric: "acknowledged", rows: subject.acknowledged.length },
        { metric: "table.ms", rows: 8 * ROWS },
      ]);
    } finally {
      await subject.close();
    }
  }, 60_000);
});
