/**
 * `weir rules test`: runs files of unit tests for rules and reports what failed. A file with an error fails as a whole;
 * the others run.
 */
import { dirname, isAbsolute, join } from "node:path";
import { RE2JS } from "re2js";
import { type RuleFileContent, readRuleFile } from "../../rules/files/rule-file.ts";
import type { RuleGroup } from "../../rules/files/rule-group.ts";
import { parseTemplate } from "../../rules/templates/template.ts";
import { runUnitTest, type UnitTestFailure } from "../../rules/unit-tests/run-unit-tests.ts";
import { readUnitTestFile, type UnitTest, type UnitTestFile } from "../../rules/unit-tests/unit-test-file.ts";
import { writeTo } from "../answer.ts";
import { exitCode, type Io, UsageError } from "../command.ts";
import { junitText } from "./junit-text.ts";

interface TestOptions {
  /** Only tests with a name that matches one of them. All if there is none. */
  readonly run: readonly string[];
  readonly junit?: string;
}

/** The result of one file. */
export interface FileResult {
  readonly file: string;
  /** Why the tests could not run. */
  readonly errors: readonly string[];
  readonly tests: readonly { readonly test: UnitTest; readonly failures: readonly UnitTestFailure[] }[];
}

/** Resolves to the exit code. */
export async function testRules(files: readonly string[], options: TestOptions, io: Io): Promise<number> {
  if (files.length === 0)
    throw new UsageError("Give a file with unit tests, such as weir rules test my.test.yml.");
  const patterns = options.run.map(compiled);
  const isAsked = ({ name }: UnitTest) =>
    patterns.length === 0 || patterns.some((pattern) => pattern.matcher(name).find());
  const rules = new RuleFiles(io);
  const results: FileResult[] = [];
  for (const file of files) {
    const result = await testFile(file, isAsked, rules, io);
    results.push(result);
    await io.stdout.write(reportOf(result));
  }
  if (options.junit !== undefined) await writeTo(options.junit, junitText(results), io);
  const hasFailed = ({ errors, tests }: FileResult) =>
    errors.length > 0 || tests.some(({ failures }) => failures.length > 0);
  return results.some(hasFailed) ? exitCode.failure : exitCode.ok;
}

function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new UsageError(`--run is ${JSON.stringify(pattern)}: ${(error as Error).message}.`);
  }
}

async function testFile(
  file: string,
  isAsked: (test: UnitTest) => boolean,
  rules: RuleFiles,
  io: Io,
): Promise<FileResult> {
  const text = readText(file, io);
  if (typeof text !== "string") return { file, errors: [text.reason], tests: [] };
  const { file: content, errors } = readUnitTestFile(text);
  const placed = errors.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
  if (placed.length > 0) return { file, errors: placed, tests: [] };
  const loaded = await rules.load(file, content);
  if (loaded.errors.length > 0) return { file, errors: loaded.errors, tests: [] };
  const tests: { test: UnitTest; failures: UnitTestFailure[] }[] = [];
  for (const test of content.tests.filter(isAsked)) {
    tests.push({ test, failures: await runUnitTest(test, loaded.groups, content) });
  }
  return { file, errors: [], tests };
}

function readText(file: string, io: Io): string | { readonly reason: string } {
  try {
    return io.readFile(file) ?? { reason: `${file}: there is no such file` };
  } catch (error) {
    return { reason: `${file}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Rule files, each read once. */
class RuleFiles {
  readonly #io: Io;
  readonly #read = new Map<string, RuleFileContent | { readonly reason: string }>();

  constructor(io: Io) {
    this.#io = io;
  }

  /** The groups of the rule files that a file of tests names. Their paths are relative to it. */
  async load(
    testFile: string,
    { ruleFiles }: UnitTestFile,
  ): Promise<{ readonly groups: RuleGroup[]; readonly errors: string[] }> {
    const groups: RuleGroup[] = [];
    const errors: string[] = [];
    for (const pattern of ruleFiles) {
      const path = isAbsolute(pattern) ? pattern : join(dirname(testFile), pattern);
      const found = this.#io.readFile(path) === undefined ? filesLike(path) : [path];
      if (found.length === 0) {
        await this.#io.stderr.write(
          `weir rules: warning: ${testFile}: no file matches ${JSON.stringify(path)}\n`,
        );
      }
      for (const file of found) {
        const content = this.#content(file);
        if ("reason" in content) errors.push(content.reason);
        else {
          groups.push(...content.groups);
          for (const { line, column, message } of content.errors) {
            errors.push(`${file}:${line}:${column}: ${message}`);
          }
        }
      }
    }
    return { groups, errors };
  }

  #content(file: string): RuleFileContent | { readonly reason: string } {
    return this.#read.getOrInsertComputed(file, () => {
      const text = readText(file, this.#io);
      return typeof text === "string" ? readRuleFile(file, text, { parseTemplate }) : text;
    });
  }
}

function filesLike(pattern: string): string[] {
  return [...new Set(new Bun.Glob(pattern).scanSync({ absolute: pattern.startsWith("/") }))].sort();
}

/** One line for a file that passed; for others each failure with what was expected and found. */
function reportOf({ file, errors, tests }: FileResult): string {
  if (errors.length > 0) return `${file}: not tested\n${errors.map((error) => `  ${error}\n`).join("")}`;
  const failed = tests.filter(({ failures }) => failures.length > 0);
  const counted = `${tests.length} ${tests.length === 1 ? "test" : "tests"}`;
  if (failed.length === 0) return `${file}: ${counted} passed\n`;
  const lines = failed.flatMap(({ test, failures }) =>
    failures.flatMap(({ line, subject, details }) => [
      `  line ${line}${test.name === "" ? "" : `, ${JSON.stringify(test.name)}`}: ${subject}`,
      ...details.map((detail) => `    ${detail.replaceAll("\n", "\n    ")}`),
    ]),
  );
  return `${file}: ${failed.length} of ${counted} failed\n${lines.join("\n")}\n`;
}
