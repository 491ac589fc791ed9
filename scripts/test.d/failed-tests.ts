/**
 * Prints the failed tests of a run again, from the output of the test runner: `failed-tests.ts LOG`. A log that is cut at
 * its beginning, such as one of continuous integration, then still says why they failed.
 *
 * With several processes, the runner prints the results of a file in pieces, each after the name of the file. What a test
 * prints, and its error, stand before its result.
 */

export interface FailedTest {
  readonly file: string;
  /** Its name and result, as the runner prints them. */
  readonly result: string;
  /** What was printed since the result before it in the same file. */
  readonly output: readonly string[];
}

const FILE = /^(\S.*\.test\.tsx?):$/;
const RESULT = /^\((pass|skip|todo|fail)\) /;
/** The runner reports a process that ended, and errors outside of a test, with the name of the file. */
const CRASH = /^✗ (\S.*\.test\.tsx?) \(/;
/** Follows the result that it explains, such as the timeout of a test. */
const EXPLANATION = /^ {2}\^ /;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the runner colours its output with them
const COLOR = /\u001b\[[0-9;]*m/g;

/** An error outside of a test has its text between two rules. */
const OUTSIDE = "# Unhandled error between tests";
const RULE = /^-{20,}$/;

/** The failed tests of a log, in the order of their results. */
export function failedTests(log: string): readonly FailedTest[] {
  const failed: FailedTest[] = [];
  const printed = new Map<string, string[]>();
  let file = "";
  /** The output of the test whose result was the line before. */
  let last: string[] | undefined;
  /** Rules to come of an error outside of a test. */
  let rules = 0;
  for (const line of log.replace(COLOR, "").split("\n")) {
    const named = FILE.exec(line)?.[1] ?? CRASH.exec(line)?.[1];
    if (named !== undefined) {
      file = named;
      last = undefined;
      if (FILE.test(line)) continue;
    }
    const output = printed.getOrInsertComputed(file, () => []);
    const end = (isFailed: boolean, result: string) => {
      if (isFailed) failed.push({ file, result, output });
      printed.delete(file);
      last = output;
    };
    const result = RESULT.exec(line)?.[1];
    if (line === OUTSIDE) rules = 2;
    else if (rules > 0 && RULE.test(line)) {
      if (--rules === 0) end(true, "an error outside of a test");
    } else if (result !== undefined) end(result === "fail", line);
    else if (named !== undefined) end(true, line);
    else if (last !== undefined && EXPLANATION.test(line)) last.push(line);
    else output.push(line);
  }
  return failed;
}

const LINES_MAX = 60;
const TESTS_MAX = 20;
/** A line of a source that was built, or a value, can be long. */
const LINE_LENGTH_MAX = 400;

/** The failed tests as lines. Of a long output the first and the last lines. */
export function failureReport(failed: readonly FailedTest[]): readonly string[] {
  const lines = failed.slice(0, TESTS_MAX).flatMap(({ file, result, output }) => {
    const text = output
      .join("\n")
      .replace(/^\s*\n/, "")
      .trimEnd();
    return [
      `${file}: ${result}`,
      ...capped(text === "" ? [] : text.split("\n")).map((line) => `  ${line}`),
      "",
    ];
  });
  const more = failed.length - TESTS_MAX;
  return more > 0 ? [...lines, `and ${more} more:`, ...failed.slice(TESTS_MAX).map(nameOf)] : lines;
}

const nameOf = ({ file, result }: FailedTest) => `${file}: ${result}`;

function capped(lines: readonly string[]): readonly string[] {
  const short = lines.map((line) =>
    line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)}… (${line.length} characters)` : line,
  );
  if (short.length <= LINES_MAX) return short;
  const half = LINES_MAX / 2;
  return [...short.slice(0, half), `… ${short.length - LINES_MAX} lines …`, ...short.slice(-half)];
}

if (import.meta.main) {
  const failed = failedTests(await Bun.file(process.argv[2]!).text());
  for (const line of failureReport(failed)) console.error(line);
}
