/** JSON as bytes: numbers and texts beside the texts that the language itself writes for them. */
import { expect, test } from "bun:test";
import { formatFloat } from "../../../../src/query/promql/promql-text.ts";
import { JsonBytes } from "../../../../src/query/promql/worker/json-bytes.ts";

function written(write: (out: JsonBytes) => void): string {
  const out = new JsonBytes();
  write(out);
  return new TextDecoder().decode(out.take());
}

/** Numbers of all sizes from a fixed seed. */
function* numbers(count: number): Generator<number> {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const bits = new DataView(new ArrayBuffer(8));
  for (let at = 0; at < count; at++) {
    const digits = Math.floor(random() * 12);
    const size = 10 ** Math.floor(random() * 12);
    yield Math.round(random() * size * 10 ** digits) / 10 ** digits;
    yield -Number((random() * size).toFixed(digits));
    yield Math.floor(random() * 2 ** 53);
    yield random() * size;
    bits.setUint32(0, random() * 2 ** 32);
    bits.setUint32(4, random() * 2 ** 32);
    yield bits.getFloat64(0);
  }
}

test("writes every number as its shortest decimal", () => {
  const edges = [
    0,
    -0,
    1,
    -1,
    9,
    10,
    99,
    100,
    0.1,
    0.5,
    -0.25,
    1e-6,
    1e-7,
    9.5e-7,
    0.000001,
    0.0000015,
    999_999_999.999999,
    999_999_999.9999999,
    1e9,
    1e9 + 0.5,
    1e15,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    2 ** 53 + 2,
    1e21,
    1e20,
    123_456_789_012,
    1_000_000_000,
    1_000_000_001,
    9_007_199_254_740_989,
    5e-324,
    Number.MAX_VALUE,
    0.1 + 0.2,
    1.005,
    4.35,
    1.0000005,
    0.30000000000000004,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  const all = [...edges, ...edges.map((each) => -each), ...numbers(20_000)];
  const text = written((out) => {
    for (const number of all) {
      out.number(number);
      out.text("\n");
    }
  });
  expect(text.split("\n").slice(0, -1)).toEqual(all.map(formatFloat));
});

test("quotes texts as JSON does", () => {
  const all = [
    "",
    "plain",
    'a "quoted" one',
    "back\\slash",
    "line\nbreak\ttab\u0001",
    "é",
    "日本",
    "𝛑",
    "\udc80 alone",
    "\u007f\u2028",
    "x".repeat(1_000),
    `${"x".repeat(300)}é`,
  ];
  for (const each of all)
    expect(written((out) => out.quoted(each))).toBe(JSON.stringify(each).toWellFormed());
});

test("keeps what was written when its room grows, and gives each piece a buffer of its own", () => {
  const out = new JsonBytes();
  out.text("[");
  for (let at = 0; at < 40_000; at++) {
    out.raw(new Uint8Array([48 + (at % 10)]));
    out.number(at + 0.5);
    out.text(",");
  }
  expect(out.isPiece).toBeTrue();
  const first = out.take();
  out.text("second");
  const second = out.take();
  expect(first.buffer).not.toBe(second.buffer);
  const expected = Array.from({ length: 40_000 }, (_, at) => `${at % 10}${at}.5,`).join("");
  expect(new TextDecoder().decode(first)).toBe(`[${expected}`);
  expect(new TextDecoder().decode(second)).toBe("second");
});
