/**
 * Prints the failed tests of a run: `failed-tests.ts REPORT LOG`. A log that is cut at its beginning, such as one of
 * continuous integration, then still says why they failed.
 *
 * They come from the runner's report (JUnit's XML). In its output, the error of a test can stand after the result, and
 * under the name of another file. Only errors outside of a test are from there: the report omits them.
 */

export interface FailedTest {
  /** The file and the name. An error outside of a test has neither. */
  readonly title: string;
  /** The message with the values, and the stack. */
  readonly text: string;
}

const TEST = /<testcase ([^>]*[^/])>\s*<failure ([^>]*?)(?:\/>|>([^<]*)<)/g;
const ATTRIBUTE = /(\w+)="([^"]*)"/g;

/** The failed tests of a report, in its order. */
export function failedTests(report: string): readonly FailedTest[] {
  return [...report.matchAll(TEST)].map(([, test = "", failure = "", text = ""]) => {
    const { name = "", classname = "", file = "", line } = attributesOf(test);
    const { type = "", message = "" } = attributesOf(failure);
    return {
      title: `${line === undefined ? file : `${file}:${line}`}: ${classname ? `${classname} > ` : ""}${name}`,
      text: text.trim() === "" ? `${type}: ${message}` : decoded(text),
    };
  });
}

/** An error outside of a test stands between two rules. */
const OUTSIDE = /^# Unhandled error between tests\n-+\n([\s\S]*?)^-{20,}$/gm;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the runner colours its output with them
const COLOR = /\u001b\[[0-9;]*m/g;

/** The errors outside of tests, from the runner's output. */
export function otherErrors(log: string): readonly FailedTest[] {
  return [...log.replace(COLOR, "").matchAll(OUTSIDE)].map(([, text = ""]) => ({
    title: "an error outside of a test",
    text,
  }));
}

function attributesOf(text: string): Partial<Record<string, string>> {
  return Object.fromEntries([...text.matchAll(ATTRIBUTE)].map(([, name, value]) => [name!, decoded(value!)]));
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function decoded(text: string): string {
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name?: string) =>
    code === undefined ? (ENTITIES[name!] ?? whole) : String.fromCodePoint(Number(code)),
  );
}

const TESTS_MAX = 20;
const LINES_MAX = 60;
const LINE_LENGTH_MAX = 400;

/** The failed tests as lines. Of a long text the first and the last lines. */
export function failureLines(failed: readonly FailedTest[]): readonly string[] {
  const lines = failed.slice(0, TESTS_MAX).flatMap(({ title, text }) => {
    const body = capped(
      text
        .replace(/^\s*\n/, "")
        .trimEnd()
        .split("\n"),
    );
    return [title, ...body.map((line) => `  ${line}`.trimEnd()), ""];
  });
  const rest = failed.slice(TESTS_MAX);
  return rest.length > 0 ? [...lines, `and ${rest.length} more:`, ...rest.map(({ title }) => title)] : lines;
}

function capped(lines: readonly string[]): readonly string[] {
  const short = lines.map((line) =>
    line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)}… (${line.length} characters)` : line,
  );
  if (short.length <= LINES_MAX) return short;
  const half = LINES_MAX / 2;
  return [...short.slice(0, half), `… ${short.length - LINES_MAX} lines …`, ...short.slice(-half)];
}

if (import.meta.main) {
  const read = (path: string) => Bun.file(path).text();
  const [report = "", log = ""] = process.argv.slice(2);
  for (const line of failureLines([...failedTests(await read(report)), ...otherErrors(await read(log))]))
    console.error(line);
}
