/** CSV as VictoriaMetrics imports it: one line per case. */
import { describe, expect, test } from "bun:test";
import { parseCsvFormat } from "../../../src/receive/victoria-metrics/csv-format.ts";
import { CsvLinesDecoder } from "../../../src/receive/victoria-metrics/csv-lines.ts";
import { rejectionsOf, samplesOf } from "./decoded-samples.ts";

const decode = (format: string, text: string) =>
  new CsvLinesDecoder().decode(Buffer.from(text), 0, undefined, parseCsvFormat(format));

describe("lines of CSV", () => {
  const ok = (format: string, text: string, ...want: string[]) =>
    test(`${format}: ${JSON.stringify(text)}`, () => {
      const batches = decode(format, text);
      expect(rejectionsOf(batches)).toEqual([]);
      expect(samplesOf(batches)).toEqual(want);
    });
  const bad = (format: string, text: string, want: string) =>
    test(`${format}: ${JSON.stringify(text)}`, () => {
      const batches = decode(format, text);
      expect(samplesOf(batches)).toEqual([]);
      expect(rejectionsOf(batches)).toEqual([want]);
    });
  const TICKERS = "2:metric:ask,3:metric:bid,1:label:ticker,4:time:unix_s";

  describe("are decoded", () => {
    ok(
      TICKERS,
      "GOOG,1.23,4.56,1704067200\n",
      'ask{ticker="GOOG"} 1.23 @1704067200000',
      'bid{ticker="GOOG"} 4.56 @1704067200000',
    );
    ok(TICKERS, "ticker,ask,bid,time\r\nA,1,2,3\r\n", 'ask{ticker="A"} 1 @3000', 'bid{ticker="A"} 2 @3000');
    ok(
      TICKERS,
      '"A, ""B""","1",2,3,more',
      'ask{ticker="A, \\"B\\""} 1 @3000',
      'bid{ticker="A, \\"B\\""} 2 @3000',
    );
    ok(TICKERS, "A,,2,3\nB,,,3", 'bid{ticker="A"} 2 @3000');
    ok(TICKERS, ",1,2,3", "ask 1 @3000", "bid 2 @3000");
    ok("1:metric:a", "5", "a 5");
    ok("1:metric:a", "NaN\n-Inf\n-0\n1e3", "a NaN", "a -Infinity", "a -0", "a 1000");
    ok("2:metric:a", "x,1", "a 1");
    ok(
      "1:metric:a,2:time:unix_ms",
      "1,1704067200123\n1,1704067200123.5",
      "a 1 @1704067200123",
      "a 1 @1704067200123.5",
    );
    ok("1:metric:a,2:time:unix_us", "1,1704067200123456", "a 1 @1704067200123.456");
    ok("1:metric:a,2:time:unix_ns", "1,1704067200123456789", "a 1 @1704067200123.456");
    ok("1:metric:a,2:time:unix_s", "1,1704067200.5", "a 1 @1704067200500");
    ok("1:metric:a,2:time:rfc3339", "1,2024-01-01T01:00:00.25+01:00", "a 1 @1704067200250");
    ok(
      "1:metric:a,2:time:custom:2006-01-02 15:04:05.999Z",
      '1,"2015-08-10 20:04:40.123Z"',
      "a 1 @1439237080123",
    );
    // Values that differ only in how they are escaped are one series, and others are not.
    ok("2:metric:a,1:label:x", '"q",1\nq,2\n"""q""",3', 'a{x="q"} 1', 'a{x="q"} 2', 'a{x="\\"q\\""} 3');
  });

  describe("are rejected", () => {
    bad(TICKERS, "A,1", "1 syntax: it has 2 columns, expected at least 4");
    bad(TICKERS, '"A,1,2,3', "1 syntax: column 1 has no closing quotation mark");
    bad(TICKERS, '"A"x,1,2,3', '1 syntax: column 1 has "x,1,2,3" after its closing quotation mark');
    bad(TICKERS, "\nA,x,2,3", '2 value: column 2 is "x", expected a number that a 64-bit float can hold');
    bad(TICKERS, "A,1,2,", '1 timestamp: column 4 is "", expected a time as unix_s');
    bad(TICKERS, "A,1,2,noon", '1 timestamp: column 4 is "noon", expected a time as unix_s');
    bad(
      "1:metric:a,2:time:rfc3339",
      "1,2024-02-30T00:00:00Z",
      '1 timestamp: column 2 is "2024-02-30T00:00:00Z", expected a time as rfc3339',
    );
    // A line with a time is no header.
    bad(
      "1:metric:a,2:time:unix_s",
      "n/a,1439237080",
      '1 value: column 1 is "n/a", expected a number that a 64-bit float can hold',
    );
    bad(
      "1:metric:a,2:time:rfc3339",
      "n/a,2024-02-28T00:00:00Z",
      '1 value: column 1 is "n/a", expected a number that a 64-bit float can hold',
    );
    // Only the first line can be a header.
    bad("1:metric:a", "a\nb", '2 value: column 1 is "b", expected a number that a 64-bit float can hold');
  });
});

describe("the parameter format", () => {
  const bad = (format: string | null, want: string) =>
    test(String(format), () => expect(() => parseCsvFormat(format)).toThrow(want));
  const entry = "; expected COLUMN:metric:NAME, COLUMN:label:NAME or COLUMN:time:FORMAT.";
  bad(
    null,
    "Query parameter format is missing; expected the columns of the file, such as 1:time:unix_s,2:label:host,3:metric:load.",
  );
  bad("x", `Query parameter format has the entry "x"${entry}`);
  bad("1:metric:", `Query parameter format has the entry "1:metric:"${entry}`);
  bad("1:metrics:a", `Query parameter format has the entry "1:metrics:a"${entry}`);
  bad("0:metric:a", 'Query parameter format has column 0 in the entry "0:metric:a"; expected 1 to 65536.');
  bad(
    "65537:metric:a",
    'Query parameter format has column 65537 in the entry "65537:metric:a"; expected 1 to 65536.',
  );
  bad("1:metric:a,1:label:b", "Query parameter format has column 1 twice.");
  bad(
    "1:label:b",
    "Query parameter format has no column of a metric; expected at least one COLUMN:metric:NAME.",
  );
  bad(
    "1:metric:a,2:time:unix_s,3:time:unix_s",
    "Query parameter format has two columns of time; expected at most one.",
  );
  bad(
    "1:metric:a,2:time:iso",
    'Query parameter format has the time "iso"; expected unix_s, unix_ms, unix_us, unix_ns, rfc3339 or custom:LAYOUT.',
  );
  bad(
    "1:metric:a,2:time:custom:15:04",
    'Query parameter format has the layout "15:04"; expected a layout of Go with a date, and each part once, such as 2006-01-02 15:04:05.',
  );
});
