/**
 * Both text formats line by line: what the sink gets of a body, and where the first error is. That a Prometheus accepts
 * and rejects the same bodies is tested beside the scraper.
 */
import { describe, expect, test } from "bun:test";
import { BadInput } from "../../../src/model/errors.ts";
import {
  type LineFormat,
  parseSeries,
  readExpositionLines,
} from "../../../src/wire/exposition-formats/exposition-lines.ts";

/** What the sink gets, one text per call. */
function linesOf(body: string, format: LineFormat): string[] {
  const lines: string[] = [];
  readExpositionLines(body, format, {
    sample: (series, value, ms) => lines.push(`${series} = ${value}${ms === undefined ? "" : ` @${ms}`}`),
    exemplar: (labels, value, ms) =>
      lines.push(`exemplar ${JSON.stringify(labels)} = ${value}${ms === undefined ? "" : ` @${ms}`}`),
    type: (family, type) => lines.push(`type ${family} ${type}`),
    help: (family, help) => lines.push(`help ${family} ${JSON.stringify(help)}`),
    unit: (family, unit) => lines.push(`unit ${family} ${unit}`),
  });
  return lines;
}

function errorOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof BadInput) return error.message;
    throw error;
  }
  return "no error";
}

describe("the text format", () => {
  test.each([
    ["a 1\n", ["a = 1"]],
    ["a 1", ["a = 1"]],
    ['a{x="y"} 1.5e3 1700000000000\n', ['a{x="y"} = 1500 @1700000000000']],
    ["a +Inf\nb -Inf\nc NaN\n", ["a = Infinity", "b = -Infinity", "c = NaN"]],
    [
      '# TYPE a untyped\n# HELP a x \\\\ \\n \\" y\na 1\n',
      ["type a unknown", 'help a "x \\\\ \\n \\\\\\" y"', "a = 1"],
    ],
    // A second TYPE, and one after the samples, are accepted.
    ["# TYPE a gauge\na 1\n# TYPE a counter\n", ["type a gauge", "a = 1", "type a counter"]],
    ["#\n# EOF\n#HELP a\n \n\na 1\n", ["a = 1"]],
    ['a{x="}{,\\"=\n"} 1\n', ['a{x="}{,\\"=\n"} = 1']],
    ["", []],
  ])("%j", (body, want) => {
    expect(linesOf(body, "text")).toEqual(want);
  });

  test.each([
    ["a 1\nb\n", 'line 2: expected a number as the value, got ""'],
    ["a 1\n\n# x\n7 1\n", 'line 4: expected a metric name, got "7 1"'],
    [" a 1\n", 'line 1: expected a metric name, got " a 1"'],
    ["a one\n", 'line 1: expected a number as the value, got "one"'],
    ["a 1e999\n", 'line 1: expected a number as the value, got "1e999"'],
    ["a 1 1.5\n", 'line 1: expected milliseconds as the timestamp, got "1.5"'],
    ["a 1 -1\n", 'line 1: expected milliseconds as the timestamp, got "-1"'],
    ["a 1 1 1\n", 'line 1: expected the end of the line, got "1"'],
    ['a{x="y 1\n', 'line 1: the labels have no end: "{x=\\"y 1"'],
    ['a{x="y"\n', 'line 1: the labels have no end: "{x=\\"y\\""'],
    ["# TYPE a bogus\n", 'line 1: unknown metric type "bogus"'],
    ["# TYPE a toString\n", 'line 1: unknown metric type "toString"'],
    ["# HELP 1a x\n", 'line 1: expected a metric name after HELP, got "1a x"'],
  ])("rejects %j", (body, want) => {
    expect(errorOf(() => linesOf(body, "text"))).toBe(want);
  });
});

