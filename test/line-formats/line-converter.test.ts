/** Arbitrary lines in each format: each is an event or is rejected, and events are valid JSON. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type LineFormatOptions, readLineFormat } from "../../src/line-formats/line-format.ts";
import { atOnce } from "../../src/model/tasks/time-slices.ts";
import { runs } from "../runs.ts";

const FORMATS: readonly LineFormatOptions[] = [
  { map: ["value=v,metric=m,type=t"] },
  { map: ["value:=1,metric:=lines"] },
  { format: "logfmt", map: ["value=v,value=w:x"] },
  { format: "csv", map: ["value=v,timestamp=t:utc"], header: "v,t [s],k" },
  { format: "influx" },
  { format: "influx", map: ["value=v,tags=a"], precision: "s" },
];

const PARTS = [
  "v",
  "=",
  '"',
  "\\",
  " ",
  ",",
  "1",
  "2.5",
  "ms",
  "t",
  "{",
  "}",
  ":",
  "\ufeff",
  "é",
  "\t",
  "#",
  "[",
  "]",
  "x",
];
const line = fc.oneof(
  fc.array(fc.constantFrom(...PARTS), { maxLength: 30 }).map((parts) => parts.join("")),
  fc
    .object({ key: fc.constantFrom("v", "w", "m", "t", "a.b", "__proto__"), maxDepth: 3 })
    .map((each) => JSON.stringify(each)),
  fc.string().map((text) => text.replaceAll("\n", " ")),
);

test("no line throws, and each event names its line", () => {
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), fc.array(line, { maxLength: 6 }), (options, lines) => {
      const bytes = Buffer.from(lines.join("\n"));
      const { body, lineOf, rejected } = atOnce(readLineFormat(options)!.converter("").converting(bytes));
      const text = Buffer.from(body).toString();
      const events = text === "" ? [] : text.split("\n");
      expect(events).toHaveLength(lineOf.length);
      for (const event of events) {
        const { metric_name, value } = JSON.parse(event) as Record<string, unknown>;
        expect([typeof metric_name, value === undefined]).toEqual(["string", false]);
      }
      expect(lineOf.toSorted((a, b) => a - b)).toEqual([...lineOf]);
      const isRejected = new Set(rejected.map(({ index }) => index));
      expect(lineOf.filter((index) => isRejected.has(index))).toEqual([]);
    }),
    runs(2_000),
  );
});

test("a line over the limit of one body is an error that names it, so that fewer lines are converted", () => {
  const format = readLineFormat({ map: Array.from({ length: 1_000 }, (_, n) => `value=v${n}`) })!;
  const values = Array.from({ length: 1_000 }, (_, n) => [`v${n}`, n]);
  const long = JSON.stringify({ ...Object.fromEntries(values), note: "x".repeat(100_000) });
  expect(() => atOnce(format.converter("").converting(Buffer.from(long)))).toThrow(
    "1000 events have more than 67108864 characters",
  );
});
