/** Decimal numbers in bytes. The reference is `Number`, for every text that a text protocol accepts as a number. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readDecimal } from "../../src/wire/decimal.ts";
import { runs } from "../runs.ts";

function read(text: string): number {
  const bytes = Buffer.from(`1${text}1`);
  return readDecimal(bytes, 1, bytes.length - 1);
}

describe("readDecimal", () => {
  test("reads the nearest double", () => {
    const cases: [string, number][] = [
      ["0", 0],
      ["-0", -0],
      ["+3", 3],
      ["3.", 3],
      [".5", 0.5],
      ["-.25", -0.25],
      ["0.1", 0.1],
      ["123456789012345", 123456789012345],
      ["0.30000000000000004", 0.30000000000000004],
      ["9007199254740993", 9007199254740992],
      ["1e3", 1000],
      ["1.5E-3", 0.0015],
      ["1e400", Number.POSITIVE_INFINITY],
      ["00012", 12],
      ["0.00000000000001", 1e-14],
    ];
    expect(cases.map(([text]) => [text, read(text)])).toEqual(cases);
  });

  test("is NaN for everything else", () => {
    const texts = [
      "",
      "+",
      "-",
      ".",
      "1.2.3",
      "1e",
      "1-2",
      "--1",
      "0x10",
      "1_000",
      " 1",
      "NaN",
      "inf",
      "Infinity",
      "1,5",
      "e5",
      "1".repeat(401),
    ];
    expect(texts.filter((text) => !Number.isNaN(read(text)))).toEqual([]);
  });

  test("agrees with Number for every double as text", () => {
    const double = fc.double({ noDefaultInfinity: true, noNaN: true });
    fc.assert(
      fc.property(double, (value) => Object.is(read(String(value)), Number(String(value)))),
      runs(500),
    );
    fc.assert(
      fc.property(fc.integer(), fc.nat(12), (value, digits) => {
        const text = (value / 10 ** digits).toFixed(digits);
        return Object.is(read(text), Number(text));
      }),
      runs(500),
    );
  });
});
