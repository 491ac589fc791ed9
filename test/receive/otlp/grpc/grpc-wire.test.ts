/** gRPC's messages, timeouts and texts, one line per case of the protocol. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  frameOf,
  MessageReader,
  messageEncoding,
  percentEncoded,
  timeoutMs,
} from "../../../../src/receive/otlp/grpc/grpc-wire.ts";
import { runs } from "../../../runs.ts";

describe("a message", () => {
  const read = (...parts: readonly number[][]) => {
    const reader = new MessageReader(1_000);
    for (const part of parts) reader.add(Uint8Array.from(part));
    const { isCompressed, bytes } = reader.end();
    return [isCompressed, [...bytes]];
  };

  test("is put together from the parts in which it arrives", () => {
    expect(read([0, 0, 0, 0, 0])).toEqual([false, []]);
    expect(read([0, 0, 0, 0, 2, 7, 8])).toEqual([false, [7, 8]]);
    expect(read([1, 0], [0, 0], [2], [], [7], [8])).toEqual([true, [7, 8]]);
    expect(read([], [0, 0, 0, 0, 3, 9], [9, 9])).toEqual([false, [9, 9, 9]]);
  });

  const bad = (name: string, parts: readonly number[][], message: string) =>
    test(name, () => expect(() => read(...parts)).toThrow(message));
  bad("that is missing is rejected", [], "The request has no message; expected exactly one.");
  bad(
    "with half of a prefix is rejected",
    [[0, 0, 0]],
    "The message ends after 3 bytes with its prefix, expected at least 5.",
  );
  bad(
    "that is truncated is rejected",
    [[0, 0, 0, 0, 2, 7]],
    "The message ends after 6 bytes with its prefix, expected 7.",
  );
  bad("after another message is rejected", [[0, 0, 0, 0, 0, 0]], "The request has more than one message");
  bad("that is longer than its prefix says is rejected", [[0, 0, 0, 0, 1, 7], [8]], "more than one message");
  bad(
    "with an unknown flag is rejected",
    [[2, 0, 0, 0, 0]],
    "The first byte of the message is 2, expected 0 or 1 (1: it is compressed).",
  );
  bad(
    "that is too large is rejected by its prefix",
    [[0, 0, 0, 3, 233]],
    "A message may have 1000 bytes (setting bodyBytesMax) and has 1001.",
  );
  bad("of 4 GiB is rejected by its prefix", [[0, 255, 255, 255, 255]], "and has 4294967295.");

  test("is what its frame was made of, however the frame is divided", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40_000 }),
        fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 6 }),
        (message, sizes) => {
          const frame = frameOf(message);
          const reader = new MessageReader(40_000);
          let at = 0;
          for (const size of [...sizes, frame.length]) {
            reader.add(frame.subarray(at, at + size));
            at = Math.min(frame.length, at + size);
          }
          expect(Buffer.compare(reader.end().bytes, message)).toBe(0);
        },
      ),
      runs(100),
    );
  });
});

describe("the values of headers", () => {
  const timeout = (header: string | undefined, want: number | undefined) =>
    test(`grpc-timeout ${header} is ${want} ms`, () => expect(timeoutMs(header)).toBe(want));
  timeout(undefined, undefined);
  timeout("1H", 3_600_000);
  timeout("2M", 120_000);
  timeout("99999999S", 99_999_999_000);
  timeout("250m", 250);
  timeout("1500u", 1.5);
  timeout("0n", 0);
  for (const header of ["", "5", "S", "5s", "-1S", "1.5S", "999999999S", "5 S"]) {
    test(`grpc-timeout ${JSON.stringify(header)} is rejected`, () =>
      expect(() => timeoutMs(header)).toThrow(`grpc-timeout is ${JSON.stringify(header)}, expected`));
  }

  test("grpc-encoding names a supported encoding", () => {
    expect(["gzip", "deflate", "zstd", "snappy", "identity", undefined].map(messageEncoding)).toEqual([
      "gzip",
      "deflate",
      "zstd",
      "snappy",
      undefined,
      undefined,
    ]);
    expect(() => messageEncoding("constructor")).toThrow(
      'grpc-encoding "constructor" is not supported, expected one of identity,gzip,deflate,zstd,snappy.',
    );
  });

  test("grpc-message has printable ASCII only", () => {
    expect(percentEncoded('a "b" 100%\n')).toBe('a "b" 100%25%0A');
    expect(percentEncoded("Zé…")).toBe("Z%C3%A9%E2%80%A6");
    const text = fc.string({ unit: "grapheme" });
    fc.assert(
      fc.property(text, (one) => expect(decodeURIComponent(percentEncoded(one))).toBe(one)),
      runs(),
    );
  });
});
