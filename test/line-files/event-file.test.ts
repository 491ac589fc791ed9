/** Files as `weir import` reads them: their first line, their lines from any offset, and unreadable content. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { lineHash, type Remainder } from "../../src/line-files/chunks.ts";
import { EventFile } from "../../src/line-files/event-file.ts";
import { stemOf } from "../../src/line-files/file-names.ts";
import { Fingerprint } from "../../src/line-files/fingerprint.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const folder = temporaryFolder();

let files = 0;
const put = (content: string | Uint8Array): string => {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, content);
  return path;
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const line = (n: number): string => `{"n":${n}}\n`;
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("");

async function firstLine(path: string): Promise<string | undefined> {
  const file = await EventFile.open(path);
  try {
    return await file.firstLineHash();
  } finally {
    await file.close();
  }
}

/** The text of all chunks, the fingerprint at their end, the remainders, and the error if there was one. */
async function read(
  path: string,
  from = new Fingerprint(),
): Promise<{ text: string; end: Fingerprint; remainders: Remainder[]; error?: string }> {
  const file = await EventFile.open(path);
  const remainders: Remainder[] = [];
  let text = "";
  let end = from;
  let error: string | undefined;
  try {
    for await (const chunk of file.chunks(from, (each) => remainders.push(each))) {
      text += new TextDecoder().decode(chunk.body);
      expect(chunk.after.bytes).toBe(chunk.toOffset);
      end = chunk.after;
    }
  } catch (thrown) {
    error = (thrown as Error).message;
  } finally {
    await file.close();
  }
  return { text, end, remainders, error };
}
const PACKINGS = [
  ["plain", (text: string) => bytes(text)],
  ["gzip", (text: string) => gzipSync(text)],
  ["zstd", (text: string) => zstdCompressSync(text)],
] as const;

describe("the first line", () => {
  test("is found in plain text, gzip and zstd, after a mark, white space or NUL bytes, or without an end", async () => {
    const hash = lineHash(bytes('{"n":1}'));
    for (const content of [
      lines(1, 3),
      gzipSync(lines(1, 3)),
      zstdCompressSync(lines(1, 3)),
      '{"n":1}',
      '{"n":1}\r\n{"n":2}\r\n',
      `\n \n${line(1)}`,
      `${"\0".repeat(3_000_000)}${line(1)}`,
    ]) {
      expect(await firstLine(put(content))).toBe(hash);
    }
  });

  test("is absent until a line is whole", async () => {
    for (const content of ["", "\n\n", '{"n":', gzipSync(""), zstdCompressSync(""), "\0\0\0", '{"n":\0\0'])
      expect(await firstLine(put(content))).toBeUndefined();
  });

  test("is rejected if the content is not lines of text, with the command that converts it", async () => {
    const event = '{"metric_name":"m","value":1}\n';
    const utf16 = Buffer.from(event, "utf16le");
    for (const [content, message] of [
      ['[{"n":1}]', 'it begins with "[", expected one JSON event per line, not an array'],
      [
        "x".repeat(3_000_000),
        "its first line is longer than 2097152 bytes, expected one JSON event per line",
      ],
      [
        Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]),
        'it is UTF-16 text, expected UTF-8; convert it with "iconv -f UTF-16 -t UTF-8 FILE | weir import -"',
      ],
      [
        Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()]),
        'it is UTF-16 text, expected UTF-8; convert it with "iconv -f UTF-16 -t UTF-8 FILE | weir import -"',
      ],
      [
        utf16,
        'it is UTF-16LE text, expected UTF-8; convert it with "iconv -f UTF-16LE -t UTF-8 FILE | weir import -"',
      ],
      [
        Buffer.from(utf16).swap16(),
        'it is UTF-16BE text, expected UTF-8; convert it with "iconv -f UTF-16BE -t UTF-8 FILE | weir import -"',
      ],
      [
        gzipSync(Buffer.concat([Buffer.from([0xff, 0xfe]), utf16])),
        'it is UTF-16 text, expected UTF-8; convert it with "iconv -f UTF-16 -t UTF-8 FILE | weir import -"',
      ],
      [
        Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0]),
        'it is UTF-32 text, expected UTF-8; convert it with "iconv -f UTF-32 -t UTF-8 FILE | weir import -"',
      ],
      [
        Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]),
        'it is xz data, expected text, gzip or zstd; unpack it with "xzcat FILE | weir import -"',
      ],
      [
        "BZh91AY&SY",
        'it is bzip2 data, expected text, gzip or zstd; unpack it with "bzcat FILE | weir import -"',
      ],
    ] as const) {
      await expect(firstLine(put(content))).rejects.toThrow(message);
    }
    await expect(EventFile.open(folder)).rejects.toThrow("it is not a file");
    await expect(EventFile.open("/dev/zero")).rejects.toThrow("it is not a file");
    await expect(EventFile.open(join(folder, "none"))).rejects.toThrow("ENOENT");
  });
});

