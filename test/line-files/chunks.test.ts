/** Divides a file into chunks of whole lines: offsets, hashes and remainders. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  cutIntoChunks,
  type FileChunk,
  isWholeObject,
  lastLine,
  lineHash,
  type Remainder,
} from "../../src/line-files/chunks.ts";
import { Fingerprint } from "../../src/line-files/fingerprint.ts";
import { runs } from "../runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array): string => new TextDecoder().decode(value);

async function* piecesOf(pieces: readonly (string | Uint8Array | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield typeof piece === "string" ? bytes(piece) : piece;
  }
}

const fingerprintOf = (content: Uint8Array): Fingerprint => {
  const fingerprint = new Fingerprint();
  fingerprint.pass(content);
  return fingerprint;
};

/** Divides pieces that follow other content. */
async function cut(
  pieces: readonly (string | Uint8Array | Error)[],
  chunkBytesMax = 20,
  behind: Uint8Array = new Uint8Array(0),
): Promise<{ chunks: FileChunk[]; remainders: Remainder[]; error?: unknown }> {
  const chunks: FileChunk[] = [];
  const remainders: Remainder[] = [];
  try {
    for await (const chunk of cutIntoChunks(piecesOf(pieces), fingerprintOf(behind), chunkBytesMax, (each) =>
      remainders.push(each),
    )) {
      chunks.push(chunk);
    }
  } catch (error) {
    return { chunks, remainders, error };
  }
  return { chunks, remainders };
}

/** `[from, to, body]` of each chunk. */
const places = (chunks: readonly FileChunk[]) =>
  chunks.map((each) => [each.fromOffset, each.toOffset, text(each.body)]);

describe("lines", () => {
  test("a line's hash is that of its bytes without the line's end", () => {
    // printf abc | sha256sum
    const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (const line of ["abc", "abc\n", "abc\r\n"]) expect(lineHash(bytes(line))).toBe(abc);
    expect(lineHash(bytes("abc "))).not.toBe(abc);
  });

  test("the last line of some bytes is found with and without a newline", () => {
    for (const [all, last] of [
      ["a\nb\n", "b\n"],
      ["a\nb", "b"],
      ["a", "a"],
      ["\n", "\n"],
      ["a\n\n", "\n"],
      ["", ""],
    ]) {
      expect(text(lastLine(bytes(all!)))).toBe(last!);
    }
  });

  test("no prefix of an object counts as a whole object", () => {
    const line = '{"a":{"b":[1,"}"]},"c":"é"}';
    const whole = bytes(line);
    for (let end = 0; end < whole.length; end++) expect(isWholeObject(whole.subarray(0, end))).toBe(false);
    expect(isWholeObject(whole)).toBe(true);
    for (const other of ["[]", "1", "null", '"{}"', ""]) expect(isWholeObject(bytes(other))).toBe(false);
  });
});

