/** Which limit applies to whom, what the answer says, and how many callers are remembered. */
import { describe, expect, test } from "bun:test";
import { type CallersOptions, LimitedCallers, type LimitName } from "../../src/access/limits.ts";

function callers(options: Partial<CallersOptions> = {}) {
  const clock = { ms: 0 };
  const all = new LimitedCallers({
    who: "token",
    setting: "limitToken",
    rates: { requests: 2 },
    elapsedMs: () => clock.ms,
    ...options,
  });
  /** `yes`, or the status, the seconds to wait and the sentence. */
  const take = (
    key: string,
    name: LimitName = "requests",
    own?: CallersOptions["rates"],
    units = 1,
  ): string => {
    const limits = all.of(key, own);
    try {
      limits?.check(name);
    } catch (error) {
      const { status, retryAfterSeconds, message } = error as Record<string, unknown>;
      return `${status} ${retryAfterSeconds} ${message}`;
    }
    limits?.use(name, units);
    return "yes";
  };
  return { all, clock, take };
}

test("callers without limits are not remembered", () => {
  const { all } = callers({ rates: {} });
  expect(all.of("a")).toBeUndefined();
  expect([all.hasRates, all.size]).toEqual([false, 0]);
});

test("the sentence has the singular for a rate of one", () => {
  for (const [name, sentence] of [
    ["requests", "may send 1 request per second (the"],
    ["samples", "may store 1 sample per second (the"],
    ["bytes", "may send 1 byte per second in bodies (the"],
    ["scrapes", "may request /metrics and /federate 1 time per second (the"],
    ["failures", "may send 1 request with an invalid token per second (the"],
  ] as const) {
    const { take } = callers({ rates: { [name]: 1 } });
    expect([take("a", name), take("a", name)]).toEqual(["yes", expect.stringContaining(sentence)]);
  }
});

test("each caller has its own allowance, and each limit of a caller", () => {
  const { take, clock } = callers({ rates: { requests: 2, scrapes: 0.1 } });
  const full =
    "429 1 This token may send 2 requests per second (the setting limitToken); send the request again in 1 s.";
  expect([take("a"), take("a"), take("a"), take("b")]).toEqual(["yes", "yes", full, "yes"]);
  expect([take("a", "scrapes"), take("a", "scrapes")]).toEqual([
    "yes",
    "429 10 This token may request /metrics and /federate 0.1 times per second (the setting limitToken); send the request again in 10 s.",
  ]);
  expect(take("a", "samples")).toBe("yes");
  clock.ms = 500;
  expect([take("a"), take("a")]).toEqual(["yes", full]);
});

test("after the seconds of Retry-After the request is allowed", () => {
  const { take, clock } = callers({ rates: { samples: 300 } });
  expect(take("a", "samples", undefined, 1_000)).toBe("yes");
  // 700 are owed, and one must be left: 2.34 s.
  expect(take("a", "samples")).toBe(
    "429 3 This token may store 300 samples per second (the setting limitToken); send the request again in 3 s.",
  );
  clock.ms = 3_000;
  expect(take("a", "samples")).toBe("yes");
});

describe("a token's own limits", () => {
  test("replace those of the setting, each by itself", () => {
    const { take } = callers({ rates: { requests: 1, samples: 10 } });
    const own = { requests: 3 };
    expect([1, 2, 3].map(() => take("a", "requests", own))).toEqual(["yes", "yes", "yes"]);
    expect(take("a", "requests", own)).toBe(
      "429 1 This token may send 3 requests per second (the limit of the token); send the request again in 1 s.",
    );
    take("a", "samples", own, 100);
    expect(take("a", "samples", own)).toContain("the setting limitToken");
  });

  test("apply without a setting, and anew when they change", () => {
    const { take } = callers({ rates: {} });
    const own = { requests: 1 };
    expect([take("a", "requests", own), take("a", "requests", own).slice(0, 3)]).toEqual(["yes", "429"]);
    expect(take("a", "requests", { requests: 1 })).toBe("yes");
    expect(take("a")).toBe("yes");
  });
});

test("thousands of callers take no more room than the bound, and the last ones are remembered", () => {
  const { all, take } = callers({ rates: { requests: 1 }, callersMax: 100 });
  for (let index = 0; index < 100_000; index++) {
    take(String(index));
    // One caller sends again and again.
    if (index % 50 === 0) take("steady");
  }
  expect(all.size).toBe(100);
  expect(take("steady").slice(0, 3)).toBe("429");
  expect(take("99999").slice(0, 3)).toBe("429");
  expect(take("0")).toBe("yes");
});
