/** Pages of code that a start has used are unmapped, and nothing else is. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { codeMappings } from "../../src/program/code-pages.ts";

const ROOT = join(import.meta.dir, "..", "..");

/** Lines of proc_pid_smaps(5), without those that do not matter. */
const SMAPS = `00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/program
Rss:                 328 kB
Anonymous:             0 kB
AnonHugePages:         0 kB
VmFlags: rd ex mr mw me
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/program
Anonymous:             0 kB
00652000-00655000 rw-p 00052000 08:02 173521      /usr/bin/program
Anonymous:            12 kB
7f0000000000-7f0000100000 r-xp 00000000 08:02 9000 /usr/lib/patched.so
Anonymous:             4 kB
7f0000200000-7f0000300000 r-xp 00000000 00:00 0
Anonymous:             0 kB
7f0000300000-7f0000400000 rwxp 00000000 08:02 9001 /usr/lib/writable.so
Anonymous:             0 kB
7ffff7fc0000-7ffff7fc2000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7ffff7fd0000-7ffff7ff0000 r-xp 00001000 08:02 9002 /usr/lib/a name with spaces.so (deleted)
Anonymous:             0 kB
`;

test("only mappings of code whose pages are as in their files are chosen", () => {
  expect(codeMappings(SMAPS)).toEqual([
    { from: 0x400000n, to: 0x452000n },
    { from: 0x7ffff7fd0000n, to: 0x7ffff7ff0000n },
  ]);
  expect(codeMappings("")).toEqual([]);
});

/** Prints the pages of files before and after, and the answer of the engine whose code was unmapped. */
const PROGRAM = `
  const { readFileSync } = await import("node:fs");
  const { releaseCodePages } = await import(process.argv[1] + "/src/program/code-pages.ts");
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const answer = async () => (await connection.runAndReadAll("SELECT sum(i)::INTEGER FROM range(1000) t(i)")).getRows()[0][0];
  const filePages = () => Number(/RssFile:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  const first = await answer();
  const before = filePages();
  await releaseCodePages();
  const after = filePages();
  console.log(JSON.stringify({ first, isLess: after < before, again: await answer() }));
`;

test.skipIf(process.platform !== "linux")(
  "a process goes on when its pages of code were unmapped",
  async () => {
    const child = Bun.spawn([process.execPath, "--no-env-file", "-e", PROGRAM, ROOT], {
      cwd: ROOT,
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(JSON.parse(await child.stdout.text())).toEqual({ first: 499_500, isLess: true, again: 499_500 });
    expect(await child.exited).toBe(0);
  },
);
