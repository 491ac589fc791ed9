/**
 * The text formats: what bodies decode to, and the errors of those that do not decode. The messages of 0.0.4 are those
 * of Debian's Pushgateway 1.5, recorded.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TooLarge } from "../../../src/model/errors.ts";
import type { DecodedFamily } from "../../../src/wire/exposition-formats/decoded-families.ts";
import { decodeOpenMetrics } from "../../../src/wire/exposition-formats/open-metrics.ts";
import { decodeText } from "../../../src/wire/exposition-formats/text-format.ts";
import { runs } from "../../runs.ts";

/** Families in a short notation: `type name{labels} value @timestamp`. */
function plain(families: readonly DecodedFamily[]): string[] {
  return families.flatMap(({ name, type, metrics }) =>
    metrics.map(({ labels, value, timestampMs }) => {
      const pairs = [...labels].map(([label, text]) => `${label}=${JSON.stringify(text)}`);
      const shown =
        typeof value === "number"
          ? String(value)
          : `count ${value.count} sum ${value.sum} ${value.edges.map((at) => `${at.edge}:${at.value}`).join(" ")}`;
      const at = timestampMs === undefined ? "" : ` @${timestampMs}`;
      return `${type} ${name}{${pairs.join(",")}} ${shown.trim()}${at}`;
    }),
  );
}

const bytes = (text: string) => new TextEncoder().encode(text);

function messageOf(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    return (error as Error).message;
  }
  return "decoded";
}

describe("text 0.0.4 accepts", () => {
  const ok = (body: string, ...want: string[]) =>
    test(JSON.stringify(body), () => expect(plain(decodeText(bytes(body)))).toEqual(want));
  ok("");
  ok("\n\n \t\n#\n# a comment\n#HELP\n");
  ok('a 1\nb{x="y"} 2\n', "untyped a{} 1", 'untyped b{x="y"} 2');
  // Spaces, a comma after the last label, an empty block.
  ok('  y  { a = "b" , c="d", }  1\n', 'untyped y{a="b",c="d"} 1');
  ok("y{} 1\n", "untyped y{} 1");
  ok('y{a="\\\\ \\" \\n é"} 1\n', 'untyped y{a="\\\\ \\" \\n é"} 1');
  // Numbers.
  ok(
    "a +Inf\nb -inf\nc NaN\nd 1e3\ne .5\nf 5.\ng -0\n",
    ...["a{} Infinity", "b{} -Infinity", "c{} NaN", "d{} 1000", "e{} 0.5", "f{} 5", "g{} 0"].map(
      (line) => `untyped ${line}`,
    ),
  );
  ok("y 1 1704067200000\nz 1 -5\n", "untyped y{} 1 @1704067200000", "untyped z{} 1 @-5");
  // Types in any case, before or after HELP.
  ok("# TYPE y COUNTER\n# HELP y h\ny 1\n", "counter y{} 1");
  // A TYPE without samples is not a family.
  ok("# TYPE y gauge\nz 1\n", "untyped z{} 1");
  // Histograms and summaries.
  ok(
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{x="2",le="+Inf"} 7\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n',
    "histogram h{} count 2 sum 3 1:1 Infinity:2",
    'histogram h{x="2"} count 0 sum 0 Infinity:7',
  );
  ok(
    '# TYPE s summary\ns{quantile="0.5"} -1\ns_sum 3\ns_count 2\ns_bucket 4\n',
    "summary s{} count 2 sum 3 0.5:-1",
    "untyped s_bucket{} 4",
  );
  ok("# TYPE h histogram\nh 1\n", "histogram h{} count 0 sum 0");
  // Counts are integers, as in MetricFamily.
  ok('# TYPE h histogram\nh_bucket{le="1"} 1.5\n', "histogram h{} count 0 sum 0 1:1");
  // Without a histogram of that name these are names like any other.
  ok(
    'h_count 1\nh_sum 2\nh_bucket{le="x"} 3\n',
    "untyped h_count{} 1",
    "untyped h_sum{} 2",
    'untyped h_bucket{le="x"} 3',
  );

  test("HELP with escapes", () => {
    expect(decodeText(bytes('# HELP y a\\\\b\\nc "d"\ny 1\n'))[0]!.help).toBe('a\\b\nc "d"');
  });
});

