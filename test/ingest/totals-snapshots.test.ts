/** When a snapshot of the running totals is due. */
import { expect, test } from "bun:test";
import type { IngestOptions, TotalsSink } from "../../src/ingest/contract.ts";
import { TotalsSnapshots } from "../../src/ingest/totals-snapshots.ts";

const MINUTE = 60_000;

function snapshots() {
  const wholes: boolean[] = [];
  const totals = {
    changedSeries: 1,
    lastPushRecords: () => [],
    snapshot: (whole: boolean) => {
      wholes.push(whole);
      return {};
    },
  } as unknown as TotalsSink;
  const options = { snapshotIntervalMs: MINUTE, snapshotRows: 1_000_000, now: () => 0 } as IngestOptions;
  return new TotalsSnapshots(totals, options);
}

test("takes one per interval while workers push, or while many rows are stored", () => {
  const due = snapshots();
  due.notePush();
  expect(due.take(MINUTE - 1)).toBeUndefined();
  expect(due.take(MINUTE)?.totals).toBeDefined();
  due.addRows(20_000);
  expect(due.take(2 * MINUTE - 1)).toBeUndefined();
  expect(due.take(2 * MINUTE)?.totals).toBeDefined();
});

test("takes one in ten intervals while nobody pushes and few rows are stored", () => {
  const due = snapshots();
  due.addRows(19_999);
  expect(due.take(10 * MINUTE - 1)).toBeUndefined();
  expect(due.take(10 * MINUTE)?.totals).toBeDefined();
  due.addRows(19_999);
  expect(due.take(12 * MINUTE)).toBeUndefined();
  due.addRows(1);
  expect(due.take(12 * MINUTE)?.totals).toBeDefined();
  // What a push changes is stored within the interval.
  due.notePush();
  expect(due.take(13 * MINUTE)?.totals).toBeDefined();
  expect(due.take(14 * MINUTE)).toBeUndefined();
});