describe("OpenMetrics", () => {
  test.each([
    ["a 1\n# EOF\n", ["a = 1"]],
    ["# EOF", []],
    [
      '# TYPE a_s gaugehistogram\n# UNIT a_s s\n# HELP a_s \\"x\\"\n# EOF',
      ["type a_s unknown", "unit a_s s", 'help a_s "\\"x\\""'],
    ],
    [
      'a_total{x="y"} 1 1.0015 # {t="u",v=""} 2 3\n# EOF\n',
      ['a_total{x="y"} = 1 @1001', 'exemplar [["t","u"],["v",""]] = 2 @3000'],
    ],
    ["a_bucket 1 # {} 2\n# EOF\n", ["a_bucket = 1", "exemplar [] = 2"]],
    ["a 1 -1.5\n# EOF\n", ["a = 1 @-1500"]],
  ])("%j", (body, want) => {
    expect(linesOf(body, "openmetrics")).toEqual(want);
  });

  test.each([
    ["", "line 1: the body does not end with # EOF"],
    ["a 1\n", "line 2: the body does not end with # EOF"],
    ["a 1", "line 1: expected the end of the line, got the end of the body"],
    ["# EOF\n\n", "line 1: unexpected text after # EOF"],
    ["a 1\n\n# EOF\n", 'line 2: expected a metric name, got ""'],
    ["a  1\n# EOF\n", 'line 1: expected a number as the value, got ""'],
    ["a 1 \n# EOF\n", 'line 1: expected seconds as the timestamp, got ""'],
    ["a 1 NaN\n# EOF\n", 'line 1: expected seconds as the timestamp, got "NaN"'],
    ["# TYPE a untyped\n# EOF\n", 'line 1: unknown metric type "untyped"'],
    ["# comment\n# EOF\n", 'line 1: expected # HELP, # TYPE, # UNIT or # EOF, got "# comment"'],
    ["# UNIT a s\n# EOF\n", 'line 1: unit "s" is not the end of the name "a"'],
    ['a 1 # {t="u"} 2\n# EOF\n', 'line 1: metric "a" cannot have an exemplar'],
    ['a_total 1 # {t="u"}\n# EOF\n', 'line 1: expected a space, got ""'],
    ["a_total 1 # {t} 2\n# EOF\n", 'line 1: expected = after a label name in "{t}", got "}"'],
  ])("rejects %j", (body, want) => {
    expect(errorOf(() => linesOf(body, "openmetrics"))).toBe(want);
  });
});

describe("a series", () => {
  test.each([
    ["a", "a", []],
    ["a{}", "a", []],
    [
      'a:b{x="1",_y="2"}',
      "a:b",
      [
        ["x", "1"],
        ["_y", "2"],
      ],
    ],
    ['a{x="\\\\ \\n \\" \\t"}', "a", [["x", '\\ \n " \\t']]],
    ['a{x=""}', "a", [["x", ""]]],
    [
      'a{x="1",x="2"}',
      "a",
      [
        ["x", "1"],
        ["x", "2"],
      ],
    ],
  ] as [string, string, [string, string][]][])("%s is the same in both formats", (series, metric, labels) => {
    for (const format of ["text", "openmetrics"] as const)
      expect(parseSeries(series, format)).toEqual({ metric, labels });
  });

  test.each([
    ['a { x = "1" y="2",, }', 'expected a label name in "{ x = \\"1\\" y=\\"2\\",, }", got ", }"'],
    ['a{x="1"y="2"}', "no error"],
    ['a{x="1",}', "no error"],
    ["a{x}", 'expected = after a label name in "{x}", got "}"'],
    ["a{x=1}", 'expected a label value in double quotes in "{x=1}", got "1}"'],
    ['a{1="x"}', 'expected a label name in "{1=\\"x\\"}", got "1=\\"x\\"}"'],
  ])("%s as text: %s", (series, want) => {
    expect(errorOf(() => parseSeries(series, "text"))).toBe(want);
  });

  test.each([
    ['a{x="1"y="2"}', 'expected , or } in "{x=\\"1\\"y=\\"2\\"}", got "y=\\"2\\"}"'],
    ['a{x="1",}', 'expected , or } in "{x=\\"1\\",}", got ",}"'],
    ['a{ x="1"}', 'expected a label name in "{ x=\\"1\\"}", got " x=\\"1\\"}"'],
    ['a{x="1\n"}', 'expected the end of a label value in "{x=\\"1\\n\\"}", got "\\"}"'],
  ])("%j in OpenMetrics: %s", (series, want) => {
    expect(errorOf(() => parseSeries(series, "openmetrics"))).toBe(want);
  });
});