describe("chunks", () => {
  test("end with a whole line, and are as long as the limit allows", async () => {
    const { chunks, remainders } = await cut(['{"a":1}\n{"a":2}\n{"a"', ":3}\n"]);
    expect(places(chunks)).toEqual([
      [0, 16, '{"a":1}\n{"a":2}\n'],
      [16, 24, '{"a":3}\n'],
    ]);
    expect(chunks.map((each) => each.lastLineHash)).toEqual([
      lineHash(bytes('{"a":2}')),
      lineHash(bytes('{"a":3}')),
    ]);
    expect(remainders).toEqual([]);
  });

  test("contain a line that ends exactly at the limit", async () => {
    expect(places((await cut(["1234567\n", "1234567\n"], 8)).chunks)).toEqual([
      [0, 8, "1234567\n"],
      [8, 16, "1234567\n"],
    ]);
  });

  test("omit an incomplete last line, and contain a whole last line without a newline", async () => {
    const whole = await cut(['{"a":1}\n{"a":2}']);
    expect(places(whole.chunks)).toEqual([[0, 15, '{"a":1}\n{"a":2}']]);
    expect(whole.chunks[0]!.lastLineHash).toBe(lineHash(bytes('{"a":2}')));
    expect(whole.remainders).toEqual([]);

    const half = await cut(['{"a":1}\n{"a":']);
    expect(places(half.chunks)).toEqual([[0, 8, '{"a":1}\n']]);
    expect(half.remainders).toEqual([{ kind: "cut", offset: 8, bytes: 5 }]);
  });

  test("continue after a newline that was written later, which counts as a blank line", async () => {
    // First import ended at 15, before the newline.
    const before = bytes('{"a":1}\n{"a":2}');
    expect((await cut(["\n"], 20, before)).chunks).toEqual([]);
    expect(places((await cut(['\n{"a":3}\n'], 20, before)).chunks)).toEqual([[15, 24, '\n{"a":3}\n']]);
  });

  test("are not made of white space alone, which belongs to the next chunk", async () => {
    const { chunks } = await cut([" \n\n\n\n\n\n\n\n\n\n", '{"a":1}\n'], 10);
    // The first 10 bytes fill a chunk that is omitted. The 11th byte begins the next.
    expect(places(chunks)).toEqual([[0, 19, '\n{"a":1}\n']]);
  });

  test("omit an over-long line, and report its offset", async () => {
    const long = "x".repeat(50);
    const { chunks, remainders } = await cut(
      ['{"a":1}\n', long.slice(0, 30), long.slice(30), "\n", '{"a":2}\n'],
      20,
    );
    expect(places(chunks)).toEqual([
      [0, 8, '{"a":1}\n'],
      [8, 67, '{"a":2}\n'],
    ]);
    expect(remainders).toMatchObject([{ kind: "overlong", offset: 8, bytes: 51, after: { bytes: 59 } }]);
  });

  test("report an over-long line at the end, and do not count it as imported", async () => {
    const { chunks, remainders } = await cut(['{"a":1}\n', "x".repeat(50)], 20);
    expect(places(chunks)).toEqual([[0, 8, '{"a":1}\n']]);
    expect(remainders).toEqual([{ kind: "overlong", offset: 8, bytes: 50, after: undefined }]);
  });

  test("contain the whole lines before a failure, which is thrown afterwards", async () => {
    const { chunks, error } = await cut(['{"a":1}\n{"a":2}', new Error("gone")]);
    expect(places(chunks)).toEqual([[0, 8, '{"a":1}\n']]);
    expect((error as Error).message).toBe("gone");
  });

  test("contain each line once for any division of the bytes, and can continue at any chunk's end", async () => {
    const line = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.string({ unit: "binary", maxLength: 18 }).map((each) => JSON.stringify({ a: each })),
      },
      fc.constant(""),
      fc.string({ maxLength: 60 }).map((each) => each.replaceAll("\n", "")),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { maxLength: 30 }),
        fc.boolean(),
        fc.array(fc.nat(40), { maxLength: 40 }),
        fc.nat(),
        async (lines, ended, lengths, pick) => {
          const limit = 48;
          const all = bytes(lines.join("\n") + (ended && lines.length > 0 ? "\n" : ""));
          const pieces: Uint8Array[] = [];
          let at = 0;
          for (const length of [...lengths, all.length]) {
            pieces.push(all.subarray(at, at + length));
            at += length;
          }
          const { chunks } = await cut(pieces, limit);

          const complete = (ended ? lines : lines.slice(0, -1)).filter(
            (each) => each.trim() !== "" && bytes(each).length < limit,
          );
          const last = lines.at(-1);
          if (!ended && last !== undefined && isWholeObject(bytes(last)) && bytes(last).length < limit)
            complete.push(last);
          const got = chunks
            .flatMap((each) => text(each.body).split("\n"))
            .filter((each) => each.trim() !== "");
          expect(got).toEqual(complete);

          let from = 0;
          for (const chunk of chunks) {
            expect(chunk.fromOffset).toBe(from);
            expect(chunk.body.length).toBeLessThanOrEqual(limit);
            expect(chunk.lastLineHash).toBe(lineHash(lastLine(all.subarray(0, chunk.toOffset))));
            const content = fingerprintOf(all.subarray(0, chunk.toOffset));
            expect([chunk.after.hash, chunk.after.marks]).toEqual([content.hash, content.marks]);
            from = chunk.toOffset;
          }
          if (chunks.length > 0) {
            const stop = pick % chunks.length;
            const { toOffset } = chunks[stop]!;
            const resumed = await cut([all.subarray(toOffset)], limit, all.subarray(0, toOffset));
            const rest = (each: readonly FileChunk[]) => each.map((chunk) => text(chunk.body)).join("");
            expect(
              rest(resumed.chunks)
                .split("\n")
                .filter((each) => each.trim() !== ""),
            ).toEqual(
              rest(chunks.slice(stop + 1))
                .split("\n")
                .filter((each) => each.trim() !== ""),
            );
          }
        },
      ),
      runs(200),
    );
  });
});
