/** The loops in WebAssembly do what JavaScript does. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import snappyjs from "snappyjs";
import { MessageRoom } from "../../../src/receive/remote-write/message-room.ts";
import { RemoteWriteDecoder } from "../../../src/receive/remote-write/remote-write.ts";
import { decompressSnappyBlock } from "../../../src/wire/compression/snappy.ts";
import { LabelBlocks } from "../../../src/wire/label-blocks.ts";
import { ByteLoops, MESSAGE_BYTES_MAX } from "../../../src/wire/wasm/byte-loops.ts";
import { plain } from "../../receive/remote-write/decoded.ts";
import { encodeV1, type Series } from "../../receive/remote-write/messages.ts";
import { runs } from "../../runs.ts";

const LIMIT = 1_000_000;

/** What a function returns, or the message of its error. */
function outcome(of: () => string): string {
  try {
    return of();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Decompresses a block with the loops; a room is used for many blocks. */
const inflated = (room: MessageRoom, block: Uint8Array) =>
  new Uint8Array(decompressSnappyBlock(block, LIMIT, (bytes) => room.reserve(block, bytes)));
const inflatedByJavaScript = (block: Uint8Array) => new Uint8Array(decompressSnappyBlock(block, LIMIT));

const content = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ minLength: 250, maxLength: 3_000, size: "max" }),
  // Copies of all distances, also those that overlap.
  fc
    .array(fc.constantFrom("job=node", "instance=host:9100", "a", "bb", "ccccccccccccccccc"), {
      maxLength: 1_000,
      size: "max",
    })
    .map((parts) => new Uint8Array(Buffer.from(parts.join("")))),
);

test("the loops inflate a block to what was compressed", () => {
  const room = new MessageRoom();
  fc.assert(
    fc.property(content, (original) => {
      const block = new Uint8Array(snappyjs.compress(original));
      expect(Buffer.from(original).equals(inflated(room, block))).toBe(true);
    }),
    runs(300),
  );
});

test("a changed block is inflated as JavaScript does it, or rejected with the same message", () => {
  const room = new MessageRoom();
  fc.assert(
    fc.property(content, fc.nat(), fc.nat(255), fc.boolean(), (original, at, byte, isCut) => {
      const whole = new Uint8Array(snappyjs.compress(original));
      const block = isCut ? whole.slice(0, at % whole.length) : whole;
      if (!isCut) block[at % block.length] = byte;
      const ours = outcome(() => Buffer.from(inflated(room, block)).toString("base64"));
      expect(ours).toBe(outcome(() => Buffer.from(inflatedByJavaScript(block)).toString("base64")));
    }),
    runs(500),
  );
});

