/** Results of unit tests as the XML that JUnit made common, for build servers. Pure. */
import type { FileResult } from "./test-rules.ts";

/** One suite for each file. A file that cannot be used is a suite with one failed test. */
export function junitText(results: readonly FileResult[]): string {
  const suites = results.map(({ file, errors, tests }) => {
    const cases = errors.length > 0 ? [testCase(file, [errors.join("\n")])] : [];
    for (const { test, failures } of tests) {
      const texts = failures.map(
        ({ line, subject, details }) => `line ${line}: ${subject}\n${details.join("\n")}`,
      );
      cases.push(testCase(test.name === "" ? `line ${test.line}` : test.name, texts));
    }
    const failed = errors.length > 0 ? 1 : tests.filter(({ failures }) => failures.length > 0).length;
    return `<testsuite name="${escaped(file)}" tests="${cases.length}" failures="${failed}">\n${cases.join("")}</testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function testCase(name: string, failures: readonly string[]): string {
  const inner = failures.map((text) => `<failure>${escaped(text)}</failure>`).join("");
  return `<testcase name="${escaped(name)}">${inner}</testcase>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  // XML 1.0 has no other control characters.
  return text
    .replace(/[&<>"]/g, (character) => ENTITIES[character])
    .replace(/(?![\t\n\r])\p{Cc}/gu, "\ufffd");
}
