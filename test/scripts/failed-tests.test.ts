/** The report of failed tests at the end of `scripts/test`, from the output of the real test runner. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { failedTests, failureReport } from "../../scripts/test.d/failed-tests.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const HEAD = `import { beforeAll, expect, test } from "bun:test";\n`;

/** What the runner prints for test files, with several processes. */
function outputOf(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, body] of Object.entries(files)) writeFileSync(join(folder, name), HEAD + body);
  const child = Bun.spawnSync([process.execPath, "test", "--parallel=2"], { cwd: folder });
  return child.stdout.toString() + child.stderr.toString();
}

/** The failed tests by file and name, without their durations. */
function byName(log: string): ReadonlyMap<string, string> {
  return new Map(
    failedTests(log).map(({ file, result, output }) => [
      `${file}: ${result.replace(/ \[[\d.]+ms\]$/, "")}`,
      output.join("\n"),
    ]),
  );
}

test("a failed test is reported with its file, its name, its values and its place, and with what it printed", () => {
  const found = byName(
    outputOf({
      "values.test.ts": `test("good", () => console.log("of good"));
        test("sum", () => { console.log("of sum"); expect(1 + 1).toBe(3); });
        test("also good", () => {});`,
      "other.test.ts": `test("hangs", () => new Promise(() => {}), 20);
        test.skip("skipped", () => {});`,
    }),
  );
  expect([...found.keys()].sort()).toEqual(["other.test.ts: (fail) hangs", "values.test.ts: (fail) sum"]);
  const sum = found.get("values.test.ts: (fail) sum")!;
  expect(sum).toStartWith("of sum\n");
  expect(sum).toContain("Expected: 3\nReceived: 2\n");
  expect(sum).toMatch(/at .*values\.test\.ts:3:\d+\)$/);
  expect(found.get("other.test.ts: (fail) hangs")).toEndWith("this test timed out after 20ms.");
});

test("errors outside of tests and processes that end are reported, too", () => {
  const found = byName(
    outputOf({
      "hook.test.ts": `beforeAll(() => { throw new Error("no gateway"); }); test("never runs", () => {});`,
      "module.test.ts": `throw new Error("no module");`,
      "process.test.ts": `test("ends", () => process.exit(3));`,
    }),
  );
  expect([...found.keys()].sort()).toEqual([
    "hook.test.ts: (fail) (unnamed)",
    "module.test.ts: an error outside of a test",
    "process.test.ts: ✗ process.test.ts (worker crashed: exit code 3)",
  ]);
  expect(found.get("hook.test.ts: (fail) (unnamed)")).toContain("error: no gateway");
  expect(found.get("module.test.ts: an error outside of a test")).toContain("error: no module");
});

test("the output of a file that is printed in pieces between others is that of its test", () => {
  const log = `
a.test.ts:
(pass) first [0.1ms]
its own line

b.test.ts:
a line of b
(pass) of b [0.1ms]

a.test.ts:
\u001b[31merror\u001b[0m: it broke
(fail) second [0.1ms]
(fail) third [0.1ms]
  ^ expected 2 assertions, received 0.

 2 pass
 2 fail
`;
  expect(failureReport(failedTests(log))).toEqual([
    "a.test.ts: (fail) second [0.1ms]",
    "  its own line",
    "  ",
    "  error: it broke",
    "",
    "a.test.ts: (fail) third [0.1ms]",
    "    ^ expected 2 assertions, received 0.",
    "",
  ]);
});

test("a long output is reported by its first and last lines, and many failures by their names", () => {
  const output = Array.from({ length: 100 }, (_, at) => `line ${at}`);
  const failed = Array.from({ length: 22 }, (_, at) => ({
    file: "a.test.ts",
    result: `(fail) ${at}`,
    output: at === 0 ? output : [],
  }));
  const lines = failureReport(failed);
  expect(lines.slice(0, 63)).toEqual([
    "a.test.ts: (fail) 0",
    ...output.slice(0, 30).map((line) => `  ${line}`),
    "  … 40 lines …",
    ...output.slice(70).map((line) => `  ${line}`),
    "",
  ]);
  expect(lines.slice(-3)).toEqual(["and 2 more:", "a.test.ts: (fail) 20", "a.test.ts: (fail) 21"]);
});
