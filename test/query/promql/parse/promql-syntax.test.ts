/**
 * The parser compared with a real Prometheus (2.42, Debian's package `prometheus`): which texts are PromQL, and the
 * text and position of errors. Skipped if it is not installed. Texts that Prometheus 3 reads differently are left out,
 * and tested by the scripts in test/promql.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parse } from "../../../../src/query/promql/parse/parse.ts";
import { ParseError } from "../../../../src/query/promql/query-errors.ts";
import { canRun, type RealServer, startPrometheus } from "../../../real-servers.ts";
import { runs } from "../../../runs.ts";

const PIECES = [
  ...[
    "a",
    "b",
    "x:y",
    "sum",
    "topk",
    "rate(",
    "(",
    ")",
    "(",
    ")",
    ",",
    "[5m]",
    "[5m:1m]",
    '{x="y"}',
    "{x}",
    "{",
  ],
  ...[
    "by",
    "without",
    "by (x)",
    "on",
    "on (x)",
    "ignoring",
    "group_left",
    "bool",
    "offset",
    "offset 5m",
    "@",
    "@ 5",
  ],
  ...["and", "or", "unless", "atan2", "+", "-", "*", "^", "==", "<", "=", "=~", "!"],
  ...[
    "1",
    "0x1f",
    "017",
    "08",
    ".5",
    "5.",
    "1e5",
    "1e",
    "inf",
    "NaN",
    '"s"',
    "'\\''",
    "`\\n`",
    '"\\q"',
    '"',
    "# c\n",
    "é",
  ],
];

/**
 * Words and marks in any order, mostly with blanks between. A number is followed by a blank: the versions read numbers
 * such as 1e5.5 in different parts.
 */
const texts = fc
  .array(fc.tuple(fc.constantFrom(...PIECES), fc.constantFrom(" ", " ", " ", "")), {
    minLength: 1,
    maxLength: 7,
  })
  .map((pieces) => pieces.map(([piece, blank]) => piece + (/^[.\d]/.test(piece) ? " " : blank)).join(""));

/** What Prometheus 2 cannot parse, or reports in other words than Prometheus 3. */
const CHANGED = [
  // Numbers: one with two dots was read as two, and one without digits in its exponent was left to the parser.
  /unexpected number "(\.5|[^"]*[.e]")/,
  /parsing "[^"]*": invalid syntax/,
  /unexpected character: '\.'/,
  // Durations can be used as numbers.
  /unexpected duration/,
  // Arithmetic and numbers can follow `offset`.
  /unexpected "[(+]" in offset/,
  /unexpected <op:[-+]> in offset/,
  /unexpected number "[^"]*" in offset/,
  // Any text can be a label.
  /metric identifier "[^"]*" in grouping opts/,
  // Strings in braces can be names.
  /unexpected string .* in label matching/,
];

function verdict(text: string): string {
  try {
    parse(text);
    return "fine";
  } catch (error) {
    if (error instanceof ParseError) return error.message;
    throw error;
  }
}

describe.if(canRun("prometheus"))("Prometheus's parser", () => {
  let prometheus: RealServer;
  beforeAll(async () => {
    prometheus = await startPrometheus();
  });
  afterAll(() => prometheus.stop());

  async function theirs(query: string): Promise<string> {
    const response = await fetch(
      `${prometheus.url}/api/v1/query?${new URLSearchParams({ query, time: "0" })}`,
    );
    const { errorType, error } = (await response.json()) as { errorType?: string; error?: string };
    if (errorType !== "bad_data") return "fine";
    return error!
      .replace('invalid parameter "query": ', "")
      .replace(/"<Item \d+>" /, "")
      .replace("in offset, expected duration", "in offset, expected number, duration, step(), or range()");
  }

  test("random texts are accepted, or rejected with the same words at the same position", async () => {
    const all = fc.sample(texts, runs(1_500));
    let refused = 0;
    const differences: { text: string; theirs: string; ours: string }[] = [];
    for (const text of all) {
      const want = await theirs(text);
      if (want !== "fine") refused++;
      const ours = verdict(text);
      const isChanged = CHANGED.some((each) => each.test(want));
      if (ours !== want && !isChanged) differences.push({ text, theirs: want, ours });
    }
    expect(differences).toEqual([]);
    expect(refused / all.length).toBeGreaterThan(0.3);
    expect(refused / all.length).toBeLessThan(0.95);
  });
});
