/** The circuit by hand: when it opens, for how long, and what closes it. */
import { expect, test } from "bun:test";
import { Circuit } from "../../../src/query/upstream/circuit.ts";

test("opens with the third failure in a row, for 10 s, then for twice as long up to 60 s", () => {
  let nowMs = 1_000;
  const circuit = new Circuit(() => nowMs);
  const fail = () => circuit.failed({});
  expect([fail(), fail(), circuit.isOpen]).toEqual([false, false, false]);
  expect([fail(), circuit.isOpen]).toEqual([true, true]);
  for (const pauseMs of [10_000, 20_000, 40_000, 60_000, 60_000]) {
    nowMs += pauseMs - 1;
    expect(circuit.isOpen).toBe(true);
    nowMs += 1;
    expect(circuit.isOpen).toBe(false);
    // It was not closed since it opened first.
    expect([fail(), circuit.isOpen]).toEqual([false, true]);
  }
});

test("counts the failures of one query once, and begins again after a success", () => {
  const circuit = new Circuit(() => 0);
  const query = {};
  for (let request = 0; request < 5; request++) circuit.failed(query);
  expect(circuit.isOpen).toBe(false);
  circuit.failed({});
  circuit.succeeded();
  circuit.failed({});
  circuit.failed({});
  expect(circuit.isOpen).toBe(false);
  circuit.failed({});
  expect(circuit.isOpen).toBe(true);
  circuit.succeeded();
  expect(circuit.isOpen).toBe(false);
});