describe("reading continues at the stored offset", () => {
  test.each(PACKINGS)("in a file that has grown, %s", async (_, packed) => {
    const first = await read(put(packed(lines(1, 1_000))));
    expect(first.text).toBe(lines(1, 1_000));
    expect(first.end.bytes).toBe(lines(1, 1_000).length);
    const second = await read(put(packed(lines(1, 2_000))), first.end);
    expect(second.text).toBe(lines(1_000, 2_000));
    expect(await read(put(packed(lines(1, 2_000))), second.end)).toEqual({
      text: "",
      end: second.end,
      remainders: [],
      error: undefined,
    });
  });

  test.each(PACKINGS)("far inside a large one, %s", async (_, packed) => {
    const all = lines(1, 600_000);
    const at = all.indexOf(line(500_000));
    const from = new Fingerprint();
    from.pass(bytes(all.slice(0, at)));
    const { text, end } = await read(put(packed(all)), from);
    expect(text === all.slice(at)).toBe(true);
    expect(end.bytes).toBe(all.length);
  });

  test("a last line without its newline is read once, and what follows it too", async () => {
    const path = put(`${line(1)}{"n":2}`);
    const { text, end } = await read(path);
    expect(text).toBe(`${line(1)}{"n":2}`);
    appendFileSync(path, `\n${line(3)}`);
    expect((await read(path, end)).text).toBe(`\n${line(3)}`);
  });

  test("an incomplete last line is left until it is whole", async () => {
    const path = put(`${line(1)}{"n":`);
    const { text, end, remainders } = await read(path);
    expect(text).toBe(line(1));
    expect(remainders).toEqual([{ kind: "cut", offset: 8, bytes: 5 }]);
    appendFileSync(path, "2}\n");
    expect((await read(path, end)).text).toBe(line(2));
  });
});

describe("NUL bytes are the ends of lines", () => {
  const hole = (count: number) => "\0".repeat(count);
  const blank = (count: number) => "\n".repeat(count);

  test("before, between and within lines: whole lines stay whole, and offsets do not change", async () => {
    const content = `${hole(100)}${line(1)}${hole(7)}{"n":${hole(5)}${line(2)}${line(3)}`;
    const { text, end, remainders } = await read(put(content));
    expect(text).toBe(`${blank(100)}${line(1)}${blank(7)}{"n":${blank(5)}${line(2)}${line(3)}`);
    expect(end.bytes).toBe(content.length);
    expect(remainders).toEqual([]);
  });

  test("a hole that is larger than any line is in no chunk", async () => {
    const { text, end } = await read(put(`${line(1)}${hole(9_000_000)}${line(2)}`));
    expect(text.replaceAll("\n", "")).toBe('{"n":1}{"n":2}');
    expect(end.bytes).toBe(9_000_016);
  });

  test.each(PACKINGS)(
    "at the end they are skipped, and lines that come in their place are read, %s",
    async (_, packed) => {
      const before = `${line(1)}{"n":`;
      const first = await read(put(packed(before + hole(50))));
      expect(first.text).toBe(line(1));
      expect(first.remainders).toContainEqual({ kind: "nul", bytes: 50 });
      expect(first.remainders).toContainEqual({ kind: "cut", offset: 8, bytes: 5 });
      // A writer that continues after them, and one that overwrites them.
      expect((await read(put(packed(before + hole(50) + line(3))), first.end)).text).toBe(
        `{"n":${blank(50)}${line(3)}`,
      );
      expect((await read(put(packed(`${before}2}\n${line(3)}${hole(30)}`)), first.end)).text).toBe(
        lines(2, 4),
      );
    },
  );
});

describe("compressed data", () => {
  // Random digits compress badly, so that half of the data contains about half of the lines.
  const numbers = crypto.getRandomValues(new Uint32Array(200_000));
  const all = Array.from(numbers, (n) => `{"n":${n}}\n`).join("");

  test.each([
    ["gzip", gzipSync(all)],
    ["zstd", zstdCompressSync(all)],
  ] as const)(
    "that are cut: lines before the cut are read, and the cut is an error, %s",
    async (name, whole) => {
      for (const length of [Math.floor(whole.length / 2), whole.length - 1]) {
        const { text, error } = await read(put(whole.subarray(0, length)));
        expect(error).toBe(`its ${name} data end early; what came before was stored`);
        expect(text.endsWith("}\n")).toBe(true);
        expect(all.startsWith(text)).toBe(true);
        expect(text.length).toBeGreaterThan(all.length / 3);
      }
    },
  );

  test("of several members or frames are one text, and NUL bytes after them are ignored", async () => {
    for (const pack of [gzipSync, zstdCompressSync] as const) {
      const two = Buffer.concat([pack(lines(1, 3)), pack(lines(3, 5))]);
      expect(await read(put(two))).toMatchObject({ text: lines(1, 5), error: undefined });
      expect(await read(put(Buffer.concat([two, Buffer.alloc(5_000)])))).toMatchObject({
        text: lines(1, 5),
        error: undefined,
      });
    }
  });

  test("are an error if other data follow them", async () => {
    for (const [pack, message] of [
      [gzipSync, "its gzip data are damaged"],
      [zstdCompressSync, "its zstd data are followed by other data; what came before was stored"],
    ] as const) {
      const { text, error } = await read(put(Buffer.concat([pack(lines(1, 3)), Buffer.from("more lines")])));
      expect(error).toStartWith(message);
      expect(lines(1, 3).startsWith(text)).toBe(true);
    }
  });
});

test("a stream can be read several times, like a file, and leaves no file behind", async () => {
  const file = await EventFile.spool(new Blob([lines(1, 4)]).stream());
  expect(await file.firstLineHash()).toBe(lineHash(bytes('{"n":1}')));
  let text = "";
  for await (const chunk of file.chunks(new Fingerprint(), () => {}))
    text += new TextDecoder().decode(chunk.body);
  await file.close();
  expect(text).toBe(lines(1, 4));
});

test("the stem of a path is the same through rotation and packing", () => {
  for (const path of [
    "/d/metrics_1.json",
    "/d/metrics_1.json.2024-01-15",
    "/d/metrics_1.json.2024-01-15.gz",
    "/d/metrics_1.json-20240115.zst",
    "/d/metrics_1.json.1",
    "/d/metrics_1.json.12.gz",
    "/d/metrics_1.json.gz",
  ])
    expect(stemOf(path)).toBe("/d/metrics_1.json");
  expect(stemOf("/d/metrics_2.json")).not.toBe("/d/metrics_1.json");
});
