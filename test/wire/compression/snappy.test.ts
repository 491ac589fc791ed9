/** Snappy blocks: each block of the reference package is read back, and a broken block never yields invented bytes. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import snappyjs from "snappyjs";
import { BadInput, TooLarge } from "../../../src/model/errors.ts";
import { decompressSnappyBlock } from "../../../src/wire/compression/snappy.ts";
import { runs } from "../../runs.ts";

const LIMIT = 1_000_000;
const bytes = (...values: number[]) => Uint8Array.from(values);
const ok = (name: string, block: Uint8Array, want: string) =>
  test(name, () => expect(decompressSnappyBlock(block, LIMIT).toString("latin1")).toBe(want));
const bad = (name: string, block: Uint8Array, message: string) =>
  test(name, () => {
    expect(() => decompressSnappyBlock(block, LIMIT)).toThrow(BadInput);
    expect(() => decompressSnappyBlock(block, LIMIT)).toThrow(message);
  });

// Elements written by hand from the format's description: length, then literals and copies.
const ab = [0x61, 0x62];
describe("reads a block with", () => {
  ok("nothing", bytes(0), "");
  ok("a literal", bytes(2, 1 << 2, ...ab), "ab");
  ok("a literal whose length has a byte of its own", bytes(2, 60 << 2, 1, ...ab), "ab");
  ok("a literal whose length has two bytes", bytes(2, 61 << 2, 1, 0, ...ab), "ab");
  ok("a copy with an offset of one byte", bytes(8, 1 << 2, ...ab, 1 | (2 << 2), 2), "abababab");
  ok("a copy with an offset of two bytes", bytes(5, 1 << 2, ...ab, 2 | (2 << 2), 2, 0), "ababa");
  ok("a copy with an offset of four bytes", bytes(5, 1 << 2, ...ab, 3 | (2 << 2), 1, 0, 0, 0), "abbbb");
  ok(
    "a copy of 64 bytes that overlaps itself",
    bytes(66, 1 << 2, ...ab, 2 | (63 << 2), 2, 0),
    "ab".repeat(33),
  );
});

describe("reports that", () => {
  bad("the block is empty", bytes(), "its length is truncated");
  bad("the length does not end", bytes(255, 255, 255, 255, 255, 1), "more than 32 bits");
  bad("a literal is truncated", bytes(2, 1 << 2, 0x61), "truncated at byte 3");
  bad("the length of a literal is truncated", bytes(2, 61 << 2, 1), "truncated at byte 3");
  bad("a copy is truncated", bytes(5, 1 << 2, ...ab, 2 | (2 << 2), 2), "truncated at byte 6");
  bad("the block inflates to less", bytes(3, 1 << 2, ...ab), "inflates to 2 of the 3 bytes");
  bad("a literal inflates to more", bytes(1, 1 << 2, ...ab), "inflates to more than the 1 bytes");
  bad(
    "a copy inflates to more",
    bytes(3, 1 << 2, ...ab, 2 | (2 << 2), 2, 0),
    "inflates to more than the 3 bytes",
  );
  bad("a copy has no offset", bytes(5, 1 << 2, ...ab, 2 | (2 << 2), 0, 0), "before its beginning");
  bad(
    "a copy is from before the beginning",
    bytes(5, 1 << 2, ...ab, 2 | (2 << 2), 3, 0),
    "before its beginning",
  );
  bad("a few bytes cannot inflate to that many", bytes(0x80, 0x80, 8, 0, 0x61), "cannot inflate to 131072");
});

test("rejects a block past the limit before it allocates", () => {
  const block = new Uint8Array(snappyjs.compress(new Uint8Array(1_001)));
  expect(decompressSnappyBlock(block, 1_001).length).toBe(1_001);
  expect(() => decompressSnappyBlock(block, 1_000)).toThrow(TooLarge);
});

const content = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }),
  fc
    .array(fc.constantFrom("job=node", "instance=host:9100", "a", "bb", "\u0000"), { maxLength: 400 })
    .map((parts) => new Uint8Array(Buffer.from(parts.join("")))),
);

test("reads back what the reference package compresses", () => {
  fc.assert(
    fc.property(content, (original) => {
      const block = new Uint8Array(snappyjs.compress(original));
      expect(new Uint8Array(decompressSnappyBlock(block, LIMIT))).toEqual(original);
    }),
    runs(500),
  );
});

test("a changed block is read as the reference package reads it, or rejected", () => {
  fc.assert(
    fc.property(content, fc.nat(), fc.nat(255), (original, at, byte) => {
      const block = new Uint8Array(snappyjs.compress(original));
      block[at % block.length] = byte;
      let ours: Uint8Array;
      try {
        ours = new Uint8Array(decompressSnappyBlock(block, LIMIT));
      } catch (error) {
        expect(error).toBeInstanceOf((error as Error).name === "TooLarge" ? TooLarge : BadInput);
        return;
      }
      expect(ours).toEqual(new Uint8Array(snappyjs.uncompress(block)));
    }),
    runs(500),
  );
});
