/**
 * Columns beside JSON events: random rows are the same samples, and the same rejected events, in both forms. And bodies
 * that are truncated or have other bytes are stored or rejected, and never a fault.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { arrowStream, type WrittenColumn } from "../../../../scripts/bench.d/arrow-writer.ts";
import { BodiesInProgress } from "../../../../src/http/body.ts";
import { RequestError } from "../../../../src/model/errors.ts";
import type { Batch } from "../../../../src/model/sample.ts";
import { ColumnBodies } from "../../../../src/receive/events/columns/column-bodies.ts";
import { formOf } from "../../../../src/receive/events/columns/column-form.ts";
import { EventDecoder } from "../../../../src/receive/events/events.ts";
import { runs } from "../../../runs.ts";
import { arrowFixture, ELEVEN_MS } from "./columns-gateway.ts";

const ATTRIBUTES = ["task_id", "trace_id"];
const options = {
  nameBytesMax: 1_024,
  tagValueBytesMax: 64,
  tagsMax: 4,
  eventsMax: 10_000,
  // One metric has an attribute more, so that a column is a label of some rows only.
  isAttribute: (metric: string, tag: string) =>
    ATTRIBUTES.includes(tag) || (metric === "second" && tag === "user"),
  attributesOf: (metric: string) => (metric === "second" ? [...ATTRIBUTES, "user"] : ATTRIBUTES),
  epoch: () => 0,
};
const events = new EventDecoder(options);
const columns = new ColumnBodies(options, {
  inflatedBytesMax: 1_048_576,
  inProgress: new BodiesInProgress(),
});

/** The samples of a batch as values, in order. */
function samplesOf(batch: Batch): unknown[] {
  const text = Buffer.from(batch.text.buffer, batch.text.byteOffset, batch.text.length);
  return Array.from({ length: batch.length }, (_, row) => {
    const { labels, metric, kind, type } = batch.heads[batch.head[row]!]!;
    const attributes = batch.attributes.flatMap(({ name, offset, length }) =>
      length[row] === 0 ? [] : [[name, text.toString("utf8", offset[row], offset[row]! + length[row]!)]],
    );
    return {
      at: batch.position[row],
      head: { metric, kind, type, labels: [...labels] },
      us: batch.timestampUs[row],
      value: batch.value[row],
      stale: batch.stale?.[row] === 1,
      attributes: Object.fromEntries(attributes.sort()),
    };
  });
}

const rejectedOf = ({ rejected }: Batch) =>
  rejected.map(({ index, cause }) => ({ index, cause })).sort((a, b) => a.index - b.index);

const text = fc.oneof(
  fc.constantFrom("a", "b", "", "mail", "é", "x".repeat(80), "\u0000", '"\\\n', "long text of many bytes"),
  fc.string({ maxLength: 12 }),
);
const cell = fc.oneof(
  { weight: 6, arbitrary: text },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(null, true, false, 0, -0, 1, -7, 200, 1.5, 1e21, 1e-7, {}, [1]),
  },
);
const value = fc.oneof(
  { weight: 6, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 2, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, "7", "NaN", "+Inf", "stale", true, {}, -1, 0) },
);
const time = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: ELEVEN_MS, max: ELEVEN_MS + 10_000 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      null,
      "2024-10-04T11:00:00Z",
      "2024-10-04 11:00",
      1e300,
      true,
      1.5,
      -5,
    ),
  },
);
const TAGS = ["task_id", "user", "job", "é", "z", "trace_id"];
const table = fc
  .record({
    rows: fc.array(
      fc.record({
        metric: fc.constantFrom("first", "second", "third.ms"),
        value,
        time,
        tags: fc.array(cell, { minLength: TAGS.length, maxLength: TAGS.length }),
      }),
      { minLength: 1, maxLength: 30 },
    ),
    type: fc.constantFrom("observation", "counter", "gauge", "cumulative"),
    used: fc.subarray(TAGS),
    hasTimes: fc.boolean(),
  })
  .map(({ rows, type, used, hasTimes }) => ({
    events: rows.map((row) => ({
      ...(hasTimes ? { "@timestamp": row.time } : {}),
      metric_name: row.metric,
      value: row.value,
      type,
      tags: Object.fromEntries(used.map((name) => [name, row.tags[TAGS.indexOf(name)]])),
    })),
    columns: {
      type,
      columns: {
        ...(hasTimes ? { ts: rows.map((row) => row.time) } : {}),
        metric: rows.map((row) => row.metric),
        value: rows.map((row) => row.value),
        ...Object.fromEntries(used.map((name) => [name, rows.map(({ tags }) => tags[TAGS.indexOf(name)])])),
      },
    },
  }));

