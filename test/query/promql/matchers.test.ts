/** Expressions that need no regular expression engine have the same answers as with one. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { compileAnchored, deferredMatcher, matcher } from "../../../src/query/promql/matchers.ts";
import { runs } from "../../runs.ts";

const part = fc.constantFrom(
  "a",
  "b",
  "ab",
  ".*",
  ".+",
  "\\.",
  "\\|",
  "\\\\",
  "|",
  "\n",
  "é",
  "-",
  "[ab]",
  "",
  "a?",
);
const expression = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(""));
const text = fc
  .array(fc.constantFrom("a", "b", ".", "|", "\\", "\n", "é", "-", "😀"), { maxLength: 6 })
  .map((characters) => characters.join(""));

test("a text matches an expression with and without the engine, on this thread and on another", async () => {
  await fc.assert(
    fc.asyncProperty(
      expression,
      fc.array(text, { maxLength: 8 }),
      fc.boolean(),
      async (value, texts, wanted) => {
        const compiled = compileAnchored(value);
        const want = texts.map((each) => compiled.test(each) === wanted);
        const operator = wanted ? "=~" : "!~";
        const here = matcher("x", operator, value);
        expect(texts.map((each) => here.matches(each))).toEqual(want);
        const there = deferredMatcher("x", operator, value, async (asked, some) => {
          expect(asked).toBe(value);
          return Uint8Array.from(some, (each) => Number(compiled.test(each)));
        });
        there.deferred?.collect();
        for (const each of texts) there.matches(each);
        await there.deferred?.settle();
        expect(texts.map((each) => there.matches(each))).toEqual(want);
      },
    ),
    runs(2_000),
  );
});

test("each .+ takes a character of its own, outside the basic plane too", () => {
  const test = matcher("x", "=~", ".+.+").matches;
  const texts = ["", "a", "😀", "ab", "a😀", "😀😀", "abc"];
  expect(texts.filter(test)).toEqual(["ab", "a😀", "😀😀", "abc"]);
});

test("the expressions of dashboards are tested without another thread", () => {
  const never = () => Promise.reject(new Error("asked"));
  for (const value of [".*", ".+", "", "a|b", "10\\.0\\.0\\.1:9100|web.*", ".*node.*", "node-[0-9]"]) {
    const { deferred } = deferredMatcher("x", "=~", value, never);
    expect([value, deferred !== undefined]).toEqual([value, value.includes("[")]);
  }
});
