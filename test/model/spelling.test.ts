/** The text of numbers, labels and help, with the examples of the specifications. */
import { expect, test } from "bun:test";
import {
  edgeText,
  escapeHelp,
  labelText,
  numberText,
  openMetricsFloat,
  withLabel,
} from "../../src/model/spelling.ts";

test("writes numbers in le and quantile as OpenMetrics floats", () => {
  const spelled = (value: number, want: string) => expect(openMetricsFloat(value)).toBe(want);
  // The examples of the specification, "Considerations: Canonical Numbers".
  for (const same of ["0.001", "0.002", "0.01", "0.1", "0.9", "0.95", "0.99", "0.999", "1.7"]) {
    spelled(Number(same), same);
  }
  spelled(0, "0.0");
  spelled(1, "1.0");
  spelled(10, "10.0");
  spelled(1e-10, "1e-10");
  spelled(1e-9, "1e-09");
  spelled(1e-5, "1e-05");
  spelled(0.0001, "0.0001");
  spelled(100_000, "100000.0");
  spelled(1e6, "1e+06");
  spelled(1e10, "1e+10");
  spelled(Infinity, "+Inf");
  // As Go's shortest %g prints them.
  spelled(250, "250.0");
  spelled(1_048_576, "1.048576e+06");
  spelled(1_073_741_824, "1.073741824e+09");
  spelled(-0.5, "-0.5");
  spelled(1e100, "1e+100");
  spelled(-Infinity, "-Inf");
});

test("normalises edges that were sent as text, and keeps texts that are not numbers", () => {
  const edge = (value: string, want: string) => expect(edgeText(value)).toBe(want);
  edge("1", "1.0");
  edge("0.50", "0.5");
  edge("1000000", "1e+06");
  edge("+Inf", "+Inf");
  edge("Inf", "+Inf");
  edge("-Inf", "-Inf");
  edge("infinity", "+Inf");
  edge("-0", "0.0");
  edge("+1e3", "1000.0");
  edge(".5", "0.5");
  edge("5.", "5.0");
  edge("", "");
  edge("much", "much");
  // Go parses none of these as the number that JavaScript reads.
  edge(" 1", " 1");
  edge("0x10", "0x10");
  edge("0b1", "0b1");
  edge("NaN", "NaN");
  // No double is that large. As +Inf it would be another bucket.
  edge("1e400", "1e400");
});

test("writes values that parse to the same double", () => {
  expect(numberText(0.1 + 0.2)).toBe("0.30000000000000004");
  expect(numberText(1e21)).toBe("1e+21");
  expect(numberText(NaN)).toBe("NaN");
  expect(numberText(-Infinity)).toBe("-Inf");
});

test("sorts labels by their Prometheus names, and escapes them", () => {
  const labels = new Map([
    ["z.b", 'say "hi"'],
    ["path", "C:\\temp\nnext"],
  ]);
  expect(labelText(labels)).toBe('path="C:\\\\temp\\nnext",z_b="say \\"hi\\""');
  expect(labelText(new Map())).toBe("");
});

test("adds an empty instance to a series without one, and keeps an instance", () => {
  expect(labelText(new Map([["job", "a"]]), true)).toBe('instance="",job="a"');
  expect(labelText(new Map([["instance", "w1"]]), true)).toBe('instance="w1"');
  expect(labelText(new Map([["le", "1"]]), true, "le")).toBe('instance=""');
});

test("appends one more label", () => {
  expect(withLabel("", "le", "1.0")).toBe('le="1.0"');
  expect(withLabel('a="b"', "le", "1.0")).toBe('a="b",le="1.0"');
});

test("escapes help, and its quotes only in OpenMetrics", () => {
  expect(escapeHelp('a "b"\n\\c', false)).toBe('a "b"\\n\\\\c');
  expect(escapeHelp('a "b"\n\\c', true)).toBe('a \\"b\\"\\n\\\\c');
});
