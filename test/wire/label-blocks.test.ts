/** Label blocks that were seen before are found by their bytes, and all are dropped when there are too many. */
import { expect, test } from "bun:test";
import type { SeriesHead } from "../../src/model/sample.ts";
import { EventDecoder } from "../../src/receive/events/events.ts";
import { LabelBlocks } from "../../src/wire/label-blocks.ts";
import { DEFAULTS } from "../defaults.ts";

const head = (metric: string): SeriesHead => ({ metric, kind: "gauge", labels: new Map() });

test("a block is found by its bytes alone, at any offset", () => {
  const blocks = new LabelBlocks();
  const source = Buffer.from("..abcabd");
  const number = blocks.add(source, 3, 7, head("abc"), 2);
  expect(blocks.find(Buffer.from("abc"), 3, 7)).toBe(number);
  expect(blocks.find(source, 3, 7, 2)).toBe(number);
  // Two blocks can have equal hashes and different bytes.
  expect(blocks.find(source, 3, 7, 5)).toBe(-1);
  expect(blocks.find(Buffer.from("ab"), 2, 7)).toBe(-1);
  expect(blocks.lengthAt(number, source, 2)).toBe(3);
  expect(blocks.lengthAt(number, source, 5)).toBe(-1);
  expect(blocks.lengthAt(number, source, 6)).toBe(-1);
  expect(blocks.head(number).metric).toBe("abc");
});

test("when full, all blocks are dropped and the generation changes", () => {
  const blocks = new LabelBlocks(2);
  const before = blocks.generation;
  for (const name of ["a", "b"]) blocks.add(Buffer.from(name), 1, 1, head(name));
  expect(blocks.generation).toBe(before);
  expect(blocks.add(Buffer.from("c"), 1, 1, head("c"))).toBe(0);
  expect(blocks.generation).not.toBe(before);
  expect(blocks.find(Buffer.from("a"), 1, 1)).toBe(-1);
  expect(blocks.head(0).metric).toBe("c");
});

test("samples keep their series in a body with more series than blocks", () => {
  const decoder = new EventDecoder({
    nameBytesMax: 200,
    tagsMax: 64,
    tagValueBytesMax: 4_096,
    eventsMax: DEFAULTS.eventsMax,
    isAttribute: () => false,
    attributesOf: () => [],
    epoch: () => 0,
  });
  const count = 65_536 + 3;
  const lines = Array.from(
    { length: count },
    (_, index) => `{"metric_name":"m","value":${index},"tags":{"n":"${index}"}}`,
  );
  const batch = decoder.decode(Buffer.from(lines.join("\n")));
  expect(batch.length).toBe(count);
  for (let index = 0; index < count; index++) {
    if (batch.heads[batch.head[index]!]!.labels.get("n") !== String(batch.value[index]))
      throw new Error(`event ${index} has a wrong series`);
  }
});
