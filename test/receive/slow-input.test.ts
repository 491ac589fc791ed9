/**
 * Input that is made to be slow: one line per case. Each has a text that a decoder with quadratic time, or with a
 * regular expression that tries many ways to match, would read for minutes. So such a decoder exceeds the test's timeout.
 */
import { describe, expect, test } from "bun:test";
import { quote } from "../../src/model/errors.ts";
import { SeriesGatherer } from "../../src/receive/datadog/series-gatherer.ts";
import { JsonSeriesDecoder } from "../../src/receive/datadog/series-json.ts";
import { jsonToProtobuf } from "../../src/receive/otlp/decode/otlp-json.ts";
import { readStatsdLine } from "../../src/receive/statsd/statsd-lines.ts";
import { parseCsvFormat } from "../../src/receive/victoria-metrics/csv-format.ts";
import { goTimeParser } from "../../src/receive/victoria-metrics/go-time-layout.ts";
import { TextLinesDecoder } from "../../src/receive/victoria-metrics/text-lines.ts";
import { SentTags } from "../../src/series/sent-tags.ts";
import { readExpositionLines } from "../../src/wire/exposition-formats/exposition-lines.ts";
import { decodeOpenMetrics } from "../../src/wire/exposition-formats/open-metrics.ts";
import { decodeText } from "../../src/wire/exposition-formats/text-format.ts";
import { decoded } from "./influx/decoded-lines.ts";

const LONG = 1_000_000;
const DIGITS = `${"1".repeat(LONG)}x`;

const messageOf = (decode: () => unknown) => {
  try {
    decode();
  } catch (error) {
    return (error as Error).message.slice(0, 60);
  }
  return "decoded";
};

describe("a million digits that are not a number are rejected in linear time", () => {
  test("by the text format", () => {
    expect(messageOf(() => decodeText(Buffer.from(`a ${DIGITS}\n`)))).toStartWith(
      "text format parsing error",
    );
  });

  test("by OpenMetrics", () => {
    expect(messageOf(() => decodeOpenMetrics(Buffer.from(`a ${DIGITS}\n# EOF\n`)))).not.toBe("decoded");
  });

  test("by the lines of a scrape", () => {
    const sink = { sample() {}, exemplar() {}, type() {}, help() {}, unit() {} };
    const message = messageOf(() => readExpositionLines(`a ${DIGITS}\n`, "text", sink));
    expect(message).toStartWith("line 1: expected a number as the value");
  });

  test("by the Influx line protocol", () => {
    expect(decoded(`m f=${DIGITS}`)).toEqual(["line 1: invalid number"]);
  });

  test("as the sample rate of StatsD", () => {
    expect(readStatsdLine("a", `ms|@${DIGITS}`, () => false)).toMatchObject({ cause: "rate" });
  });
});

describe("labels of VictoriaMetrics' text format", () => {
  const reasons = (text: string) =>
    new TextLinesDecoder()
      .decode(Buffer.from(text), 0)
      .flatMap(({ rejected }) => rejected.map(({ reason }) => reason.slice(0, 30)));

  test("with a million blanks are rejected in linear time", () => {
    expect(reasons(`a{b${" ".repeat(LONG)}x} 1`)).toEqual(['it has "b                     ']);
    expect(reasons(`a{${'b="",'.repeat(50_000)}${" ".repeat(LONG)}} 1`)).toEqual([]);
  });

  test("may be millions of bytes long", () => {
    expect(reasons(`a{b="${"x".repeat(4 * LONG)}"} 1`)).toEqual([]);
  });
});

test("many values of one tag are joined in linear time", () => {
  const tags = new SentTags();
  for (let value = 0; value < 300_000; value++) tags.add(`a:${value % 200_000}`, ":");
  expect(tags.sorted()[0]![1].split(",").length).toBe(200_000);
});

test("a layout of times cannot have a part twice, which could match in too many ways", () => {
  expect(goTimeParser(`2006 2 ${"1".repeat(60)}`)).toBeUndefined();
  expect(goTimeParser("2006-01-02 15:04:05 -0700 MST")?.("2024-11-30 13:00:00 +0000 UTC")).toBe(
    Date.UTC(2024, 10, 30, 13) * 1_000,
  );
  expect(messageOf(() => parseCsvFormat(`1:metric:a,2:time:custom:2006 2 ${"1".repeat(60)}`))).not.toBe(
    "decoded",
  );
});

describe("JSON that is nested a million times is rejected, and quoted, in linear time", () => {
  const deep = `${"[".repeat(LONG)}${"]".repeat(LONG)}`;
  /** A body with it is parsed at once. */
  const lessDeep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;

  test("by Datadog's API, for each of many points", () => {
    const decode = (series: string) =>
      new JsonSeriesDecoder(new SeriesGatherer()).decode(Buffer.from(`{"series":[${series}]}`), "v1").batch;
    expect(decode(lessDeep).rejected.map(({ cause }) => cause)).toEqual(["syntax"]);
    const points = Array(60).fill(`${"[".repeat(1_000)}${"]".repeat(1_000)}`);
    expect(decode(`{"metric":"a","points":[${points}]}`).rejected.length).toBe(60);
    expect(messageOf(() => decode(deep))).toStartWith(
      "the value at byte 11 of the body has more than 1048576",
    );
  });

  test("by OTLP", () => {
    const message = (of: string) => messageOf(() => jsonToProtobuf(Buffer.from(`{"resourceMetrics":${of}}`)));
    expect(message(lessDeep)).toStartWith("resourceMetrics[0] is [[[[");
    expect(message(deep)).toStartWith('the body is not JSON: byte 20 has "[[[[[[[[[[[[" where {');
  });

  test("in a quote, whose text is that of JSON.stringify", () => {
    expect(quote(JSON.parse(deep))).toBe(`${"[".repeat(120)}…`);
    const values = [
      { a: [1, "x\n", null, undefined, Number.NaN], b: undefined, c: { d: true } },
      [],
      {},
      "é\u2028",
      "\ud800",
      null,
      false,
      new Date(0),
    ];
    expect(values.map((value) => quote(value))).toEqual(values.map((value) => JSON.stringify(value)));
    expect(["x".repeat(119), "x".repeat(118), ["x".repeat(130)]].map(quote)).toEqual([
      `"${"x".repeat(119)}…`,
      `"${"x".repeat(118)}"`,
      `["${"x".repeat(118)}…`,
    ]);
    expect([undefined, 1n, Number.POSITIVE_INFINITY].map(quote)).toEqual(["undefined", "1", "Infinity"]);
  });
});
