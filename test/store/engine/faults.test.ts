/** The texts by which the engine reports its faults, and texts of people that only look like them. */
import { expect, test } from "bun:test";
import { type EngineFault, faultOf, isDiskFull, isFatal } from "../../../src/store/engine/faults.ts";

const ok = (text: string, want: EngineFault | undefined) =>
  test(`${want ?? "none"}: ${text.slice(0, 60)}`, () => expect(faultOf(new Error(text))).toBe(want));

ok("Out of Memory Error: failed to allocate data of size 256.0 KiB", "out of memory");
ok("INTERRUPT Error: Interrupted!", "interrupted");
ok("Permission Error: file system operations are disabled by configuration", "forbidden");
ok("Catalog Error: Table with name samples_20240101 does not exist!", "day dropped");
ok("Invalid Input Error: weir: list has more than 4000 elements", "guarded");
ok("FATAL Error: Failed to create checkpoint because of error: No space left on device", "gave up");
ok("FATAL Error: Failed: database has been invalidated because of a previous fatal error.", "invalidated");
ok("IO Error: Could not write file: No space left on device", "disk full");
ok("IO Error: Could not set lock on file: Conflicting lock is held", "locked");
ok('IO Error: The file "/d/store.duckdb" exists, but it is not a valid DuckDB database file!', "damaged");
ok('IO Error: Could not read enough bytes from file "/d/store.duckdb": attempted to read 9 bytes', "damaged");
ok("IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2", "damaged");
ok('IO Error: Failure while replaying WAL file "/d/store.duckdb.wal": Corrupt WAL file', "damaged");
ok('IO Error: Failure while replaying WAL file "/d/store.duckdb.wal": No space left on device', "disk full");
ok('Binder Error: Referenced column "a" not found', "statement");
// The value of a person is quoted in the engine's message.
ok("Conversion Error: Could not convert string 'Out of Memory Error' to INT32", "statement");
ok("something else", undefined);

test("an engine that gave up for a full disk is not an engine whose disk is full", () => {
  const error = new Error(
    "FATAL Error: Failed to create checkpoint because of error: No space left on device",
  );
  expect([isFatal(error), isDiskFull(error)]).toEqual([true, false]);
});
