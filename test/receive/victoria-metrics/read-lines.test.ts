/** Large bodies of an import over a socket: they are stored while they arrive, whatever their size. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

const BODY_BYTES_MAX = 100_000;
const LINE_BYTES_MAX = 400_000;

let gateway: TestGateway;
let address: string;
beforeAll(async () => {
  gateway = await openTestGateway(
    `--body-bytes-max=${BODY_BYTES_MAX}`,
    `--inflated-bytes-max=${LINE_BYTES_MAX}`,
    "--body-timeout-ms=1000",
  );
  address = String((await gateway.listen()).urls[0]);
});
afterAll(() => gateway.close());

/** Lines of 100 samples each. */
function body(metric: string, lineCount: number): string {
  return Array.from({ length: lineCount }, (_, index) => {
    const times = Array.from({ length: 100 }, (_, at) => NOON_MS - DAY_MS + (index * 100 + at) * 10);
    const values = times.map((_, at) => at / 4);
    return `${JSON.stringify({ metric: { __name__: metric, n: String(index % 7) }, values, timestamps: times })}\n`;
  }).join("");
}

async function send(
  bytes: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  encoding?: string,
): Promise<[number, string]> {
  const headers: Record<string, string> = encoding === undefined ? {} : { "content-encoding": encoding };
  const answer = await fetch(`${address}/api/v1/import`, { method: "POST", body: bytes, headers });
  return [answer.status, await answer.text()];
}

async function count(metric: string): Promise<number> {
  const [, json] = await gateway.send(
    "POST /api/v1/sql",
    `SELECT count(*) AS n FROM samples WHERE metric = '${metric}'`,
  );
  return Number((JSON.parse(json) as { rows: [{ n: number }] }).rows[0].n);
}

/** A body without a length, in chunks of a size that no line has. */
function chunked(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + size));
      at += size;
    },
  });
}

describe("a body that is larger than bodyBytesMax", () => {
  test("is stored completely", async () => {
    const text = body("plain", 4_000);
    expect(text.length).toBeGreaterThan(60 * BODY_BYTES_MAX);
    expect(await send(text)).toEqual([204, ""]);
    expect(await count("plain")).toBe(400_000);
  });

  test("is stored completely if it is compressed with gzip", async () => {
    const compressed = new Uint8Array(gzipSync(body("zipped", 3_000)));
    expect(compressed.length).toBeGreaterThan(2 * BODY_BYTES_MAX);
    expect(await send(compressed, "gzip")).toEqual([204, ""]);
    expect(await count("zipped")).toBe(300_000);
  });

  test("is stored completely if it comes in chunks that divide lines", async () => {
    expect(await send(chunked(Buffer.from(body("chunked", 1_000)), 9_973))).toEqual([204, ""]);
    expect(await count("chunked")).toBe(100_000);
  });

  test("has rejected lines by their number in the whole body", async () => {
    const [status, text] = await send(`${body("numbered", 2_000)}oops\n${body("numbered", 1)}`);
    expect(status).toBe(400);
    expect(text).toStartWith(
      '1 of 2002 lines were not stored, or only partly. The others are stored. The first: line 2001: it has "oops"',
    );
    expect(await count("numbered")).toBe(200_000);
  });

  test("in another encoding has the limit of all routes", async () => {
    const compressed = new Uint8Array(brotliCompressSync(Buffer.from(body("br", 250))));
    expect(await send(compressed, "br")).toEqual([
      413,
      `The body inflates past the limit of ${LINE_BYTES_MAX} bytes (setting inflatedBytesMax).\n`,
    ]);
  });
});

describe("is rejected:", () => {
  test("gzip data that is truncated, after the parts that could be read", async () => {
    const whole = new Uint8Array(gzipSync(body("truncated", 3_000)));
    const [status, text] = await send(whole.subarray(0, whole.length - 100), "gzip");
    expect(status).toBe(400);
    expect(text).toMatch(
      /^The body is not complete gzip data: .*\. \d+ samples of earlier lines of the request are stored\.\n$/,
    );
  });

  test("data behind the end of gzip data", async () => {
    const whole = gzipSync(body("behind", 3_000));
    const [status, text] = await send(new Uint8Array([...whole, ...Buffer.from("more")]), "gzip");
    expect(status).toBe(400);
    expect(text).toStartWith("The body is not complete gzip data: ");
  });

  test("a body with more than 100,000 lines of another format, without reading the rest", async () => {
    const [status, text] = await send(`${body("before", 1)}${"oops\n".repeat(2_000_000)}`);
    expect(status).toBe(400);
    expect(text).toMatch(
      /^The import stopped at line (\d+), because \d+ lines were rejected\. The first: line 2: it has "oops" where an object was expected\. 100 samples of earlier lines of the request are stored\.\n$/,
    );
    expect(Number(/line (\d+)/.exec(text)![1])).toBeLessThan(1_000_000);
  });

  test("a line that is larger than inflatedBytesMax", async () => {
    const [status, text] = await send("x".repeat(LINE_BYTES_MAX + 5_000_000));
    expect([status, text]).toEqual([
      413,
      `A line may have ${LINE_BYTES_MAX} bytes (setting inflatedBytesMax) and has more.\n`,
    ]);
  });

  test("a body that does not continue", async () => {
    const stalled = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(Buffer.from(body("stalled", 1)));
      },
    });
    expect(await send(stalled)).toEqual([
      408,
      "The body did not continue within 1000 ms (setting bodyTimeoutMs).\n",
    ]);
  });
});
