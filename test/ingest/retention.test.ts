/**
 * Retention counts UTC days, today included, at any hour: the boundary does not move between two midnights. The days
 * around the end of a month, of a year and of February count like any other.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { openTestGateway, type TestGateway } from "../gateway.ts";

/** With 3 days of retention: today, and the first day that is kept. */
const TODAYS: readonly (readonly [today: string, first: string])[] = [
  ["2026-11-26", "2026-11-24"],
  ["2026-11-01", "2026-10-30"], // after a month of 31 days
  ["2027-03-01", "2027-02-27"], // after a February of 28 days
  ["2028-02-29", "2028-02-27"], // the leap day
  ["2028-03-01", "2028-02-28"], // the day after it
  ["2027-01-01", "2026-12-30"], // a new year
  ["2026-10-25", "2026-10-23"], // the end of summer time in Europe: 25 hours there, 24 here
];
const HOURS = [
  "00:00:00.000",
  "00:00:30.000",
  "11:00:00.000",
  "12:30:00.000",
  "23:59:30.000",
  "23:59:59.999",
];

let subject: TestGateway;
beforeEach(async () => {
  subject = await openTestGateway();
});
afterEach(() => subject.close());

const push = (...times: readonly string[]) =>
  subject.post(JSON.stringify(times.map((time) => ({ metric_name: "m", value: 1, "@timestamp": time }))));
const dayBefore = (day: string, count = 1) =>
  new Date(Date.parse(`${day}T00:00:00Z`) - count * 86_400_000).toISOString().slice(0, 10);

describe.each(TODAYS)("on %s", (today, first) => {
  test.each(HOURS)(`at %s the oldest kept sample is of ${first}, 00:00`, async (hour) => {
    subject.nowMs = Date.parse(`${today}T${hour}Z`);
    const before = dayBefore(first);
    const { json } = await push(
      `${first}T00:00:00Z`,
      `${before}T23:59:59.999Z`,
      `${dayBefore(first, 5)}T12:00:00Z`,
    );
    expect(json).toEqual({
      accepted: 1,
      rejected: 2,
      errors: [
        {
          index: 1,
          reason:
            `@timestamp ${before}T23:59:59.999Z is before retention, which starts at ${first}T00:00:00.000Z ` +
            "(--retention-days 3; 4 would cover it)",
        },
        { index: 2, reason: expect.stringContaining("(--retention-days 3; 8 would cover it)") },
      ],
    });
  });

  test("the oldest day is dropped when a new day begins, and not earlier", async () => {
    const yesterday = dayBefore(today);
    const last = dayBefore(first);
    subject.nowMs = Date.parse(`${yesterday}T12:00:00Z`);
    expect(
      (await push(`${last}T00:00:00Z`, `${last}T23:59:59.999Z`, `${first}T00:00:00Z`)).json.accepted,
    ).toBe(3);
    subject.nowMs = Date.parse(`${yesterday}T23:59:59.999Z`);
    expect(await subject.gateway.ingest.prune()).toEqual({ days: [], rows: 0 });
    subject.nowMs++;
    const dropped = Date.parse(`${last}T00:00:00Z`) / 86_400_000;
    expect(await subject.gateway.ingest.prune()).toEqual({ days: [dropped], rows: 2 });
    expect(
      await subject.query(`SELECT ts::VARCHAR AS ts FROM weir.samples_${first.replaceAll("-", "")}`),
    ).toEqual([{ ts: `${first} 00:00:00` }]);
  });
});

test("samples of one push on both sides of midnight are stored in their own days", async () => {
  subject.nowMs = Date.parse("2028-03-01T00:00:00.001Z");
  await push("2028-02-29T23:59:59.999Z", "2028-03-01T00:00:00Z");
  const days = await subject.query(
    "SELECT table_name AS name, estimated_size::INTEGER AS rows FROM duckdb_tables() WHERE table_name LIKE 'samples_%' ORDER BY 1",
  );
  expect(days).toEqual([
    { name: "samples_20280229", rows: 1 },
    { name: "samples_20280301", rows: 1 },
  ]);
});
