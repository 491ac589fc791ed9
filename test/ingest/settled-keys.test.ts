/** Keys of committed pushes, compared with a plain Map. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SettledKeys } from "../../src/ingest/settled-keys.ts";
import { runs } from "../runs.ts";

const MIB = 1_048_576;
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ add: fc.nat(60), body: fc.nat(2), answer: fc.nat(3) }) },
    { weight: 6, arbitrary: fc.record({ find: fc.nat(60), body: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ forget: fc.nat(100) }) },
  ),
  { maxLength: 400 },
);

test("with room, each key has its newest body and answer until it expires", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const keys = new SettledKeys(MIB);
      const model = new Map<string, { body: string; answer: string; second: number }>();
      for (const [second, step] of all.entries()) {
        if ("add" in step) {
          const [key, body, answer] = [`key ${step.add}`, `body ${step.body}`, `answer ${step.answer}`];
          expect(keys.add(key, body, 1000 * (second + 1), answer)).toBeUndefined();
          model.set(key, { body, answer, second: second + 1 });
        } else if ("find" in step) {
          const expected = model.get(`key ${step.find}`);
          const body = `body ${step.body}`;
          expect(keys.find(`key ${step.find}`, body)).toEqual(
            expected && { bodyMatches: expected.body === body, answer: expected.answer },
          );
        } else {
          const before = Math.max(0, second - step.forget);
          keys.forgetBefore(1000 * before);
          for (const [key, entry] of model) if (entry.second < before) model.delete(key);
        }
      }
    }),
    runs(200),
  );
});

test("without room, the oldest keys are dropped and counted, and the newest half stays", () => {
  const keys = new SettledKeys(MIB);
  let dropped = 0;
  for (let n = 0; n < 100_000; n++) {
    const was = keys.add(`key ${n}`, "body", 1_000 * n, "answer");
    if (was === undefined) continue;
    dropped += was.count;
    // Keys are dropped in the order of receipt, so this is the newest of them.
    expect(was.receivedAtMs).toBe(1_000 * (dropped - 1));
  }
  let kept = 0;
  for (let n = 0; n < 100_000; n++) {
    if (keys.find(`key ${n}`, "body") === undefined) expect(n).toBeLessThan(dropped);
    else kept++;
  }
  expect(kept).toBe(100_000 - dropped);
  // 42.7 bytes a key in a full table: 24,576 keys in 1 MiB. The last table need not be full.
  expect(kept).toBeGreaterThan(20_000);
  expect(kept).toBeLessThanOrEqual(24_576);
});

test("long answers count against the limit", () => {
  const keys = new SettledKeys(MIB);
  for (let n = 0; n < 100; n++) keys.add(`key ${n}`, "body", 1_000, "x".repeat(50_000) + n);
  const kept = Array.from({ length: 100 }, (_, n) => keys.find(`key ${n}`, "body")).filter(Boolean);
  expect(kept.length).toBeGreaterThan(5);
  expect(kept.length).toBeLessThan(12);
});
