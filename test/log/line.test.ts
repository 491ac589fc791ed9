/** A line stays one line that its readers can parse, whatever it contains. */
import { describe, expect, test } from "bun:test";
import { describeFault, formatLine } from "../../src/log/line.ts";
import { parseLogfmt } from "./logfmt.ts";

describe("logfmt", () => {
  const is = (value: string | number | boolean, text: string) =>
    test(JSON.stringify(value), () => {
      const line = formatLine("logfmt", [["key", value]]);
      expect(line).toBe(`key=${text}\n`);
      expect(parseLogfmt(line.trimEnd())).toEqual({ key: String(value) });
    });
  is("plain", "plain");
  is("http://127.0.0.1:9091/a?b", "http://127.0.0.1:9091/a?b");
  is("größer", "größer");
  is(1.5, "1.5");
  is(true, "true");
  is("", '""');
  is("two words", '"two words"');
  is("a=b", '"a=b"');
  is('a"b', '"a\\"b"');
  is("a\\b", '"a\\\\b"');
  is("a\nlevel=error", '"a\\nlevel=error"');
  is("a\u0000\u001b[31m\tb", '"a\\u0000\\u001b[31m\\tb"');
  test("leaves out what is undefined", () => {
    expect(
      formatLine("logfmt", [
        ["a", undefined],
        ["b", 1],
      ]),
    ).toBe("b=1\n");
  });
});

describe("JSON", () => {
  test("keeps types and escapes line breaks", () => {
    const line = formatLine("json", [
      ["text", "a\nb"],
      ["count", 3],
      ["is", false],
      ["none", undefined],
    ]);
    expect(line).toBe('{"text":"a\\nb","count":3,"is":false}\n');
  });
});

test("a long value is cut between characters, and half a character is replaced", () => {
  const cut = `${"x".repeat(3_999)}�…`;
  expect(JSON.parse(formatLine("json", [["long", `${"x".repeat(3_999)}😀`]]))).toEqual({ long: cut });
  expect(JSON.parse(formatLine("json", [["half", "a\ud83d"]]))).toEqual({ half: "a�" });
});

test("a fault has its message and its stack", () => {
  const error = new TypeError("wrong");
  expect(describeFault(error)).toMatch(/^TypeError: wrong\n\s+at /);
  expect(describeFault("text")).toBe("text");
});
