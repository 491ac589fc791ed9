/** The rows of the journal: their bytes in a record, and the columns in which they gather. */
import { expect, test } from "bun:test";
import { type Rows, slicedRows } from "../../../src/model/sample.ts";
import { TextBuilder } from "../../../src/store/engine/columns.ts";
import {
  bytesOfShape,
  GatheredRows,
  readRows,
  shapeOf,
  writeRows,
} from "../../../src/store/journal/journal-rows.ts";

interface Sample {
  readonly us: number;
  readonly value: number | null;
  readonly tags?: Readonly<Record<string, string>>;
}

const DAY = 20_000;

function rowsOf(samples: readonly Sample[], hasStale = true): Rows {
  const names = [...new Set(samples.flatMap(({ tags = {} }) => Object.keys(tags)))];
  const builder = new TextBuilder();
  return {
    day: DAY,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ({ us }) => us % 7),
    timestampUs: Float64Array.from(samples, ({ us }) => us),
    value: Float64Array.from(samples, ({ value }) => value ?? 0),
    stale: hasStale ? Uint8Array.from(samples, ({ value }) => (value === null ? 1 : 0)) : undefined,
    live: Uint8Array.from(samples, ({ us }) => us % 2),
    attributes: names.map((name) => ({
      name,
      ...builder.column(samples.map(({ tags }) => tags?.[name] ?? "")),
    })),
    text: builder.text,
  };
}

function samplesOf(rows: Rows): Sample[] {
  const text = Buffer.from(rows.text);
  return Array.from({ length: rows.length }, (_, row) => {
    expect(rows.seriesId[row]).toBe(rows.timestampUs[row]! % 7);
    expect(rows.live[row]).toBe(rows.timestampUs[row]! % 2);
    const tags = Object.fromEntries(
      rows.attributes
        .map(({ name, offset, length }) => [
          name,
          text.toString("utf8", offset[row]!, offset[row]! + length[row]!),
        ])
        .filter(([, value]) => value !== ""),
    );
    const value = rows.stale?.[row] === 1 ? null : rows.value[row]!;
    const us = rows.timestampUs[row]!;
    return Object.keys(tags).length === 0 ? { us, value } : { us, value, tags };
  });
}

const long = "x".repeat(300);
const mixed: Sample[] = [
  { us: 1, value: 0.1, tags: { task_id: "a" } },
  { us: 2, value: null },
  { us: 3, value: -0, tags: { task_id: "ünïcode 🦆", trace_id: long } },
  { us: 4, value: Number.POSITIVE_INFINITY, tags: { trace_id: "t" } },
  { us: 5, value: 1e300, tags: { task_id: long, trace_id: long } },
];

test("reads rows from the bytes that were written, at any position", () => {
  for (const samples of [mixed, mixed.slice(0, 1), [], [{ us: 9, value: 1 }]]) {
    const rows = rowsOf(samples);
    const shape = shapeOf(rows);
    for (const at of [0, 1, 8, 13]) {
      const target = Buffer.alloc(at + bytesOfShape(shape) + 3).fill(0xaa);
      const end = writeRows(rows, target, at);
      expect(end).toBe(target.length - 3);
      const read = readRows(shape, target, at);
      expect(read.end).toBe(end);
      expect(samplesOf(read.rows)).toEqual(samples);
      expect([target.subarray(0, at), target.subarray(end)].map((rest) => new Set(rest))).toEqual(
        [at, 3].map((bytes) => new Set(bytes === 0 ? [] : [0xaa])),
      );
    }
  }
});

test("slices have the same rows as the whole", () => {
  for (let from = 0; from <= mixed.length; from++) {
    for (let to = from; to <= mixed.length; to++) {
      const rows = slicedRows(rowsOf(mixed), from, to);
      expect(samplesOf(rows)).toEqual(mixed.slice(from, to));
      const target = Buffer.alloc(bytesOfShape(shapeOf(rows)));
      writeRows(rows, target, 0);
      expect(samplesOf(readRows(shapeOf(rows), target, 0).rows)).toEqual(mixed.slice(from, to));
    }
  }
});

test("gathers rows with different attributes, and leaves nothing of them when the memory is used again", () => {
  const gathered = new GatheredRows(DAY - 1).reuse(DAY);
  for (let round = 0; round < 4; round++) {
    const want: Sample[] = [];
    const add = (samples: readonly Sample[], hasStale?: boolean) => {
      gathered.add(rowsOf(samples, hasStale));
      want.push(...samples);
    };
    // Each round has its rows in another order, and so other rows where the round before had stale markers and attributes.
    const parts = [
      mixed,
      [{ us: 7, value: 7 }],
      mixed.toReversed(),
      [{ us: 8, value: 8, tags: { other: "o" } }],
    ];
    for (let part = 0; part < parts.length; part++) {
      const samples = parts[(part + round) % parts.length]!;
      add(
        samples,
        samples.some(({ value }) => value === null),
      );
      expect(samplesOf(gathered.rows())).toEqual(want);
    }
    for (let row = 0; row < 3_000; row++) add([{ us: 10 + row, value: row }], false);
    expect(samplesOf(gathered.rows())).toEqual(want);
    expect(gathered.attributeNames.toSorted()).toEqual(["other", "task_id", "trace_id"]);
    expect(gathered.reuse(DAY).length).toBe(0);
    expect(gathered.attributeNames).toEqual([]);
  }
  gathered.add(rowsOf([{ us: 1, value: 1 }]));
  expect(gathered.rows().attributes).toEqual([]);
});
