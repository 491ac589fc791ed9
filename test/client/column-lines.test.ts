/** The text of a batch: what the gateway stores of it is what the same samples are as events, one by one. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { batchText } from "../../src/client/column-lines.ts";
import type { RecordedSample } from "../../src/client/recorder.ts";
import { BodiesInProgress } from "../../src/http/body.ts";
import type { Batch } from "../../src/model/sample.ts";
import { ColumnBodies } from "../../src/receive/events/columns/column-bodies.ts";
import { formOf } from "../../src/receive/events/columns/column-form.ts";
import { EventDecoder } from "../../src/receive/events/events.ts";
import { runs } from "../runs.ts";

const AT_MS = Date.UTC(2024, 9, 4, 11);
const decoding = {
  nameBytesMax: 1_024,
  tagValueBytesMax: 4_096,
  tagsMax: 64,
  eventsMax: 10_000,
  isAttribute: (_: string, tag: string) => tag === "task_id",
  attributesOf: () => ["task_id"],
  epoch: () => 0,
};
const events = new EventDecoder(decoding);
const columns = new ColumnBodies(decoding, {
  inflatedBytesMax: 1_048_576,
  inProgress: new BodiesInProgress(),
});

/** The samples of a batch as texts, sorted: the text of a batch has them by metric. */
function samplesOf(batch: Batch): string[] {
  const text = Buffer.from(batch.text.buffer, batch.text.byteOffset, batch.text.length);
  const samples = Array.from({ length: batch.length }, (_, row) => {
    const { metric, kind, type, labels } = batch.heads[batch.head[row]!]!;
    const attributes = batch.attributes.flatMap(({ name, offset, length }) =>
      length[row] === 0 ? [] : [[name, text.toString("utf8", offset[row], offset[row]! + length[row]!)]],
    );
    return JSON.stringify([
      metric,
      kind,
      type,
      [...labels],
      batch.timestampUs[row],
      batch.value[row],
      attributes,
    ]);
  });
  return samples.sort();
}

const tag = fc.oneof(
  fc.constantFrom<string | number | boolean | null>(
    "get_task",
    "a\nb",
    "é",
    "",
    200,
    1.5,
    -0,
    1e21,
    true,
    null,
  ),
  fc.string({ maxLength: 8 }),
);
const sample: fc.Arbitrary<RecordedSample> = fc.record({
  name: fc.constantFrom("a.duration_ms", "b_total", "c.depth"),
  value: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
  atMs: fc.integer({ min: AT_MS, max: AT_MS + 1_000 }).map((ms) => ms + 0.25),
  kind: fc.constantFrom("observation", "counter", "gauge"),
  tags: fc.option(
    fc.dictionary(fc.constantFrom("job", "task_id", "operation", "code", "name", "__proto__"), tag, {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    { nil: undefined },
  ),
});
const OWN = { name: "weir_client_samples_total", value: 3, tags: { outcome: "stored" } };

/** The same samples as events. */
function eventText(samples: readonly RecordedSample[]): string {
  const all = [...samples, { ...OWN, kind: "counter", atMs: AT_MS }];
  return all
    .map(({ name, value, atMs, kind, tags }) =>
      JSON.stringify({
        "@timestamp": atMs,
        metric_name: name,
        value,
        type: kind,
        tags: { job: "scanner", instance: "_1", ...tags },
      }),
    )
    .join("\n");
}

test("a batch has the samples of its events", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(sample, { maxLength: 40 }), async (samples) => {
      const labels = { job: "scanner", instance: "_1" };
      const body = Buffer.from(batchText(samples, { labels, nowMs: AT_MS, own: [OWN] }));
      expect(formOf("application/x-ndjson", body)).toBe("json");
      const got = await columns.decode("json", body, { strict: true });
      const expected = events.decode(Buffer.from(eventText(samples)), { ndjson: true, strict: true });
      expect([got.rejected, expected.rejected]).toEqual([[], []]);
      expect(samplesOf(got)).toEqual(samplesOf(expected));
    }),
    runs(150),
  );
});

test("a metric is one object, in which equal tags are written once", () => {
  const samples = [1, 2, 3].map((value): RecordedSample => {
    const tags = { operation: "get_task", task_id: `task_${value}`, none: null };
    return { name: "a.duration_ms", value, atMs: AT_MS + value, kind: "observation", tags };
  });
  const gauge: RecordedSample = { name: "c.depth", value: 7, atMs: AT_MS, kind: "gauge", tags: undefined };
  expect(batchText([...samples, gauge], { labels: { job: "scanner" }, nowMs: AT_MS, own: [] })).toBe(
    `{"metric":"a.duration_ms","columns":{"ts":[${AT_MS + 1},${AT_MS + 2},${AT_MS + 3}],"value":[1,2,3],` +
      '"job":"scanner","operation":"get_task","task_id":["task_1","task_2","task_3"]}}\n' +
      `{"metric":"c.depth","type":"gauge","columns":{"ts":[${AT_MS}],"value":[7],"job":"scanner"}}\n`,
  );
});

test("a batch with a tag that has the name of another column is sent as events", () => {
  const one: RecordedSample = { name: "m", value: 1, atMs: AT_MS, kind: "gauge", tags: { time: "noon" } };
  const text = batchText([one, { ...one, tags: undefined }], { labels: {}, nowMs: AT_MS, own: [] });
  expect(
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { "@timestamp": AT_MS, metric_name: "m", value: 1, type: "gauge", tags: { time: "noon" } },
    { "@timestamp": AT_MS, metric_name: "m", value: 1, type: "gauge", tags: {} },
  ]);
});