test("elements by hand: each length of literals, each size of offsets, and overlapping copies", () => {
  const room = new MessageRoom();
  const long = Array.from({ length: 66_000 }, (_, index) => index % 251);
  const literal = (bytes: readonly number[]) => {
    const length = bytes.length - 1;
    if (length < 60) return [length << 2, ...bytes];
    if (length < 256) return [60 << 2, length, ...bytes];
    if (length < 65_536) return [61 << 2, length & 255, length >> 8, ...bytes];
    return [62 << 2, length & 255, (length >> 8) & 255, length >> 16, ...bytes];
  };
  const header = (length: number) => [(length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14];
  for (const length of [1, 15, 16, 17, 60, 61, 256, 257, 2_100, 65_536, 65_537]) {
    const text = Buffer.from(long.slice(0, length));
    const element = literal([...text]);
    expect(text.equals(inflated(room, Uint8Array.from([...header(length), ...element])))).toBe(true);
    if (length > 2_100) continue;
    for (const offset of [1, 2, 7, 8, 15, 16, 17, 60, 2_000]) {
      if (offset > length) continue;
      for (const bytes of [1, 4, 11, 16, 33, 64]) {
        const want = [...text];
        for (let index = 0; index < bytes; index++) want.push(want[want.length - offset]!);
        const copies = [
          [2 | ((bytes - 1) << 2), offset & 255, offset >> 8],
          [3 | ((bytes - 1) << 2), offset & 255, offset >> 8, 0, 0],
          ...(bytes >= 4 && bytes <= 11
            ? [[1 | ((bytes - 4) << 2) | ((offset >> 8) << 5), offset & 255]]
            : []),
        ];
        for (const copy of copies) {
          const block = Uint8Array.from([...header(want.length), ...element, ...copy]);
          expect(Buffer.from(want).equals(inflated(room, block))).toBe(true);
        }
      }
    }
  }
});

test("kept bytes are compared with all of their length, and remain when the memory grows", () => {
  const loops = ByteLoops.open()!;
  const kept = Buffer.from(Array.from({ length: 100 }, (_, index) => index));
  loops.arrange(new Uint8Array(0), 100, 100);
  loops.kept.set(kept);
  for (const grown of [100, 5_000, 300_000]) {
    loops.arrange(new Uint8Array(grown), grown, grown);
    expect(loops.kept.subarray(0, 100)).toEqual(kept);
    for (let length = 0; length <= 70; length++) {
      loops.message.set(kept, 0);
      expect(loops.isKept(3, 3, length)).toBe(true);
      for (let other = 0; other < length; other++) {
        loops.message[3 + other]! ^= 128;
        expect(loops.isKept(3, 3, length)).toBe(false);
        loops.message[3 + other]! ^= 128;
      }
    }
  }
});

test("blocks that were added before a decoder had loops are found in its messages, and later ones too", () => {
  const blocks = new LabelBlocks<string>();
  blocks.add(Buffer.from("abc"), 3, 1, "abc");
  const loops = ByteLoops.open()!;
  blocks.arrange(loops, new Uint8Array(0), 10);
  loops.message.set(Buffer.from("..abcdefgh"));
  expect(blocks.head(blocks.find(loops.message, 3, 1, 2))).toBe("abc");
  expect(blocks.find(loops.message, 3, 1, 3)).toBe(-1);
  blocks.add(loops.message, 3, 2, "def", 5);
  // Blocks of a message that is not in this memory: it grows, and keeps what it has.
  const other = Buffer.alloc(200_000, "x");
  blocks.add(other, other.length, 3, "x");
  expect(blocks.head(blocks.find(Buffer.from("def"), 3, 2))).toBe("def");
  expect(blocks.head(blocks.find(other, other.length, 3))).toBe("x");
  blocks.arrange(loops, new Uint8Array(0), 3);
  loops.message.set(Buffer.from("def"));
  expect(blocks.head(blocks.find(loops.message, 3, 2))).toBe("def");
});

test("a message in the room, a large one, and one without snappy have equal series", () => {
  const decoder = new RemoteWriteDecoder();
  const series = (count: number): Series[] =>
    Array.from({ length: count }, (_, index) => ({
      labels: { __name__: "m", instance: `host-${index}:9100`, text: "é".repeat(40) },
      samples: [{ value: index, timestamp: 1_000 + index }],
    }));
  const sent = (message: Buffer) => {
    const block = new Uint8Array(snappyjs.compress(message));
    return decompressSnappyBlock(block, 2 * MESSAGE_BYTES_MAX, (bytes) => decoder.reserve(block, bytes));
  };
  const small = encodeV1(series(50));
  const large = encodeV1(series(35_000));
  expect(large.length).toBeGreaterThan(MESSAGE_BYTES_MAX);
  const first = plain(decoder.decode(sent(small)));
  expect(first[49]).toEqual({
    series: `m{instance="host-49:9100",text="${"é".repeat(40)}"}`,
    ms: 1_049,
    value: 49,
  });
  const { batch } = decoder.decode(sent(large));
  expect(batch.heads.length).toBe(35_000);
  expect(plain(decoder.decode(small))).toEqual(first);
  const again = decoder.decode(sent(small));
  expect(plain(again)).toEqual(first);
  // The heads are the same objects, however the message arrived.
  expect(again.batch.heads[7]).toBe(batch.heads[7]!);
});
