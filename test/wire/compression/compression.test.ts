/** Each content encoding: complete, truncated, corrupt, followed by junk, and at exactly the limit of bytes. */
import { describe, expect, test } from "bun:test";
import zlib from "node:zlib";
import { decompress, parseContentEncoding } from "../../../src/wire/compression/compression.ts";

const text = JSON.stringify({
  metric_name: "http.request.duration_ms",
  value: 234.56,
  tags: { url: "ä€😀" },
});
const plain = Buffer.from(`${text}\n`.repeat(5_000));
const limit = plain.length;

const gzip = zlib.gzipSync(plain);
const deflate = zlib.deflateSync(plain);
const raw = zlib.deflateRawSync(plain);
const br = zlib.brotliCompressSync(plain, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
const zstd = zlib.zstdCompressSync(plain);
const zstdChecked = zlib.zstdCompressSync(plain, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } });
// A skippable frame of three bytes (https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2).
const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

function undo(body: Uint8Array, header: string | null, inflatedBytesMax = limit) {
  return decompress(body, parseContentEncoding(header), inflatedBytesMax);
}

describe("decodes a body", () => {
  const ok = (name: string, body: Uint8Array, header: string | null, want: Uint8Array = plain) =>
    test(name, async () => expect(Buffer.compare(await undo(body, header), want)).toBe(0));
  ok("without the header Content-Encoding", plain, null);
  ok("identity", plain, "identity");
  ok("with an empty header", plain, " ");
  ok("gzip", gzip, "gzip");
  ok("of gzip, in its old spelling and in upper case", gzip, "X-GZip");
  ok(
    "of gzip with several members",
    Buffer.concat([zlib.gzipSync("a"), zlib.gzipSync("b")]),
    "gzip",
    Buffer.from("ab"),
  );
  ok("of deflate with zlib's header", deflate, "deflate");
  ok("of deflate without zlib's header", raw, "deflate");
  ok("br", br, "br");
  ok("zstd", zstd, "zstd");
  ok("of zstd with a checksum", zstdChecked, "zstd");
  ok(
    "of zstd with several frames, one of them skippable",
    Buffer.concat([zlib.zstdCompressSync("a"), skippable, zlib.zstdCompressSync("b")]),
    "zstd",
    Buffer.from("ab"),
  );
  ok(
    "of zstd with one run-length block",
    zlib.zstdCompressSync(Buffer.alloc(1000)),
    "zstd",
    Buffer.alloc(1000),
  );
  ok("with two layers, the last applied first", zlib.gzipSync(zstd), "zstd, gzip");
  ok("with identity between layers", zlib.gzipSync(zstd), "zstd,identity,,gzip");
  for (const [encoding, compress] of [
    ["gzip", zlib.gzipSync],
    ["deflate", zlib.deflateSync],
    ["br", zlib.brotliCompressSync],
    ["zstd", zlib.zstdCompressSync],
  ] as const) {
    ok(`that is empty, in ${encoding}`, compress(""), encoding, Buffer.alloc(0));
  }
});

