/** The report of failed tests at the end of `scripts/test`, from what the real test runner writes. */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failedTests, failureLines, otherErrors } from "../../scripts/test.d/failed-tests.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const HEAD = `import { beforeAll, describe, expect, test } from "bun:test";\n`;

/** The failed tests of test files by title, and the errors outside of tests. */
function runOf(files: Readonly<Record<string, string>>) {
  const folder = temporaryFolder();
  for (const [name, body] of Object.entries(files)) writeFileSync(join(folder, name), HEAD + body);
  const options = ["--parallel=2", "--reporter=junit", "--reporter-outfile=report.xml"];
  const child = Bun.spawnSync([process.execPath, "test", ...options], { cwd: folder });
  const report = readFileSync(join(folder, "report.xml"), "utf8");
  const failed = failedTests(report);
  return {
    failed: Object.fromEntries(failed.map(({ title, text }) => [title, text.trimEnd()])),
    outside: otherErrors(child.stdout.toString() + child.stderr.toString()),
  };
}

test("a failed test is reported with its file, its name, its values and its place", () => {
  const { failed, outside } = runOf({
    "values.test.ts": `test("good", () => {});
describe("a \\"group\\" & <more>", () => {
  test("sum", () => {
    expect({ sum: "1 < 2" }).toEqual({ sum: "3" });
  });
  test("also good", () => {});
});`,
    "other.test.ts": `test("hangs", () => new Promise(() => {}), 20);
test("throws", () => { throw new TypeError("no such thing"); });
test.skip("skipped", () => {});`,
  });
  expect(failed).toEqual({
    'values.test.ts:4: a "group" & <more> > sum': `AssertionError: expect(received).toEqual(expected)

  {
-   "sum": "3",
+   "sum": "1 < 2",
  }

- Expected  - 1
+ Received  + 1

      at values.test.ts:5:30`,
    "other.test.ts:2: hangs": "TimeoutError: test timed out",
    "other.test.ts:3: throws": "TypeError: no such thing\n      at other.test.ts:3:59",
  });
  expect(outside).toEqual([]);
});

test("errors of hooks, outside of tests, and processes that end are reported, too", () => {
  const { failed, outside } = runOf({
    "hook.test.ts": `beforeAll(() => { throw new Error("no gateway"); }); test("never runs", () => {});`,
    "module.test.ts": `throw new Error("no module");`,
    "process.test.ts": `test("ends", () => process.exit(3));`,
  });
  expect(failed).toEqual({
    "hook.test.ts: (unnamed)": "Error: no gateway\n      at hook.test.ts:2:47",
    "process.test.ts: (worker crashed)": "Error: worker process crashed before reporting results",
  });
  expect(outside).toHaveLength(1);
  expect(outside[0]!.text).toMatch(/error: no module\n +at .*module\.test\.ts:2:11$/m);
});

test("a long text is reported by its first and last lines, and many failures by their names", () => {
  const text = Array.from({ length: 100 }, (_, at) => `line ${at}`);
  const failed = Array.from({ length: 22 }, (_, at) => ({
    title: `a.test.ts: ${at}`,
    text: at === 0 ? text.join("\n") : at === 1 ? "x".repeat(401) : "short",
  }));
  const lines = failureLines(failed);
  expect(lines.slice(0, 69)).toEqual([
    "a.test.ts: 0",
    ...text.slice(0, 30).map((line) => `  ${line}`),
    "  … 40 lines …",
    ...text.slice(70).map((line) => `  ${line}`),
    "",
    ...["a.test.ts: 1", `  ${"x".repeat(400)}… (401 characters)`, ""],
    ...["a.test.ts: 2", "  short", ""],
  ]);
  expect(lines.slice(-3)).toEqual(["and 2 more:", "a.test.ts: 20", "a.test.ts: 21"]);
});
