/**
 * Fingerprints of a file's beginning: equal for any division of the bytes, with marks that show what two files share.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fingerprint, sharedLines } from "../../src/line-files/fingerprint.ts";
import { runs } from "../runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const of = (...pieces: readonly string[]): Fingerprint => {
  const fingerprint = new Fingerprint();
  for (const piece of pieces) fingerprint.pass(bytes(piece));
  return fingerprint;
};
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => `{"n":${from + index}}\n`).join("");

describe("a fingerprint", () => {
  test("is SHA-256 of all bytes, with a mark of it after each line", () => {
    // printf 'a\n' | sha256sum; printf 'a\nb\n' | sha256sum
    const first = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7";
    expect(of("a\n").hash).toBe(first);
    expect(of("a\nb\n").marks).toBe("87428fc5" + "911169dd");
  });

  test("is the same however the bytes are divided", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 5 }), { maxLength: 60 }),
        fc.array(fc.nat(9), { maxLength: 60 }),
        (texts, lengths) => {
          const all = texts.join("\n");
          const pieces: string[] = [];
          let at = 0;
          for (const length of [...lengths, all.length]) {
            pieces.push(all.slice(at, at + length));
            at += length;
          }
          const [one, many] = [of(all), of(...pieces)];
          expect([many.hash, many.marks, many.lines, many.bytes]).toEqual([
            one.hash,
            one.marks,
            one.lines,
            one.bytes,
          ]);
        },
      ),
      runs(),
    );
  });

  test("counts only lines of text, and an incomplete line once it has ended", () => {
    expect(of("\n \n\ta\n\n\nb").lines).toBe(1);
    expect(of("\n \n\ta\n\n\nb").ended().lines).toBe(2);
    expect(of("a\nb").ended().marks).toBe(of("a\nb\n").marks);
  });

  test("finds the first line with a time, in each spelling", () => {
    const dated = of('{"a":1}\n{"b":1}\n{"@timestamp":1}\n{"timestamp":2}\n');
    expect([1, 2, 3, 4].map((count) => dated.isDated(count))).toEqual([false, false, true, true]);
    expect(of('{"timestamp":1').isDated(1)).toBe(true);
    expect(of('{"a":"timestamp"}\n').isDated()).toBe(true);
    expect(of(lines(0, 50)).isDated()).toBe(false);
  });
});

describe("marks", () => {
  test("follow each of the first 32 lines and then grow a quarter apart: a hundred for millions of lines", () => {
    expect(of(lines(0, 32)).marks).toHaveLength(32 * 8);
    expect(of(lines(0, 39)).marks).toHaveLength(32 * 8);
    expect(of(lines(0, 40)).marks).toHaveLength(33 * 8);
    expect(of(lines(0, 50)).marks).toHaveLength(34 * 8);
    // 40, 50, 62, 77, 96, … 90,000: 32 marks and 35 more.
    expect(of(lines(0, 100_000)).marks.length / 8).toBeLessThan(70);
  });

  test("show how many lines two files share", () => {
    const whole = of(lines(0, 1_000)).marks;
    for (const [shared, least] of [
      [0, 0],
      [1, 1],
      [31, 31],
      [39, 32],
      [40, 40],
      [999, 935],
    ] as const) {
      const other = of(lines(0, shared) + lines(5_000, 6_000)).marks;
      expect([shared, sharedLines(whole, other) <= shared]).toEqual([shared, true]);
      if (shared < 100) expect(sharedLines(whole, other)).toBe(least);
      else expect(sharedLines(whole, other)).toBeGreaterThan(shared * 0.75);
    }
    expect(sharedLines("", whole)).toBe(0);
  });
});
