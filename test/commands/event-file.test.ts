/** Files as `weir import` reads them: known by their first line, gone on with where an import stopped. */
import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { lineHash, type Remainder } from "../../src/commands/import/chunks.ts";
import { EventFile, type Progress } from "../../src/commands/import/event-file.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

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

async function identity(path: string): Promise<string | undefined> {
  const file = await EventFile.open(path);
  try {
    return await file.identity();
  } finally {
    await file.close();
  }
}

/** The text of all chunks, where they end, and what was left. */
async function read(
  path: string,
  from?: Progress,
): Promise<{ text: string; end: Progress | undefined; remainders: Remainder[] }> {
  const file = await EventFile.open(path);
  const remainders: Remainder[] = [];
  let text = "";
  let end = from;
  try {
    for await (const chunk of file.chunks(from, (each) => remainders.push(each))) {
      text += new TextDecoder().decode(chunk.body);
      end = { byteOffset: chunk.toOffset, lastLineHash: chunk.lastLineHash };
    }
  } finally {
    await file.close();
  }
  return { text, end, remainders };
}

describe("a file is known by its first line", () => {
  test("plain, gzip, or without a newline yet", async () => {
    const hash = lineHash(bytes('{"n":1}'));
    for (const content of [
      lines(1, 3),
      gzipSync(lines(1, 3)),
      '{"n":1}',
      '{"n":1}\r\n{"n":2}\r\n',
      `\n \n${line(1)}`,
    ]) {
      expect(await identity(put(content))).toBe(hash);
    }
  });

  test("it has none before a line is whole", async () => {
    for (const content of ["", "\n\n", '{"n":', gzipSync("")])
      expect(await identity(put(content))).toBeUndefined();
  });

  test("what is no file of lines is said", async () => {
    await expect(identity(put('[{"n":1}]'))).rejects.toThrow(
      'it begins with "[", expected one JSON event a line',
    );
    await expect(identity(put("x".repeat(3_000_000)))).rejects.toThrow(
      "its first line is longer than 2097152 bytes",
    );
    await expect(EventFile.open(folder)).rejects.toThrow("it is not a file");
    await expect(EventFile.open(join(folder, "none"))).rejects.toThrow("ENOENT");
  });
});

describe("reading goes on where it stopped", () => {
  test("noon's file, then the same grown and renamed, plain or gzip", async () => {
    const path = put(lines(1, 1_000));
    const noon = await read(path);
    expect(noon.text).toBe(lines(1, 1_000));
    expect(noon.end?.byteOffset).toBe(lines(1, 1_000).length);

    appendFileSync(path, lines(1_000, 2_000));
    renameSync(path, `${path}.2024-01-15`);
    expect((await read(`${path}.2024-01-15`, noon.end)).text).toBe(lines(1_000, 2_000));
    expect((await read(put(gzipSync(lines(1, 2_000))), noon.end)).text).toBe(lines(1_000, 2_000));
  });

  test("nothing new is nothing", async () => {
    const path = put(lines(1, 10));
    const { end } = await read(path);
    expect(await read(path, end)).toEqual({ text: "", end, remainders: [] });
  });

  test("a last line without its newline is taken once, and what follows it too", async () => {
    const path = put(`${line(1)}{"n":2}`);
    const { text, end } = await read(path);
    expect(text).toBe(`${line(1)}{"n":2}`);
    appendFileSync(path, `\n${line(3)}`);
    expect((await read(path, end)).text).toBe(`\n${line(3)}`);
  });

  test("a cut last line is left until it is whole", async () => {
    const path = put(`${line(1)}{"n":`);
    const { text, end, remainders } = await read(path);
    expect(text).toBe(line(1));
    expect(remainders).toEqual([{ kind: "cut", offset: 8, bytes: 5 }]);
    appendFileSync(path, "2}\n");
    expect((await read(path, end)).text).toBe(line(2));
  });

  test("from far inside a large file", async () => {
    const all = lines(1, 600_000);
    expect(all.length).toBeGreaterThan(6_000_000);
    const at = all.indexOf(line(500_000));
    const from = { byteOffset: at, lastLineHash: lineHash(bytes(line(499_999))) };
    for (const content of [all, gzipSync(all)]) {
      const { text } = await read(put(content), from);
      expect(text === all.slice(at)).toBe(true);
    }
  });

  test("another file with the same first line is told from it", async () => {
    const { end } = await read(put(line(1) + line(2) + line(3)));
    for (const content of [line(1) + line(2) + line(4) + line(5), gzipSync(line(1) + line(2) + line(4))]) {
      await expect(read(put(content), end)).rejects.toThrow(
        "it begins with the same line as a file that was imported up to byte 24, but has another line there",
      );
    }
  });

  test("an earlier copy is told too", async () => {
    const { end } = await read(put(lines(1, 10)));
    for (const content of [lines(1, 5), gzipSync(lines(1, 5))]) {
      await expect(read(put(content), end)).rejects.toThrow(
        "it ends at byte 32, and was imported up to byte 72 before",
      );
    }
  });
});

test("of gzip data that are cut, the lines up to the cut are read, and the cut is told", async () => {
  // Random digits: text that compresses badly, so that half of the data hold about half of the lines.
  const numbers = crypto.getRandomValues(new Uint32Array(20_000));
  const all = Array.from(numbers, (n) => `{"n":${n}}\n`).join("");
  const whole = gzipSync(all);
  const file = await EventFile.open(put(whole.subarray(0, whole.length / 2)));
  let text = "";
  const reading = (async () => {
    for await (const chunk of file.chunks(undefined, () => {})) text += new TextDecoder().decode(chunk.body);
  })();
  await expect(reading).rejects.toThrow("its gzip data end early; what came before was taken");
  await file.close();
  expect(text.endsWith("}\n")).toBe(true);
  expect(all.startsWith(text)).toBe(true);
  expect(text.length).toBeGreaterThan(all.length / 3);
});
