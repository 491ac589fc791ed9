/** Default bounds of histograms, by unit, written out. */
import { expect, test } from "bun:test";
import { bucketsFor } from "../../src/exposition/buckets.ts";

const MILLISECONDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const BYTES = [
  256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456, 1073741824,
];
const RATIO = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const UNKNOWN = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500],
  ...[1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000],
];

test("the bounds follow the unit that the name ends with, else the event's", () => {
  const bounds = (name: string, unit: string, want: readonly number[]) =>
    expect(bucketsFor(name, unit), `${name} in ${unit}`).toEqual([...want]);
  bounds("http.request.duration_ms", "", MILLISECONDS);
  bounds("task.durationMs", "", MILLISECONDS);
  bounds("TASK_DURATION_MS", "", MILLISECONDS);
  bounds("task.duration.milliseconds", "", MILLISECONDS);
  bounds("request_seconds", "", SECONDS);
  bounds("latency_s", "", SECONDS);
  bounds("upload.bytes", "", BYTES);
  bounds("cache_hit_ratio", "", RATIO);
  bounds("latency", "ms", MILLISECONDS);
  bounds("latency", "seconds", SECONDS);
  bounds("payload", "By", BYTES);
  // The name is part of the identity, the unit may come late: the name wins.
  bounds("request_seconds", "ms", SECONDS);
  // A word that only ends like a unit is none.
  bounds("items", "", UNKNOWN);
  bounds("terms", "", UNKNOWN);
  bounds("score", "", UNKNOWN);
  bounds("", "", UNKNOWN);
});

test("settings come before units, in either spelling of the name", () => {
  const overrides = new Map([
    ["http.request.duration_ms", [1, 2]],
    ["task_ms", [3]],
  ]);
  expect(bucketsFor("http.request.duration_ms", "", overrides)).toEqual([1, 2]);
  expect(bucketsFor("task.ms", "", overrides)).toEqual([3]);
  expect(bucketsFor("other_ms", "", overrides)).toEqual(MILLISECONDS);
});
