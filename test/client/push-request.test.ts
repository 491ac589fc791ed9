/** What an answer means for a batch, and when a request is tried again. One line per case. */
import { describe, expect, test } from "bun:test";
import { parseRetryAfterMs, retryDelayMs } from "../../src/client/backoff.ts";
import { readClientOptions } from "../../src/client/options.ts";
import { pushBatch } from "../../src/client/push-request.ts";
import type { SealedBatch } from "../../src/client/sealed-batch.ts";

const BATCH: SealedBatch = {
  key: "0f0e0d0c-0b0a-4908-8706-050403020100",
  createdMs: 0,
  samples: 3,
  body: new Uint8Array([1, 2, 3]),
  own: [],
};

async function answered(answer: Response | Error, requestTimeoutMs = 1_000) {
  let sent: RequestInit | undefined;
  const settings = readClientOptions(
    {
      url: "http://127.0.0.1:9091",
      token: "secret",
      requestTimeoutMs,
      fetch: async (_, init) => {
        sent = init;
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    () => undefined,
  );
  return { result: await pushBatch(BATCH, settings), sent: sent! };
}

const json = (status: number, body: unknown, headers?: Record<string, string>) =>
  Response.json(body, { status, headers });

describe("an answer", () => {
  const meaning = (name: string, answer: () => Response | Error, want: object) =>
    test(name, async () => expect((await answered(answer())).result).toEqual(want as never));

  meaning("200 with all accepted: stored", () => json(200, { accepted: 3, rejected: 0, errors: [] }), {
    kind: "stored",
    rejected: 0,
    reason: undefined,
  });
  meaning("202 (queued): stored", () => json(202, { accepted: 3, rejected: 0, errors: [] }), {
    kind: "stored",
    rejected: 0,
    reason: undefined,
  });
  meaning(
    "200 with a rejected sample: stored, with the reason",
    () => json(200, { accepted: 2, rejected: 1, errors: [{ index: 0, reason: "value is bad" }] }),
    { kind: "stored", rejected: 1, reason: "value is bad" },
  );
  meaning("200 of another program: nothing was stored", () => new Response("<html>welcome</html>"), {
    kind: "retry",
    reason: "it answered 200 without a count of accepted events; is this address a gateway?",
    retryAfterMs: undefined,
  });
  meaning("204 of another program: nothing was stored", () => new Response(null, { status: 204 }), {
    kind: "retry",
    reason: "it answered 204 without a count of accepted events; is this address a gateway?",
    retryAfterMs: undefined,
  });
  for (const status of [408, 429, 500, 502, 503, 504, 599])
    meaning(`${status}: again`, () => json(status, { error: { message: "busy" } }, { "Retry-After": "7" }), {
      kind: "retry",
      reason: `it answered ${status}: busy`,
      retryAfterMs: 7_000,
    });
  for (const status of [400, 401, 403, 404, 405, 409, 413, 415, 422, 431])
    meaning(`${status}: refused`, () => json(status, { error: { message: "no" } }), {
      kind: "refused",
      status,
      reason: `${status}: no`,
    });
  for (const status of [301, 302, 307])
    meaning(`${status}: refused`, () => new Response(null, { status, headers: { location: "/x" } }), {
      kind: "refused",
      status,
      reason: String(status),
    });
  meaning("none: again", () => new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } }), {
    kind: "retry",
    reason: "fetch failed (ECONNREFUSED)",
    retryAfterMs: undefined,
  });

  test("that is endless is read in part", async () => {
    let isCancelled = false;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(0x78)),
      cancel: () => {
        isCancelled = true;
      },
    });
    const { result } = await answered(new Response(endless, { status: 400 }));
    expect(result).toMatchObject({ kind: "refused", reason: `400: ${"x".repeat(300)}…` });
    expect(isCancelled).toBe(true);
  });

  test("that does not come is waited for within the limit", async () => {
    const settings = readClientOptions(
      {
        url: "http://127.0.0.1:9091",
        requestTimeoutMs: 20,
        fetch: (_, init) =>
          new Promise((_resolve, reject) =>
            init.signal!.addEventListener("abort", () => reject(new Error("aborted"))),
          ),
      },
      () => undefined,
    );
    expect(await pushBatch(BATCH, settings)).toEqual({
      kind: "retry",
      reason: "no answer within 20 ms",
      retryAfterMs: undefined,
    });
  });
});

test("a request has the key, the token and the compressed body", async () => {
  const { sent } = await answered(json(200, { accepted: 3, rejected: 0 }));
  expect(sent).toMatchObject({ method: "POST", redirect: "manual", body: BATCH.body });
  expect(sent.headers).toEqual({
    Authorization: "Bearer secret",
    "Content-Encoding": "gzip",
    "Content-Type": "application/x-ndjson",
    "Idempotency-Key": BATCH.key,
  });
});

describe("Retry-After", () => {
  const now = Date.UTC(2024, 0, 1, 10);
  const cases: readonly (readonly [string | null, number | undefined])[] = [
    ["0", 0],
    ["120", 120_000],
    [" 5 ", 5_000],
    ["Mon, 01 Jan 2024 10:00:30 GMT", 30_000],
    ["Mon, 01 Jan 2024 09:00:00 GMT", 0],
    [null, undefined],
    ["", undefined],
    ["soon", undefined],
    ["-5", undefined],
    ["1.5", undefined],
    ["99999999999999", undefined],
  ];
  test.each(cases)("%p", (header, want) => expect(parseRetryAfterMs(header, now)).toBe(want));
});

describe("the delay before the next attempt", () => {
  const bounds = { backoffMs: 1_000, backoffMaxMs: 60_000 };
  test("is a random part of a bound that doubles up to its limit", () => {
    const at = (failures: number, random: number) => retryDelayMs(bounds, failures, undefined, random);
    expect([1, 2, 3, 6, 7, 100, 10_000].map((failures) => at(failures, 0.5))).toEqual([
      500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000,
    ]);
    expect(at(5, 0)).toBe(0);
  });
  test("is at least what the gateway asked for, up to 10 minutes", () => {
    expect(retryDelayMs(bounds, 1, 5_000, 0)).toBe(5_000);
    expect(retryDelayMs(bounds, 9, 5_000, 0.5)).toBe(5_500);
    expect(retryDelayMs(bounds, 1, 86_400_000, 0)).toBe(600_000);
  });
});
