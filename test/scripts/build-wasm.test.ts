/** The code of WebAssembly that is checked in was made from the sources beside it. If a test fails, run scripts/build-wasm. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as byteLoops from "../../src/wire/wasm/byte-loops-code.ts";
import * as eventLoops from "../../src/receive/events/event-loops-code.ts";

const SRC = join(import.meta.dir, "../../src");
const wat2wasm = Bun.which("wat2wasm");
const CODES = [
  { source: "wire/wasm/byte-loops.wat", code: byteLoops.BYTE_LOOPS, hash: byteLoops.SOURCE_SHA256 },
  { source: "receive/events/event-loops.wat", code: eventLoops.EVENT_LOOPS, hash: eventLoops.SOURCE_SHA256 },
];

test("each source is one of these", () => {
  const sources = [...new Bun.Glob("**/*.wat").scanSync({ cwd: SRC })];
  expect(sources.sort()).toEqual(CODES.map(({ source }) => source).sort());
});

describe.each(CODES)("$source", ({ source, code, hash }) => {
  const path = join(SRC, source);

  test("is the source of the code", () => {
    expect(new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex")).toBe(hash);
  });

  test.skipIf(wat2wasm === null)("a new build has the same bytes (needs wat2wasm)", () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-wasm-"));
    try {
      const built = join(folder, "built.wasm");
      expect(Bun.spawnSync([wat2wasm!, path, "-o", built]).exitCode).toBe(0);
      expect(readFileSync(built).toString("base64")).toBe(code);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
