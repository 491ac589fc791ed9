/** Opening a file: it has one owner, also when two open it at once, and a damaged one stays as it is. */
import { expect, spyOn, test } from "bun:test";
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { openStore } from "../../src/store/open-store.ts";
import { Connection, Database } from "../../src/store/engine/duckdb.ts";
import { StoreDamaged } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";

test("lets one of two simultaneous openings succeed, and opens the file again after a close", async () => {
  const folder = temporaryFolder();
  const options = {
    path: join(folder, "store.duckdb"),
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: join(folder, "tmp"),
  };
  const outcomes = await Promise.allSettled([
    openStore({ ...options, counters: createCounters() }),
    openStore({ ...options, counters: createCounters() }),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(String((outcomes[1] as PromiseRejectedResult).reason)).toContain("is open in this process already");
  for (const outcome of outcomes) if (outcome.status === "fulfilled") await outcome.value.store.close();
  const { store } = await openStore({ ...options, counters: createCounters() });
  await store.close();
});

test("names a damaged file and what to do, changes no file, and opens a copy that is put back", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "store.duckdb");
  const options = { path, memoryLimitBytes: 2 ** 28, threads: 1, temporaryDirectory: join(folder, "tmp") };
  await (await openStore({ ...options, counters: createCounters() })).store.close();
  const backup = join(folder, "backup.duckdb");
  copyFileSync(path, backup);
  const flip = (at: number) => {
    const bytes = readFileSync(path);
    for (let index = at; index < at + 64; index++) bytes[index]! ^= 0xff;
    writeFileSync(path, bytes);
  };
  const cases: readonly (readonly [damage: () => void, said: string])[] = [
    [() => writeFileSync(path, "not a store ".repeat(1_000)), "is not a valid DuckDB database file"],
    [() => writeFileSync(path, ""), "is not a valid DuckDB database file"],
    [() => truncateSync(path, readFileSync(path).length / 2), "Could not read enough bytes"],
    [() => flip(4_096 + 20), "Corrupt database file"],
    [() => flip(12_288 + 100), "Corrupt database file"],
  ];
  for (const [damage, said] of cases) {
    copyFileSync(backup, path);
    damage();
    const wal = `${path}.wal`;
    writeFileSync(wal, "log");
    const before = readFileSync(path);
    const fault = (await openStore({ ...options, counters: createCounters() }).catch(
      (reason: unknown) => reason,
    )) as Error;
    expect(fault).toBeInstanceOf(StoreDamaged);
    expect(fault.message).toStartWith(`${path} is damaged, or is not a store of Weir: `);
    expect(fault.message).toContain(said);
    expect(fault.message).not.toMatch(/[.!]\. |IO Error/);
    expect(fault.message).toEndWith(
      "Nothing was deleted. Move store.duckdb, store.duckdb.wal and store.duckdb.journal to another " +
        "folder and keep them, then put a backup in their place, or start with --data on a snapshot (snapshots/NAME " +
        `in the data folder). Without one, run "weir doctor --repair --data ${dirname(path)}", which stores what can be ` +
        "read in a new folder.",
    );
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readFileSync(wal, "utf8")).toBe("log");
    rmSync(wal);
  }
  copyFileSync(backup, path);
  await (await openStore({ ...options, counters: createCounters() })).store.close();
});

test("a start of an empty store takes one statement after an orderly stop, and 6 without it", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "store.duckdb");
  const options = { path, memoryLimitBytes: 2 ** 28, threads: 1, temporaryDirectory: join(folder, "tmp") };
  await (await openStore({ ...options, counters: createCounters() })).store.close();
  const opened = async () => {
    const spies = [spyOn(Connection.prototype, "run"), spyOn(Connection.prototype, "all")];
    const { store } = await openStore({ ...options, counters: createCounters() });
    const statements = spies.flatMap(({ mock }) => mock.calls.map(([sql]) => sql));
    for (const spy of spies) spy.mockRestore();
    await store.close();
    return statements;
  };
  // Settings.
  expect(await opened()).toHaveLength(1);
  rmSync(`${path}.start`);
  // Schema with the seed, settings, journal, catalog, small tables, and the free space of the file.
  expect(await opened()).toHaveLength(6);
});

test("a new file has blocks of 128 KiB, and texts in a compressed dictionary", async () => {
  const folder = temporaryFolder();
  const database = await Database.open(join(folder, "new.duckdb"), {
    ...{ memoryLimitBytes: 2 ** 28, threads: 1, temporaryDirectory: join(folder, "tmp") },
  });
  const connection = await database.connect();
  await connection.run(
    "CREATE TABLE t AS SELECT '1704067200_' || left(md5((range // 6)::VARCHAR), 10) AS task_id FROM range(122880); CHECKPOINT",
  );
  expect(await connection.all("SELECT block_size FROM pragma_database_size()")).toEqual([
    { block_size: 131_072 },
  ]);
  expect(
    await connection.all(
      "SELECT DISTINCT compression FROM pragma_storage_info('t') WHERE segment_type = 'VARCHAR'",
    ),
  ).toEqual([{ compression: "DICT_FSST" }]);
  connection.close();
  database.close();
});