describe("an Arrow stream", () => {
  const words = fc.option(fc.constantFrom("a", "b", "mail", "é", "long text of many bytes", ""), {
    nil: undefined,
  });
  const rows = fc.array(
    fc.record({
      metric: fc.constantFrom("first", "second"),
      // JSON.stringify writes -0 as 0.
      value: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
      ts: fc.integer({ min: ELEVEN_MS, max: ELEVEN_MS + 10_000 }),
      job: words,
      user: words,
      task_id: words,
    }),
    { minLength: 1, maxLength: 40 },
  );

  test("is the samples of the same events, with texts and with dictionaries", async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.subarray(["metric", "job", "user", "task_id"]), async (listed, coded) => {
        const column = (name: "metric" | "job" | "user" | "task_id"): WrittenColumn => {
          const values = listed.map((row) => row[name]);
          return coded.includes(name) ? { name, is: "dictionary", values } : { name, is: "text", values };
        };
        const stream = arrowStream([
          { name: "ts", is: "time", values: Float64Array.from(listed, ({ ts }) => ts) },
          { name: "value", is: "number", values: Float64Array.from(listed, ({ value }) => value) },
          column("metric"),
          column("job"),
          column("user"),
          column("task_id"),
        ]);
        const expected = events.decode(
          Buffer.from(
            JSON.stringify(
              listed.map(({ metric, value, ts, ...tags }) => ({
                "@timestamp": ts,
                metric_name: metric,
                value,
                tags,
              })),
            ),
          ),
        );
        expect(formOf("", stream)).toBe("arrow");
        const got = await columns.decode("arrow", stream, { strict: false });
        expect(samplesOf(got)).toEqual(samplesOf(expected));
      }),
      runs(100),
    );
  });
});

describe("columns of JSON", () => {
  test("are the samples, and the rejected samples, of the same events", async () => {
    await fc.assert(
      fc.asyncProperty(table, async ({ events: listed, columns: body }) => {
        const expected = events.decode(Buffer.from(JSON.stringify(listed)));
        const bytes = Buffer.from(JSON.stringify(body));
        expect(formOf("", bytes)).toBe("json");
        const got = await columns.decode("json", bytes, { strict: false });
        expect(samplesOf(got)).toEqual(samplesOf(expected));
        expect(rejectedOf(got)).toEqual(rejectedOf(expected));
      }),
      runs(100),
    );
  });

  test("are recognised by an array, and events are not", () => {
    const recognised = [
      '{"columns":{"value":[1]}}',
      ' [ {"metric":"m", "columns" : {"job":"a", "value" : []}}]',
      '\ufeff{"help":"a \\" b","columns":{"value":[1]}}\n{}',
    ];
    const others = [
      '{"metric_name":"m","value":1,"columns":{"member":[1]}}',
      '{"columns":{"member":"x"},"metric_name":"m","value":1}',
      '{"columns":[1]}',
      '{"columns":{"value":1}}',
      "[]",
      "{}",
      "",
      "columns",
      '{"a":{"columns":{"value":[1]}}}',
      '{"columns":{"value"',
    ];
    expect(recognised.map((body) => formOf("", Buffer.from(body)))).toEqual(recognised.map(() => "json"));
    expect(others.map((body) => formOf("", Buffer.from(body)))).toEqual(others.map(() => undefined));
  });
});

/** Cuts a body, or changes some of its bytes. */
const damage = fc.oneof(
  fc.record({ cut: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({
    flips: fc.array(
      fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.integer({ min: 0, max: 255 }) }),
      { minLength: 1, maxLength: 6 },
    ),
  }),
);

function damaged(
  body: Uint8Array,
  how: typeof damage extends fc.Arbitrary<infer Damage> ? Damage : never,
): Uint8Array {
  if ("cut" in how) return body.slice(0, Math.floor(how.cut * body.length));
  const copy = body.slice();
  for (const { at, byte } of how.flips) copy[Math.min(copy.length - 1, Math.floor(at * copy.length))] = byte;
  return copy;
}

describe("a damaged body is stored or rejected, and is no fault:", () => {
  const isHandled = async (form: "arrow" | "json", body: Uint8Array) => {
    const batch = await columns.decode(form, body, { strict: false, metric: "m" }).catch((error: unknown) => {
      if (!(error instanceof RequestError)) throw error;
      return undefined;
    });
    if (batch === undefined) return;
    expect(batch.length + batch.rejected.length).toBeLessThanOrEqual(options.eventsMax);
    samplesOf(batch);
  };

  const fixtures = readdirSync(join(import.meta.dir, "../../../fixtures/arrow"))
    .filter((name) => /\.arrows?$/.test(name))
    .sort();
  test("an Arrow stream", async () => {
    expect(fixtures.length).toBeGreaterThan(20);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fixtures), damage, (name, how) =>
        isHandled("arrow", damaged(arrowFixture(name), how)),
      ),
      runs(1_000),
    );
  });

  test("columns of JSON", async () => {
    await fc.assert(
      fc.asyncProperty(table, damage, ({ columns: body }, how) =>
        isHandled("json", damaged(Buffer.from(JSON.stringify(body)), how)),
      ),
      runs(200),
    );
  });
});
