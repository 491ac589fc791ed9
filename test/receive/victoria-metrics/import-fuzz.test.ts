/** Random bodies of an import: valid ones are compared with JSON.parse, and damaged ones never fail as a whole. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseCsvFormat } from "../../../src/receive/victoria-metrics/csv-format.ts";
import { CsvLinesDecoder } from "../../../src/receive/victoria-metrics/csv-lines.ts";
import { JsonLinesDecoder } from "../../../src/receive/victoria-metrics/json-lines.ts";
import { TextLinesDecoder } from "../../../src/receive/victoria-metrics/text-lines.ts";
import { runs } from "../../runs.ts";
import { rejectionsOf, samplesOf } from "./decoded-samples.ts";

const RUNS = runs(300);

const json = new JsonLinesDecoder();
const text = new TextLinesDecoder();
const csv = new CsvLinesDecoder();
const format = parseCsvFormat("1:label:a,2:metric:b,3:metric:c,4:time:custom:2006-01-02 15:04:05");

const name = fc.stringMatching(/^[a-z_]{1,6}$/);
const label = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 });
const series = fc.record({
  metric: fc.dictionary(name, label, { maxKeys: 4 }),
  name: label,
  samples: fc.array(
    fc.tuple(
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.constant(null)),
      fc.integer({ min: -1e12, max: 4e12 }),
    ),
    { minLength: 1, maxLength: 20 },
  ),
});

test("JSON lines have the samples that JSON.parse finds", () => {
  fc.assert(
    fc.property(fc.array(series, { maxLength: 10 }), fc.boolean(), (all, isSpaced) => {
      const lines = all.map(({ metric, name: metricName, samples }) =>
        JSON.stringify(
          {
            metric: { ...metric, __name__: metricName },
            values: samples.map(([value]) => (Object.is(value, -0) ? 0 : value)),
            timestamps: samples.map(([, ms]) => ms),
          },
          null,
          isSpaced ? " " : "",
        ).replaceAll("\n", " "),
      );
      const batches = json.decode(Buffer.from(lines.join("\n")), 0);
      const want = lines.flatMap((line) => {
        const { metric, values, timestamps } = JSON.parse(line) as {
          metric: Record<string, string>;
          values: (number | null)[];
          timestamps: number[];
        };
        const { __name__: metricName, ...labels } = metric;
        const pairs = Object.entries(labels)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join();
        const head = `${metricName}${pairs === "" ? "" : `{${pairs}}`}`;
        return values.map(
          (value, index) => `${head} ${value === null ? "stale" : value} @${timestamps[index]}`,
        );
      });
      expect(rejectionsOf(batches)).toEqual([]);
      expect(samplesOf(batches)).toEqual(want);
    }),
    RUNS,
  );
});

const GOOD = {
  json: '{"metric":{"__name__":"a","l":"\\u00e9\\n"},"values":[1,-0.5e3,null,"NaN"],"timestamps":[1,2,3,4]}',
  text: '# TYPE a counter\na{l="\\n",m="é"} 1.5e3 1704067200000 # {t="1"} 2\n{"a.b",l="1"} +Inf',
  csv: '"x ""y""",1,2,2024-01-01 10:00:00\nz,,3,2024-01-01 10:00:00.5',
};
const decoders = {
  json: (bytes: Buffer) => json.decode(bytes, 0),
  text: (bytes: Buffer) => text.decode(bytes, 0),
  csv: (bytes: Buffer) => csv.decode(bytes, 0, undefined, format),
};
/** Replaces, inserts or removes a byte. */
const damage = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom("replace", "insert", "remove"),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\\n\r #=+-.eNI0'))),
});

for (const [kind, decode] of Object.entries(decoders)) {
  test(`a damaged body of ${kind} loses no line that is not damaged`, () => {
    const good = GOOD[kind as keyof typeof GOOD];
    const whole = samplesOf(decode(Buffer.from(good)));
    expect(whole.length).toBeGreaterThan(1);
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 6 }), (all) => {
        let bytes = [...Buffer.from(good)];
        for (const { at, kind: how, byte } of all) {
          const index = at % (bytes.length + 1);
          bytes = bytes.toSpliced(index, how === "insert" ? 0 : 1, ...(how === "remove" ? [] : [byte]));
        }
        const damaged = Buffer.from(bytes);
        // A comment that became a sample, or a quotation mark that is missing, stays within its line.
        const batches = decode(Buffer.concat([Buffer.from(`${good}\n`), damaged, Buffer.from(`\n${good}`)]));
        const samples = samplesOf(batches);
        expect(samples.slice(0, whole.length)).toEqual(whole);
        expect(samples.slice(-whole.length)).toEqual(whole);
        for (const batch of batches) {
          for (let index = 0; index < batch.length; index++)
            expect(batch.heads[batch.head[index]!]).toBeDefined();
          for (const { reason } of batch.rejected) expect(reason.length).toBeLessThan(400);
        }
      }),
      RUNS,
    );
  });
}