describe("text 0.0.4 rejects", () => {
  const bad = (body: string, line: number, what: string) =>
    test(JSON.stringify(body), () =>
      expect(messageOf(() => decodeText(bytes(body)))).toBe(
        `text format parsing error in line ${line}: ${what}`,
      ),
    );
  bad("a 1", 1, "unexpected end of input stream");
  bad("a 1\nb", 2, "unexpected end of input stream");
  bad('a{x="1', 1, "unexpected end of input stream");
  bad("# comment", 1, "unexpected end of input stream");
  bad("1x 1\n", 1, "invalid metric name");
  bad('y{1="a"} 1\n', 1, 'invalid label name for metric "y"');
  bad('y{a="b\\xff"} 1\n', 1, "invalid escape sequence '\\x'");
  bad("y abc\n", 1, 'expected float as value, got "abc"');
  bad('y{a="b"} \n', 1, 'expected float as value, got ""');
  bad('y{a="b" 1\n', 1, 'unexpected end of label value "b"');
  bad('y{a="b} 1\n', 1, 'label value "b} 1" contains unescaped new-line');
  bad("y{a=b} 1\n", 1, "expected '\"' at start of label value, found 'b'");
  bad("y{a=\\} 1\n", 1, "expected '\"' at start of label value, found '\\\\'");
  bad("y{a\n", 1, "expected '=' after label name, found '\\n'");
  bad("y{a\u0001} 1\n", 1, "expected '=' after label name, found '\\x01'");
  bad("y{a'} 1\n", 1, "expected '=' after label name, found '\\''");
  bad('y{a"b"} 1\n', 1, "expected '=' after label name, found '\"'");
  bad('y{__name__="z"} 1\n', 1, 'label name "__name__" is reserved');
  bad('y{a="1",a="2"} 1\n', 1, 'duplicate label names for metric "y"');
  bad("y 1 2 3\n", 1, 'spurious string after timestamp: " 3"');
  bad("y 1 abc\n", 1, 'expected integer as timestamp, got "abc"');
  bad("y 1 1.5\n", 1, 'expected integer as timestamp, got "1.5"');
  bad("y 1 \n", 1, 'expected integer as timestamp, got ""');
  bad("y 1\r\n", 1, 'expected float as value, got "1\\r"');
  bad("v 0x10\n", 1, 'expected float as value, got "0x10"');
  bad("t 1_000\n", 1, 'expected float as value, got "1_000"');
  bad("t 1e999\n", 1, 'expected float as value, got "1e999"');
  bad("# TYPE y foo\ny 1\n", 1, 'unknown metric type "foo"');
  bad("# TYPE y unknown\ny 1\n", 1, 'unknown metric type "unknown"');
  bad("# HELP y a\n# HELP y b\ny 1\n", 2, 'second HELP line for metric name "y"');
  bad("y 1\n# TYPE y gauge\n", 2, 'second TYPE line for metric name "y", or TYPE reported after samples');
  bad('# TYPE h histogram\nh_bucket{le="foo"} 1\n', 2, "expected float as value for 'le' label, got \"foo\"");
  bad('# TYPE h histogram\nh_bucket{le="1"} -1\n', 2, 'expected a count for histogram "h", got "-1"');
  bad("# TYPE y{ gauge\n", 1, "invalid metric name in comment");

  test("a body that is not UTF-8", () => {
    const body = Buffer.concat([bytes('a 1\nb{x="é'), Uint8Array.of(0xff), bytes('"} 1\nc 1\n')]);
    const want = 'in line 2: "b{x=\\"é\ufffd\\"} 1" is not valid UTF-8';
    expect(messageOf(() => decodeText(body))).toBe(`text format parsing error ${want}`);
    expect(messageOf(() => decodeOpenMetrics(body))).toBe(`OpenMetrics parsing error ${want}`);
    // The last line, without its end.
    expect(messageOf(() => decodeText(Uint8Array.of(0x61, 0xff)))).toContain('in line 1: "a\ufffd" is not');
  });
});

