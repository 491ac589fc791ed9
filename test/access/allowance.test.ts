/** The arithmetic of a limit, with a clock that the test sets. */
import { describe, expect, test } from "bun:test";
import { Allowance } from "../../src/access/allowance.ts";

/** Uses one unit if there is one. Returns the time to wait otherwise. */
function take(allowance: Allowance, nowMs: number, units = 1): number {
  const waitMs = allowance.waitMs(nowMs);
  if (waitMs === 0) allowance.use(units);
  return waitMs;
}

describe("single units", () => {
  test("as many as there are at most are allowed at once, and one more each time one has come back", () => {
    const allowance = new Allowance(4, 4, 1_000);
    expect([1, 2, 3, 4, 5].map(() => take(allowance, 1_000))).toEqual([0, 0, 0, 0, 250]);
    expect(take(allowance, 1_249)).toBeCloseTo(1, 6);
    expect(take(allowance, 1_250)).toBe(0);
    expect(take(allowance, 1_250)).toBe(250);
    // What is not used does not add up beyond the most.
    expect([1, 2, 3, 4, 5].map(() => take(allowance, 100_000))).toEqual([0, 0, 0, 0, 250]);
  });

  test("a rate below one per second allows one, and the next after its time", () => {
    const allowance = new Allowance(0.1, 1, 0);
    expect(take(allowance, 0)).toBe(0);
    expect(take(allowance, 0)).toBe(10_000);
    expect(take(allowance, 9_999)).toBeCloseTo(1, 6);
    expect(take(allowance, 10_000)).toBe(0);
  });

  test("ten looks between two units lose nothing by rounding", () => {
    const allowance = new Allowance(0.1, 1, 0);
    expect(take(allowance, 0)).toBe(0);
    for (let ms = 1_000; ms < 10_000; ms += 1_000) expect(take(allowance, ms)).toBeGreaterThan(0);
    expect(take(allowance, 10_000)).toBe(0);
  });

  test("over an hour, one look a millisecond allows what the rate and the beginning allow", () => {
    const allowance = new Allowance(3, 3, 0);
    let allowed = 0;
    for (let ms = 0; ms <= 600_000; ms++) if (take(allowance, ms) === 0) allowed++;
    expect(allowed).toBe(3 + 3 * 600);
  });
});

describe("many units at once", () => {
  test("are allowed if one is left, and must come back before the next", () => {
    const allowance = new Allowance(100, 100, 0);
    // 1,000 of 100: 900 are owed, and one must be left.
    expect(take(allowance, 0, 1_000)).toBe(0);
    expect(take(allowance, 0)).toBe(9_010);
    expect(take(allowance, 9_009)).toBeGreaterThan(0);
    expect(take(allowance, 9_010, 1)).toBe(0);
  });

  test("are within the rate in the mean", () => {
    const allowance = new Allowance(1_000, 1_000, 0);
    let used = 0;
    for (let ms = 0; ms <= 100_000; ms += 10) if (take(allowance, ms, 700) === 0) used += 700;
    expect(used).toBeGreaterThanOrEqual(100_000);
    expect(used).toBeLessThanOrEqual(101_700);
  });
});

test("a clock that stands still or goes back gives nothing back", () => {
  const allowance = new Allowance(1, 1, 5_000);
  expect(take(allowance, 5_000)).toBe(0);
  expect(take(allowance, 5_000)).toBe(1_000);
  expect(take(allowance, 1_000)).toBe(1_000);
  expect(take(allowance, 6_000)).toBe(0);
});
