/** Compact maps answer as a Map does. */
import { expect, test } from "bun:test";
import { compactMap } from "../../../src/model/memory/compact-map.ts";

const ENTRIES: [string, string][] = [
  ["instance", "a:1"],
  ["job", "backup"],
  ["", "an empty name"],
];

test("a compact map answers as the Map that it was made of", () => {
  const map = new Map(ENTRIES);
  const compact = compactMap(map);
  expect(compact).not.toBe(map);
  expect([...compact]).toEqual(ENTRIES);
  expect([...compact.entries()]).toEqual(ENTRIES);
  expect([...compact.keys()]).toEqual(["instance", "job", ""]);
  expect([...compact.values()]).toEqual(["a:1", "backup", "an empty name"]);
  expect(compact.size).toBe(3);
  for (const [key, value] of ENTRIES) expect([compact.has(key), compact.get(key)]).toEqual([true, value]);
  expect([compact.has("none"), compact.get("none")]).toEqual([false, undefined]);
  const seen: unknown[] = [];
  compact.forEach((value, key, all) => {
    seen.push([key, value, all === compact]);
  });
  expect(seen).toEqual(ENTRIES.map((entry) => [...entry, true]));
  expect(new Map(compact)).toEqual(map);
  expect([...compactMap(new Map())]).toEqual([]);
});

test("a compact map does not change with the Map that it was made of", () => {
  const map = new Map(ENTRIES);
  const compact = compactMap(map);
  map.clear();
  expect([...compact]).toEqual(ENTRIES);
});

test("maps whose keys look alike when joined have keys of their own", () => {
  const pairs = compactMap(
    new Map([
      ["a", 1],
      ["b", 2],
    ]),
  );
  const joined = compactMap(new Map([["a\u0000b", 3]]));
  expect([...pairs.keys()]).toEqual(["a", "b"]);
  expect([...joined.keys()]).toEqual(["a\u0000b"]);
  expect([
    ...compactMap(
      new Map([
        ["a", 4],
        ["b", 5],
      ]),
    ),
  ]).toEqual([
    ["a", 4],
    ["b", 5],
  ]);
});

test("a map of many entries stays a Map, and a compact map is not copied", () => {
  const many = new Map(Array.from({ length: 13 }, (_, at) => [`k${at}`, at]));
  expect(compactMap(many)).toBe(many);
  const compact = compactMap(new Map(ENTRIES));
  expect(compactMap(compact)).toBe(compact);
});
