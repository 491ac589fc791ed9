/** Lines have a priority if standard error is the journal, and only then: a file or a pipe would keep it. */
import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../temporary-folder.ts";

const PROGRAM = `
import { standardError } from "${join(import.meta.dir, "../../src/log/standard-error.ts")}";
const write = standardError(process.env.JOURNAL_STREAM);
for (const level of ["error", "warn", "info", "debug"]) write(level + "\\n", level);
`;

/** What a process writes to a file as its standard error. */
function written(journalStream: (device: bigint, inode: bigint) => string): string[] {
  const path = join(temporaryFolder(), "stderr");
  const descriptor = openSync(path, "w");
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  const env = { ...process.env, JOURNAL_STREAM: journalStream(dev, ino) };
  Bun.spawnSync([process.execPath, "-e", PROGRAM], { env, stderr: descriptor });
  closeSync(descriptor);
  return readFileSync(path, "utf8").trimEnd().split("\n");
}

test("the journal gets priorities", () => {
  expect(written((device, inode) => `${device}:${inode}`)).toEqual([
    "<3>error",
    "<4>warn",
    "<6>info",
    "<7>debug",
  ]);
});

test.each(["", "nonsense", "1:2"])("another standard error gets none, with JOURNAL_STREAM=%s", (value) => {
  expect(written(() => value)).toEqual(["error", "warn", "info", "debug"]);
});
