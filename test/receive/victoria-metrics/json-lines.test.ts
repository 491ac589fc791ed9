/** JSON lines as VictoriaMetrics imports them: one line per case. */
import { describe, expect, test } from "bun:test";
import { JsonLinesDecoder } from "../../../src/receive/victoria-metrics/json-lines.ts";
import { rejectionsOf, samplesOf } from "./decoded-samples.ts";

const decoder = new JsonLinesDecoder();
const decode = (text: string, overridden?: ReadonlySet<string>) =>
  decoder.decode(Buffer.from(text), 0, overridden);

describe("JSON lines of VictoriaMetrics", () => {
  const ok = (line: string, ...want: string[]) =>
    test(line, () => {
      const batches = decode(line);
      expect(rejectionsOf(batches)).toEqual([]);
      expect(samplesOf(batches)).toEqual(want);
    });
  const bad = (line: string, want: string) =>
    test(line, () => {
      const batches = decode(line);
      expect(samplesOf(batches)).toEqual([]);
      expect(rejectionsOf(batches)).toEqual([`1 ${want}`]);
    });
  const values = (list: string) =>
    `{"metric":{"__name__":"a"},"values":[${list}],"timestamps":[${list
      .split(",")
      .map((_, index) => index + 1)
      .join()}]}`;

  describe("are decoded", () => {
    ok(
      '{"metric":{"__name__":"up","job":"node","instance":"h:1"},"values":[0,1.5],"timestamps":[1704067200000,1704067215000]}',
      'up{instance="h:1",job="node"} 0 @1704067200000',
      'up{instance="h:1",job="node"} 1.5 @1704067215000',
    );
    // Any order, white space, other keys, the end of a line of Windows.
    ok('{"timestamps":[1],"x":{"a":["}"]},"values":[2],"metric":{"__name__":"a"}}', "a 2 @1");
    ok(
      ' { "metric" : { "__name__" : "a" } , "values" : [ 1 , 2 ] , "timestamps" : [ 3 , 4 ] } \r',
      "a 1 @3",
      "a 2 @4",
    );
    ok("", ...[]);
    ok("\n\r\n  \n", ...[]);
    // Numbers.
    ok(values("-0,-0.0,1e3,-2.5E-3"), "a -0 @1", "a -0 @2", "a 1000 @3", "a -0.0025 @4");
    ok(
      values("0.1,5e-324,1.7976931348623157e308"),
      "a 0.1 @1",
      "a 5e-324 @2",
      "a 1.7976931348623157e+308 @3",
    );
    ok(
      values("0.30000000000000004,123456789012345678"),
      "a 0.30000000000000004 @1",
      "a 123456789012345680 @2",
    );
    // What JSON has no numbers for, as VictoriaMetrics writes it since 1.82, and before.
    ok(values('null,1,"null"'), "a stale @1", "a 1 @2", "a stale @3");
    ok(values('"Infinity","-Infinity","NaN"'), "a Infinity @1", "a -Infinity @2", "a NaN @3");
    ok(
      values("+Inf,-Inf,NaN,inf,nan"),
      "a Infinity @1",
      "a -Infinity @2",
      "a NaN @3",
      "a Infinity @4",
      "a NaN @5",
    );
    ok('{"metric":{"__name__":"a"},"values":[1],"timestamps":[-1]}', "a 1 @-1");
    // Labels.
    ok(
      '{"metric":{"__name__":"a.b-c \\u00e9","x-y":"\\n\\"","e":""},"values":[1],"timestamps":[1]}',
      'a.b-c é{x-y="\\n\\""} 1 @1',
    );
    ok('{"metric":{"z":"2","__name__":"a","b":"1"},"values":[1],"timestamps":[1]}', 'a{b="1",z="2"} 1 @1');
    ok(
      '{"metric":{"__name__":"a","x":"first","x":"last"},"values":[1],"timestamps":[1]}',
      'a{x="last"} 1 @1',
    );
  });

  describe("are rejected", () => {
    bad("junk", 'syntax: it has "junk" where an object was expected');
    bad("{", "syntax: it ends where a name in quotation marks was expected");
    bad("{}", 'syntax: it has "}" where a name in quotation marks was expected');
    bad('{"metric"', "syntax: it ends where a colon was expected");
    bad('{"metric', "syntax: it ends where the end of a string was expected");
    bad('{"metric":{"__name__":"a"}}', "syntax: it has no values");
    bad('{"values":[1],"timestamps":[1]}', "syntax: it has no metric");
    bad('{"metric":{"__name__":"a"},"values":[1]}', "syntax: it has no timestamps");
    bad('{"metric":{"__name__":"a"},"values":[],"timestamps":[]}', "syntax: its values are empty");
    bad(
      '{"metric":{"__name__":"a"},"values":[1,2],"timestamps":[1]}',
      "syntax: it has 2 values and 1 timestamps; expected as many of each",
    );
    bad(
      '{"metric":{"__name__":"a"},"values":1,"timestamps":[1]}',
      'syntax: it has "1,\\"timestamp" where an array of values was expected',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1',
      "syntax: it ends where a comma or ] in values was expected",
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1 2],"timestamps":[1]}',
      'syntax: it has "2],\\"timestam" where a comma or ] in values was expected',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1],"timestamps":[1]',
      "syntax: it ends where a comma or } was expected",
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1],"timestamps":[1]} x',
      'syntax: it has "x" where the end of the line was expected',
    );
    bad(
      '{"metric":["a"],"values":[1],"timestamps":[1]}',
      'syntax: it has "[\\"a\\"],\\"value" where an object of labels was expected',
    );
    bad(
      '{"metric":{"a":1 2},"values":[1],"timestamps":[1]}',
      'syntax: its metric "{\\"a\\":1 2}" is not JSON',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[,1],"timestamps":[1,2]}',
      'value: values[0] is missing, expected a number that a 64-bit float can hold, null, "NaN", "Infinity" or "-Infinity"',
    );
    bad(
      values("1,x"),
      'value: values[1] is "x", expected a number that a 64-bit float can hold, null, "NaN", "Infinity" or "-Infinity"',
    );
    bad(
      values('"1.5"'),
      'value: values[0] is "\\"1.5\\"", expected a number that a 64-bit float can hold, null, "NaN", "Infinity" or "-Infinity"',
    );
    bad(
      values("1e400"),
      'value: values[0] is "1e400", expected a number that a 64-bit float can hold, null, "NaN", "Infinity" or "-Infinity"',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1],"timestamps":[1.5]}',
      'timestamp: timestamps[0] is "1.5", expected whole milliseconds since 1970',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1],"timestamps":["1"]}',
      'timestamp: timestamps[0] is "\\"1\\"", expected whole milliseconds since 1970',
    );
    bad(
      '{"metric":{"__name__":"a"},"values":[1],"timestamps":[1704067200000000000]}',
      'timestamp: timestamps[0] is "1704067200000000000", expected whole milliseconds since 1970',
    );
    bad('{"metric":{"job":"x"},"values":[1],"timestamps":[1]}', "name: the series has no name (__name__)");
    bad(
      '{"metric":{"__name__":"a","x":5},"values":[1],"timestamps":[1]}',
      'labels: label "x" is 5, expected a text',
    );
    bad(
      '{"metric":{"__name__":"a","":"x"},"values":[1],"timestamps":[1]}',
      "labels: a label has an empty name",
    );
    bad(
      '{"metric":{"__name__":"a","x":"\\ud800"},"values":[1],"timestamps":[1]}',
      'labels: label "x" has half of a surrogate pair',
    );
  });

  test("a line that is rejected leaves the lines around it, and its number", () => {
    const good = '{"metric":{"__name__":"a"},"values":[1],"timestamps":[1]}';
    const batches = decode(`${good}\n\nbad\n${good}`);
    expect(samplesOf(batches)).toEqual(["a 1 @1", "a 1 @1"]);
    expect(rejectionsOf(batches)).toEqual(['3 syntax: it has "bad" where an object was expected']);
  });

  test("a label that is not UTF-8 is rejected, and quoted readably", () => {
    const line = Buffer.from('{"metric":{"__name__":"a","x":"?"},"values":[1],"timestamps":[1]}');
    line[line.indexOf("?")] = 0xff;
    expect(rejectionsOf(decoder.decode(line, 6))).toEqual(["7 labels: its metric is not valid UTF-8"]);
  });

  test("a label that the request sets replaces that of the line, and only in that request", () => {
    const line = '{"metric":{"__name__":"o","job":"own","x":"1"},"values":[1],"timestamps":[1]}';
    const both = ['o{job="own",x="1"} 1 @1'];
    expect(samplesOf(decode(line))).toEqual(both);
    expect(samplesOf(decode(line, new Set(["job"])))).toEqual(['o{x="1"} 1 @1']);
    expect(samplesOf(decode(line))).toEqual(both);
  });

  test("a line with more samples than a batch becomes several batches of one series", () => {
    const count = 250_000;
    const list = Array.from({ length: count }, (_, index) => index).join();
    const batches = decode(`{"metric":{"__name__":"a"},"values":[${list}],"timestamps":[${list}]}`);
    expect(batches.map(({ length }) => length)).toEqual([100_000, 100_000, 50_000]);
    expect(batches.map(({ heads }) => heads.length)).toEqual([1, 1, 1]);
    expect(batches[2]!.value[49_999]).toBe(count - 1);
  });

  test("more series than are remembered keep their own names", () => {
    const lines = Array.from(
      { length: 70_000 },
      (_, index) => `{"metric":{"__name__":"many","n":"${index}"},"values":[${index}],"timestamps":[1]}`,
    );
    const samples = samplesOf(decode(lines.join("\n")));
    expect(samples).toHaveLength(70_000);
    expect(samples.filter((sample, index) => sample !== `many{n="${index}"} ${index} @1`)).toEqual([]);
  });
});