describe("OpenMetrics", () => {
  const ok = (body: string, ...want: string[]) =>
    test(`accepts ${JSON.stringify(body)}`, () =>
      expect(plain(decodeOpenMetrics(bytes(`${body}# EOF\n`)))).toEqual(want));
  ok("");
  ok("a 1\n", "untyped a{} 1");
  ok("# TYPE a counter\n# HELP a h\na_total 1 1.5\na_created 1.2\n", "counter a_total{} 1 @1500");
  ok(
    '# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{x="\\n\\"\\\\"} -1\n',
    'gauge a_seconds{x="\\n\\"\\\\"} -1',
  );
  ok(
    '# TYPE h histogram\nh_bucket{le="1.0"} 1 # {trace_id="abc"} 0.5 1.2\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3.5\n',
    "histogram h{} count 2 sum 3.5 1:1 Infinity:2",
  );
  ok('# TYPE h histogram\nh_bucket{le="+Inf"} 2\n', "histogram h{} count 2 sum 0 Infinity:2");
  ok(
    '# TYPE s summary\ns{quantile="0.5",x="y"} 1\ns_count{x="y"} 2\n',
    'summary s{x="y"} count 2 sum 0 0.5:1',
  );
  ok('# TYPE i info\ni_info{v="1"} 1\n', 'gauge i_info{v="1"} 1');
  ok('# TYPE st stateset\nst{st="a"} 1\nst{st="b"} 0\n', 'gauge st{st="a"} 1', 'gauge st{st="b"} 0');
  ok(
    '# TYPE g gaugehistogram\ng_bucket{le="+Inf"} 2\ng_gcount 2\ng_gsum -1\n',
    'gauge g_bucket{le="+Inf"} 2',
    "gauge g_gcount{} 2",
    "gauge g_gsum{} -1",
  );
  // A name that only begins like the family before it is a family of its own.
  ok("# TYPE a gauge\na 1\nabc 2\n", "gauge a{} 1", "untyped abc{} 2");
  ok("# TYPE a gauge\na 1\naconstructor 2\n", "gauge a{} 1", "untyped aconstructor{} 2");

  const bad = (body: string, line: number, what: string) =>
    test(`rejects ${JSON.stringify(body)}`, () =>
      expect(messageOf(() => decodeOpenMetrics(bytes(body)))).toBe(
        `OpenMetrics parsing error in line ${line}: ${what}`,
      ));
  bad("a 1\n", 1, "the body does not end with # EOF");
  bad("# EOF\na 1\n", 1, "unexpected text after # EOF");
  bad("\n# EOF\n", 1, 'expected a metric name, got ""');
  bad("# foo\n# EOF\n", 1, 'expected # TYPE, # HELP, # UNIT or # EOF, got "# foo"');
  bad("# TYPE a counter\na 1\n# EOF\n", 2, '"a" is not a sample of a counter');
  bad("# TYPE a counter\na_total -1\n# EOF\n", 2, 'counter "a_total" is -1, expected no less than 0');
  bad("a 1\nb 1\na 2\n# EOF\n", 3, 'the lines of "a" are not consecutive');
  bad("a 1\n# TYPE a gauge\n# EOF\n", 2, 'TYPE of "a" comes after its samples');
  bad(
    "# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 2\n# EOF\n",
    4,
    'samples "a_total" belong to two families',
  );
  bad("a_info 1\n# TYPE a info\na_info 1\n# EOF\n", 3, 'samples "a_info" belong to two families');
  bad("# TYPE a gauge\n# TYPE a gauge\n# EOF\n", 2, 'second TYPE of "a"');
  bad("# UNIT a seconds\n# EOF\n", 1, 'unit "seconds" is not the end of the name "a"');
  bad('a{x="1"\n# EOF\n', 1, 'expected , or }, got ""');
  bad('a{x="1",} 1\n# EOF\n', 1, 'expected , or }, got ",} 1"');
  bad("a x\n# EOF\n", 1, 'expected float as value, got "x"');
  bad("a  1\n# EOF\n", 1, 'expected a value after "a"');
  bad("a 1 x\n# EOF\n", 1, 'expected seconds as timestamp, got "x"');
  bad("# TYPE h histogram\nh_bucket 1\n# EOF\n", 2, "expected float as value for 'le' label, got \"\"");
  bad(
    '# TYPE g gaugehistogram\ng_bucket{le="x"} 1\n# EOF\n',
    2,
    "expected float as value for 'le' label, got \"x\"",
  );
  bad("# TYPE g gaugehistogram\ng_bucket 1\n# EOF\n", 2, "expected float as value for 'le' label, got \"\"");
  bad("# TYPE a gauge\na 1 # {} 1\n# EOF\n", 2, 'a gauge cannot have an exemplar here: "{} 1"');
});

test("rejects a body with too many families and samples", () => {
  // Together with its family, the last sample is one too many.
  const of = (samples: number) => "a 1\n".repeat(samples);
  expect(decodeText(bytes(of(499_999)))[0]!.metrics).toHaveLength(499_999);
  const tooLarge = new TooLarge(
    "the body has more than 500000 families and samples, send it in parts",
    "body",
  );
  expect(() => decodeText(bytes(of(500_000)))).toThrow(tooLarge);
  expect(() => decodeOpenMetrics(bytes(`${of(500_000)}# EOF\n`))).toThrow(tooLarge);
  const types = Array.from({ length: 500_001 }, (_, at) => `# TYPE a${at} gauge\n`).join("");
  expect(() => decodeText(bytes(types))).toThrow(tooLarge);
  expect(() => decodeOpenMetrics(bytes(`${types}# EOF\n`))).toThrow(tooLarge);
});

test("any body is decoded, or rejected with BadInput", () => {
  const pieces = fc.constantFrom(
    ...'# TYPE a b_total b_bucket{ } , = " \\ le quantile \n 1 -1 NaN +Inf histogram summary counter EOF é'.split(
      " ",
    ),
    " ",
    "\n",
    "\t",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
      for (const decode of [decodeText, decodeOpenMetrics]) {
        try {
          decode(bytes(parts.join("")));
        } catch (error) {
          expect((error as Error).name).toBe("BadInput");
        }
      }
    }),
    runs(),
  );
});
