/**
 * The parser beside a real Prometheus (2.42, Debian's package `prometheus`): which texts are PromQL, and what the
 * error says and where. Skipped where it is not installed. What Prometheus 3 reads otherwise is left out, and
 * tested by the scripts in test/promql.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ParseError } from "../../../src/query/promql/errors.ts";
import { parse } from "../../../src/query/promql/parse/parse.ts";
import { isInstalled, type Prometheus, startPrometheus } from "./compare/prometheus.ts";

setDefaultTimeout(120_000);

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

/** Words and marks in any order, mostly with blanks between. */
const texts = fc
  .array(fc.tuple(fc.constantFrom(...PIECES), fc.constantFrom(" ", " ", " ", "")), {
    minLength: 1,
    maxLength: 7,
  })
  .map((pieces) => pieces.flat().join(""));

/** What Prometheus 2 cannot do, or says in other words, than Prometheus 3. */
const CHANGED = [
  // Numbers: one with two dots was two, and one without an exponent's digits was left to the parser.
  /unexpected number "\.5/,
  /parsing "[^"]*": invalid syntax/,
  /unexpected character: '\.'/,
  // Durations may stand for numbers.
  /unexpected duration/,
  // Arithmetic may follow `offset`.
  /unexpected "[(+]" in offset/,
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

describe.if(isInstalled)("Prometheus's parser", () => {
  let prometheus: Prometheus;
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

  test("1,500 texts are read, or refused with the same words at the same place", async () => {
    let refused = 0;
    const differences: { text: string; theirs: string; ours: string }[] = [];
    for (const text of fc.sample(texts, { seed: 20_240_101, numRuns: 1_500 })) {
      const want = await theirs(text);
      if (want !== "fine") refused++;
      const ours = verdict(text);
      const isChanged = CHANGED.some((each) => each.test(want));
      if (ours !== want && !isChanged) differences.push({ text, theirs: want, ours });
    }
    expect(differences).toEqual([]);
    expect(refused).toBeGreaterThan(500);
    expect(refused).toBeLessThan(1_400);
  });
});
