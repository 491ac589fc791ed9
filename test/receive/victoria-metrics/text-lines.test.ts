/** Lines of the Prometheus text format as VictoriaMetrics imports them: one line per case. */
import { describe, expect, test } from "bun:test";
import { TextLinesDecoder } from "../../../src/receive/victoria-metrics/text-lines.ts";
import { rejectionsOf, samplesOf } from "./decoded-samples.ts";

const decode = (text: string) => new TextLinesDecoder().decode(Buffer.from(text), 0);

describe("lines of the text format", () => {
  const ok = (text: string, ...want: string[]) =>
    test(JSON.stringify(text), () => {
      const batches = decode(text);
      expect(rejectionsOf(batches)).toEqual([]);
      expect(samplesOf(batches)).toEqual(want);
    });
  const bad = (text: string, want: string) =>
    test(JSON.stringify(text), () => {
      const batches = decode(text);
      expect(samplesOf(batches)).toEqual([]);
      expect(rejectionsOf(batches)).toEqual([`1 ${want}`]);
    });

  describe("are decoded", () => {
    ok("a 1", "a 1");
    ok("a 1\nb 2\n", "a 1", "b 2");
    ok('a{x="1"} 5\r\n', 'a{x="1"} 5');
    ok('a{x="1"}5', 'a{x="1"} 5');
    ok(' \ta { x = "1" , y="2", } \t7 ', 'a{x="1",y="2"} 7');
    ok("a{} 1", "a 1");
    ok("\n# a comment\n#TYPE\n#\na 1", "a 1");
    ok('a{x="\\n\\\\\\"\\t}"} 1', 'a{x="\\n\\\\\\"\\\\t}"} 1');
    ok('a{x="1",x="2"} 1', 'a{x="2"} 1');
    ok("foo-bar.baz 1", "foo-bar.baz 1");
    // Names in quotation marks, as Prometheus 3 writes them.
    ok('{"http.requests","service.name"="x",a="1"} 1', 'http.requests{a="1",service.name="x"} 1');
    ok('{__name__="a",x="1"} 1', 'a{x="1"} 1');
    // Values.
    ok(
      "a NaN\na +Inf\na -Inf\na -0\na 1e3\na nan\na inf",
      "a NaN",
      "a Infinity",
      "a -Infinity",
      "a -0",
      "a 1000",
      "a NaN",
      "a Infinity",
    );
    // Times: milliseconds, and seconds of OpenMetrics.
    ok("a 1 1704067200123", "a 1 @1704067200123");
    ok("a 1 1704067200.123\na 1 1704067200", "a 1 @1704067200123", "a 1 @1704067200000");
    ok("a 1 -5000000000", "a 1 @-5000000000");
    // Exemplars are not stored.
    ok(
      'a_total 1 # {trace_id="x"} 2\na_total 1 1704067200123 # {trace_id="x"} 2',
      "a_total 1",
      "a_total 1 @1704067200123",
    );
    ok("a 1\n# EOF\n", "a 1");
  });

  describe("are rejected", () => {
    bad('a{x="1" 5', "syntax: its labels have no closing brace");
    bad('a{x="1} 5', "syntax: its labels have no closing brace");
    bad("a", "value: its value is missing, expected a number that a 64-bit float can hold");
    bad('a{x="1"}', "value: its value is missing, expected a number that a 64-bit float can hold");
    bad("a x", 'value: its value is "x", expected a number that a 64-bit float can hold');
    bad("a 1e400", 'value: its value is "1e400", expected a number that a 64-bit float can hold');
    bad(
      "a 1 x",
      'timestamp: its time is "x", expected milliseconds since 1970, or seconds as in OpenMetrics',
    );
    bad("a 1 2 x", 'syntax: it has "x" after its time');
    bad("a{x} 1", 'syntax: its label "x" has no value');
    bad("a{x=1} 1", 'syntax: it has "x=1" where a label was expected');
    bad('a{="1"} 1', 'syntax: it has "=\\"1\\"" where a label was expected');
    bad('a{""="1"} 1', "labels: a label has an empty name");
    bad('{x="1"} 5', "name: the series has no name (__name__)");
  });

  test("a TYPE says what its samples are, also those of the parts of a histogram and of later bodies", () => {
    const decoder = new TextLinesDecoder();
    const kinds = (text: string) =>
      decoder
        .decode(Buffer.from(text), 0)
        .flatMap(({ heads }) =>
          heads.map(({ metric, kind, type, help }) => `${metric} ${kind} ${type} ${help ?? ""}`),
        );
    expect(kinds("g 1\nh_bucket 1")).toEqual(["g cumulative unknown ", "h_bucket cumulative unknown "]);
    expect(
      kinds(
        "# HELP g A level, \\\\ \\n.\n# TYPE g gauge\n# TYPE h histogram\n# TYPE c counter\ng 1\nh_bucket 1\nh_sum 1\nc 1",
      ),
    ).toEqual([
      "g gauge gauge A level, \\ \n.",
      "h_bucket cumulative histogram ",
      "h_sum cumulative histogram ",
      "c cumulative counter ",
    ]);
    expect(kinds("g 1")).toEqual(["g gauge gauge A level, \\ \n."]);
  });

  test("an exemplar is counted", () => {
    const decoder = new TextLinesDecoder();
    decoder.decode(Buffer.from('a_total 1 # {x="1"} 2\nb 1\n'), 0);
    expect(decoder.exemplarsDropped).toBe(1);
  });

  test("samples without a time get that of the request", () => {
    const batches = new TextLinesDecoder().decode(Buffer.from("a 1\na 2 1704067200123"), 0, undefined, {
      defaultUs: 5_000,
    });
    expect(samplesOf(batches)).toEqual(["a 1 @5", "a 2 @1704067200123"]);
  });

  test("a name that is not UTF-8 is rejected", () => {
    const batches = new TextLinesDecoder().decode(Buffer.from([0x61, 0xff, 0x20, 0x31]), 0);
    expect(rejectionsOf(batches)).toEqual(["1 labels: its series is not valid UTF-8"]);
  });
});
