/** Opening a file: it has one owner, also when two open it at once. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/store/duckdb-store.ts";

test("lets one of two simultaneous openings succeed, and opens the file again after a close", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-opening-"));
  const options = {
    path: join(folder, "store.duckdb"),
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: join(folder, "tmp"),
  };
  const outcomes = await Promise.allSettled([openStore(options), openStore(options)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(String((outcomes[1] as PromiseRejectedResult).reason)).toContain("is open in this process already");
  for (const outcome of outcomes) if (outcome.status === "fulfilled") await outcome.value.store.close();
  const { store } = await openStore(options);
  await store.close();
  rmSync(folder, { recursive: true });
});
