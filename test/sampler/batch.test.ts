/** The batch of a reading, and the heads that are kept from one reading to the next. */
import { expect, test } from "bun:test";
import type { Batch } from "../../src/model/sample.ts";
import { cumulative, gauge, Heads, READING_SAMPLES_MAX } from "../../src/sampler/batch.ts";
import { values } from "./readings.ts";

const LOAD = gauge("node_load1", "Load.");
const CPU = cumulative("node_cpu_seconds_total", "CPU.", ["mode", "cpu"]);

test("makes a batch of a reading, with one time and every series once", () => {
  const reading = new Heads(new Map([["instance", "box"]])).read(1_700_000_000_123_000);
  reading.add(CPU, 12.5, "user", "0");
  reading.add(CPU, 3, "idle", "0");
  reading.add(LOAD, 0.25);
  const batch = reading.seal();
  expect(batch.protocol).toBe("sampler");
  expect(batch.length).toBe(3);
  expect([...batch.timestampUs]).toEqual(Array(3).fill(1_700_000_000_123_000));
  expect([...batch.head]).toEqual([0, 1, 2]);
  expect([...batch.position]).toEqual([0, 1, 2]);
  expect([...batch.value]).toEqual([12.5, 3, 0.25]);
  expect(batch.heads[0]).toEqual({
    metric: "node_cpu_seconds_total",
    kind: "cumulative",
    type: "counter",
    unit: "seconds",
    help: "CPU.",
    labels: new Map([
      ["cpu", "0"],
      ["instance", "box"],
      ["mode", "user"],
    ]),
  });
  expect([...batch.heads[0].labels.keys()]).toEqual(["cpu", "instance", "mode"]);
  expect(batch.heads[2]).toMatchObject({ kind: "gauge", type: "gauge", unit: "" });
});

test("leaves out values that are not numbers and empty labels, and keeps the first of two samples", () => {
  const reading = new Heads().read(0);
  reading.add(LOAD, undefined);
  reading.add(LOAD, Number.NaN);
  reading.add(LOAD, Number.POSITIVE_INFINITY);
  reading.add(CPU, 1, "user", "");
  reading.add(CPU, 2, "user", "");
  expect(values(reading.seal())).toEqual({ 'node_cpu_seconds_total{mode="user"}': 1 });
});

test("keeps the same head object for a series from one reading to the next", () => {
  const heads = new Heads();
  const head = () => {
    const reading = heads.read(0);
    reading.add(CPU, 1, "user", "0");
    return reading.seal().heads[0];
  };
  expect(head()).toBe(head());
});

test("keeps the same list of heads while readings have the same series in the same order", () => {
  const heads = new Heads();
  const batch = (...cpus: readonly string[]) => {
    const reading = heads.read(0);
    cpus.forEach((cpu, index) => {
      reading.add(CPU, index, "user", cpu);
    });
    return reading.seal();
  };
  const cpusOf = ({ heads, head, length }: Batch) =>
    Array.from({ length }, (_, sample) => heads[head[sample]!]!.labels.get("cpu"));
  const first = batch("0", "1");
  const same = batch("0", "1");
  expect([same.heads, same.head, [...same.value]]).toEqual([first.heads, first.head, [0, 1]]);
  expect(same.heads).toBe(first.heads);
  expect(cpusOf(batch("1", "0"))).toEqual(["1", "0"]);
  expect(cpusOf(batch("1", "1", "2"))).toEqual(["1", "2"]);
  expect(cpusOf(batch("1"))).toEqual(["1"]);
  expect(cpusOf(batch("2", "1", "2", "0"))).toEqual(["2", "1", "0"]);
  // A reading that was never sealed counts as one, too: its series are not in the list.
  heads.read(0).add(CPU, 1, "user", "9");
  expect(cpusOf(batch("2", "1", "1", "0"))).toEqual(["2", "1", "0"]);
  expect(heads.size).toBe(4);
  expect(cpusOf(first)).toEqual(["0", "1"]);
});

test("drops series that a reading did not have", () => {
  const heads = new Heads();
  for (let container = 0; container < 100; container++) heads.read(0).add(CPU, 1, "user", String(container));
  heads.read(0);
  expect(heads.size).toBe(1);
  heads.read(0);
  expect(heads.size).toBe(0);
});

test("ignores additions of a slow part after the reading is sealed", () => {
  const reading = new Heads().read(0);
  const batch = reading.seal();
  reading.add(LOAD, 1);
  expect(batch.length).toBe(0);
  expect(batch.heads).toEqual([]);
});

test("limits the size of a reading, and counts the samples above it", () => {
  const reading = new Heads().read(0);
  for (let sample = 0; sample < READING_SAMPLES_MAX + 3; sample++)
    reading.add(CPU, 1, "user", String(sample));
  expect(reading.dropped).toBe(3);
  expect(reading.seal().length).toBe(READING_SAMPLES_MAX);
});
