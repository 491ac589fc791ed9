/** The decoders of Datadog's API on random and damaged bodies: they end, and throw nothing but errors of requests. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RequestError } from "../../../src/model/errors.ts";
import { SeriesGatherer } from "../../../src/receive/datadog/series-gatherer.ts";
import { JsonSeriesDecoder, type SeriesForm } from "../../../src/receive/datadog/series-json.ts";
import { ProtobufSeriesDecoder } from "../../../src/receive/datadog/series-protobuf.ts";
import { SketchDecoder } from "../../../src/receive/datadog/sketches.ts";
import { runs } from "../../runs.ts";
import { binOf, encodeSeries, encodeSketches } from "./agent-payload.ts";

const gatherer = new SeriesGatherer();
const json = new JsonSeriesDecoder(gatherer);
const protobuf = new ProtobufSeriesDecoder(gatherer);
const sketches = new SketchDecoder(gatherer);
const SETTINGS = runs(300);

const text = fc.string({ unit: "binary", maxLength: 12 });
const point = fc.record({ timestamp: fc.integer(), value: fc.double() });
const series = fc.record({
  metric: text,
  type: fc.integer({ min: 0, max: 3 }),
  interval: fc.integer({ min: 0, max: 60 }),
  unit: text,
  tags: fc.array(text, { maxLength: 4 }),
  resources: fc.array(fc.record({ type: text, name: text }), { maxLength: 2 }),
  points: fc.array(point, { maxLength: 3 }),
});

/** Decodes, and returns the error of the request if there is one. Any other error fails the test. */
function decoded<T>(decode: () => T): T | RequestError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
}

/** The samples as rows, and the rejections. */
function rowsOf({ batch }: ReturnType<SeriesGatherer["take"]>) {
  const rows = Array.from({ length: batch.length }, (_, row) => {
    const { metric, kind, unit, labels } = batch.heads[batch.head[row]!]!;
    return [metric, kind, unit, [...labels], batch.timestampUs[row], batch.value[row], batch.position[row]];
  });
  return { rows, rejected: batch.rejected.map(({ index, cause }) => [index, cause]) };
}

test("protobuf and JSON of version 2 decode to the same samples", () => {
  fc.assert(
    fc.property(fc.array(series, { maxLength: 5 }), (sent) => {
      // JSON has no NaN, no infinities and no halves of characters.
      const clean = JSON.parse(JSON.stringify(sent), (_, value) =>
        value === null ? 1 : typeof value === "string" ? value.toWellFormed() : value,
      ) as typeof sent;
      const fromJson = rowsOf(json.decode(Buffer.from(JSON.stringify({ series: clean })), "v2"));
      expect(rowsOf(protobuf.decode(encodeSeries(...clean)))).toEqual(fromJson);
    }),
    SETTINGS,
  );
});

test("damaged protobuf ends with samples, rejections or an error of the request", () => {
  const sketch = { ts: 1, cnt: 3, sum: 6, k: [binOf(1), binOf(4)], n: [2, 1] };
  const bodies = [
    encodeSeries({ metric: "a", tags: ["b:c"], type: 1, points: [{ timestamp: 1, value: 2 }], interval: 10 }),
    encodeSketches({ metric: "a", host: "h", tags: ["b:c"], dogsketches: [sketch, sketch] }),
  ];
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...bodies), damage, fc.nat(), (body, changes, cut) => {
      const bytes = body.slice(0, body.length - (cut % 8));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      decoded(() => protobuf.decode(bytes));
      decoded(() => sketches.decode(bytes));
    }),
    SETTINGS,
  );
});

test("any JSON ends with samples, rejections or an error of the request", () => {
  const field = fc.constantFrom(
    "series",
    "metric",
    "points",
    "tags",
    "host",
    "type",
    "interval",
    "timestamp",
    "value",
  );
  const leaf = fc.oneof(fc.constantFrom(null, "", "a:b", true), fc.double(), fc.integer());
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.dictionary(field, tie("value"), { maxKeys: 4 }),
      fc.array(tie("value"), { maxLength: 3 }),
    ),
  }));
  const form = fc.constantFrom<SeriesForm>("v1", "v2", "distribution");
  fc.assert(
    fc.property(fc.array(value, { maxLength: 3 }), form, (sent, asForm) => {
      decoded(() => json.decode(Buffer.from(JSON.stringify({ series: sent })), asForm));
    }),
    SETTINGS,
  );
});

test("a series with an error and many points takes no time for each of them that grows with the body", () => {
  const points = Array.from({ length: 100_000 }, (_, at) => [at, 1]);
  const body = Buffer.from(JSON.stringify({ series: [{ metric: "a", type: "x", points }] }));
  const { batch, points: count } = json.decode(body, "v1");
  expect([count, batch.length, batch.rejected.length]).toEqual([100_000, 0, 100_000]);
  expect(batch.rejected[0]!.payload).toBe('{"metric":"a","type":"x"}');
  expect(batch.rejected[99_999]!.payload).toBe("");
});

test("a warning is counted under a fixed name, whatever a resource is called", () => {
  const resources = Array.from({ length: 50 }, (_, at) => ({ type: `r${at}`, name: "a" }));
  const tags = resources.map(({ type }) => `${type}:b`);
  const { batch } = protobuf.decode(
    encodeSeries({ metric: "a", resources, tags, points: [{ timestamp: 1, value: 2 }] }),
  );
  expect([...batch.warnings!.counts]).toEqual([["resource", 50]]);
});
