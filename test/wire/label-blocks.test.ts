/** Label blocks that were seen before are found by their bytes, and all or half are dropped when there are too many. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SeriesHead } from "../../src/model/sample.ts";
import { EventDecoder } from "../../src/receive/events/events.ts";
import { LabelBlocks } from "../../src/wire/label-blocks.ts";
import { ByteLoops } from "../../src/wire/wasm/byte-loops.ts";
import { DEFAULTS } from "../defaults.ts";
import { runs } from "../runs.ts";

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

test("while series exist, twice as many blocks are remembered, and more bytes", () => {
  let seriesCount = 3;
  const blocks = new LabelBlocks<string>(2, { seriesCount: () => seriesCount });
  const add = (text: string) => blocks.add(Buffer.from(text), text.length, 1, text);
  for (const text of ["a", "b", "c", "d", "e", "f"]) add(text);
  expect(blocks.generation).toBe(0);
  add("g");
  expect([blocks.generation, blocks.count]).toEqual([1, 1]);
  // 33 blocks of 1 MiB are more than 32 MiB.
  seriesCount = 1_048_576;
  const large = Buffer.alloc(1_048_576, "x");
  for (let index = 0; index < 33; index++) blocks.add(large, large.length, index, "large");
  expect([blocks.generation, blocks.count]).toEqual([1, 34]);
  seriesCount = 0;
  add("h");
  expect([blocks.generation, blocks.count]).toEqual([2, 1]);
});

test("when half is kept, these are the blocks that were found again, then the oldest ones", () => {
  const blocks = new LabelBlocks<string>(6, { keepsHalf: true });
  const find = (text: string) => {
    const block = blocks.find(Buffer.from(text), text.length, 1);
    return block < 0 ? undefined : blocks.head(block);
  };
  const add = (text: string) => blocks.add(Buffer.from(text), text.length, 1, text);
  for (const text of ["a", "bb", "ccc", "d", "ee", "fff"]) add(text);
  // Both ways to find a block count.
  expect(find("ee")).toBe("ee");
  expect(blocks.lengthAt(2, Buffer.from("ccc"), 0)).toBe(3);
  expect(blocks.generation).toBe(0);
  expect(add("g")).toBe(3);
  expect(blocks.generation).toBe(1);
  expect(["a", "bb", "ccc", "d", "ee", "fff", "g"].filter((text) => find(text) !== undefined)).toEqual([
    "a",
    "ccc",
    "ee",
    "g",
  ]);
});

test("of series that are sent in turn, more than fit, half of those that fit are found each time", () => {
  const blocks = new LabelBlocks<number>(100, { keepsHalf: true });
  const found = () => {
    let count = 0;
    for (let index = 0; index < 150; index++) {
      const key = Buffer.from(`series ${index}`);
      const block = blocks.find(key, key.length, index);
      if (block < 0) blocks.add(key, key.length, index, index);
      else if (blocks.head(block) === index) count++;
    }
    return count;
  };
  found();
  for (let round = 0; round < 5; round++) expect(found()).toBeGreaterThanOrEqual(50);
});

test("blocks with equal hashes are never confused, whatever is dropped, and wherever their bytes are", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 20 });
  fc.assert(
    fc.property(
      fc.array(fc.record({ text, before: fc.nat(3), after: fc.string({ maxLength: 3 }) }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      fc.boolean(),
      (messages, entriesMax, keepsHalf, inLoops) => {
        const blocks = new LabelBlocks<string>(entriesMax, { keepsHalf });
        const loops = inLoops ? ByteLoops.open()! : undefined;
        for (const [index, sent] of messages.entries()) {
          const plain = Buffer.from("#".repeat(sent.before) + sent.text + sent.after);
          let message: Buffer = plain;
          // Some messages are too large for the memory of the loops.
          if (loops !== undefined && index % 5 !== 4) {
            blocks.arrange(loops, new Uint8Array(0), plain.length);
            message = loops.message;
            message.set(plain);
          }
          const { length } = sent.text;
          for (let entry = 0; entry < blocks.count; entry++) {
            const head = blocks.head(entry);
            const isThere = message.subarray(sent.before).toString().startsWith(head);
            expect(blocks.lengthAt(entry, message, sent.before)).toBe(isThere ? head.length : -1);
          }
          const known = Array.from({ length: blocks.count }, (_, entry) => blocks.head(entry));
          const block = blocks.find(message, length, 7, sent.before);
          expect(block < 0 ? undefined : blocks.head(block)).toBe(known.find((head) => head === sent.text));
          if (block >= 0) continue;
          const added = blocks.add(message, length, 7, sent.text, sent.before);
          expect(blocks.head(added)).toBe(sent.text);
          expect(blocks.find(message, length, 7, sent.before)).toBe(added);
          expect(blocks.count).toBeLessThanOrEqual(entriesMax);
        }
      },
    ),
    runs(100),
  );
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