describe("rejects a body that is not complete", () => {
  const bad = (name: string, body: Uint8Array, header: string, message: RegExp, status = 400) =>
    test(name, async () => {
      const error = await undo(body, header).then(
        () => undefined,
        (thrown) => thrown,
      );
      expect(error?.message).toMatch(message);
      expect(error?.status).toBe(status);
    });
  const cut = (body: Uint8Array) => body.subarray(0, body.length - 1);
  const junk = (body: Uint8Array) => Buffer.concat([body, Buffer.from("junk")]);
  bad("truncated gzip", cut(gzip), "gzip", /^The body is not complete gzip data: unexpected end of file\.$/);
  bad("truncated deflate", cut(deflate), "deflate", /not complete deflate data: unexpected end of file/);
  bad("truncated raw deflate", cut(raw), "deflate", /not complete deflate data: unexpected end of file/);
  bad("truncated br", cut(br), "br", /not complete br data/);
  bad("truncated zstd", cut(zstd), "zstd", /not complete zstd data: the data is truncated at byte \d+/);
  bad("zstd without its checksum", zstdChecked.subarray(0, -4), "zstd", /the data is truncated at byte/);
  bad(
    "zstd truncated in a later frame",
    Buffer.concat([zstd, cut(zstd)]),
    "zstd",
    /the data is truncated at byte/,
  );
  bad("zstd truncated in its header", zstd.subarray(0, 6), "zstd", /the data is truncated at byte 6/);
  for (const encoding of ["gzip", "deflate", "br", "zstd"]) {
    bad(`no bytes at all as ${encoding}`, new Uint8Array(0), encoding, /is not complete/);
    bad(`JSON sent as ${encoding}`, Buffer.from(text), encoding, /is not complete/);
  }
  bad("gzip followed by other data", junk(gzip), "gzip", /not complete gzip data/);
  bad(
    "deflate followed by other data",
    junk(deflate),
    "deflate",
    new RegExp(`ends at byte ${deflate.length} of ${deflate.length + 4}`),
  );
  bad("raw deflate followed by other data", junk(raw), "deflate", /the data ends at byte/);
  bad("br followed by other data", junk(br), "br", /the data ends at byte/);
  bad("zstd followed by other data", junk(zstd), "zstd", /is truncated at byte|no frame begins at byte/);
  bad(
    "zstd followed by much other data",
    Buffer.concat([zstd, Buffer.alloc(100, 7)]),
    "zstd",
    /no frame begins at byte/,
  );
  const flipped = (body: Uint8Array) => {
    const copy = Buffer.from(body);
    copy[copy.length - 2] ^= 0xff;
    return copy;
  };
  bad("gzip with a wrong checksum", flipped(gzip), "gzip", /incorrect (data|length) check/);
  bad("zstd with a wrong checksum", flipped(zstdChecked), "zstd", /not complete zstd data/);
  bad(
    "a reserved zstd block",
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x0f, 0, 0, 0]),
    "zstd",
    /no known type/,
  );
});

describe("accepts a body at the limit of bytes and rejects one past it", () => {
  for (const [header, body] of [
    ["gzip", gzip],
    ["deflate", deflate],
    ["deflate", raw],
    ["br", br],
    ["zstd", zstd],
  ] as const) {
    test(`${header} of ${body.length} bytes`, async () => {
      expect((await undo(body, header, limit)).length).toBe(limit);
      const error = await undo(body, header, limit - 1).catch((thrown) => thrown);
      expect(error.status).toBe(413);
      expect(error.message).toBe(
        `The body inflates past the limit of ${limit - 1} bytes (setting inflatedBytesMax).`,
      );
    });
  }

  test("rejects 64 MiB compressed to 64 KiB, also in two layers", async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(64 * 2 ** 20));
    expect(bomb.length).toBeLessThan(70_000);
    expect((await undo(bomb, "gzip", 2 ** 20).catch((thrown) => thrown)).status).toBe(413);
    expect((await undo(zlib.gzipSync(bomb), "gzip, gzip", 2 ** 20).catch((thrown) => thrown)).status).toBe(
      413,
    );
  });
});

describe("rejects an encoding that is not supported", () => {
  const bad = (header: string, status: number, message: string) =>
    test(header, () => {
      let error: (Error & { status?: number; field?: string }) | undefined;
      try {
        parseContentEncoding(header);
      } catch (thrown) {
        error = thrown as Error;
      }
      expect(error?.message).toBe(message);
      expect(error?.status).toBe(status);
      expect(error?.field).toBe("Content-Encoding");
    });
  const supported = "is not supported; send gzip, deflate, br, zstd or identity.";
  bad("snappy", 415, `Content-Encoding "snappy" ${supported}`);
  bad("gzip;q=1", 415, `Content-Encoding "gzip;q=1" ${supported}`);
  bad("gzip, compress", 415, `Content-Encoding "compress" ${supported}`);
  bad("gzip,gzip,gzip", 400, 'Content-Encoding "gzip,gzip,gzip" has 3 layers; at most 2 are supported.');
});
