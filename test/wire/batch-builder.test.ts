/** Lists of heads that bodies repeat: the same list is the same object, and another list is never taken for it. */
import { describe, expect, test } from "bun:test";
import type { SeriesHead } from "../../src/model/sample.ts";
import { BatchBuilder } from "../../src/wire/batch-builder.ts";

const head = (metric: string): SeriesHead => ({ metric, kind: "gauge", labels: new Map() });
const heads = Array.from({ length: 40 }, (_, index) => head(`m${index}`));

/** Builds a batch with a sample for each head. */
function build(builder: BatchBuilder, list: readonly SeriesHead[]) {
  for (const [position, each] of list.entries())
    builder.add(builder.addHead(each), 1_000, position, position);
  const batch = builder.take();
  expect([...batch.heads]).toEqual([...list]);
  expect([...batch.head]).toEqual(list.map((_, index) => index));
  return batch.heads;
}

describe("the heads of a batch", () => {
  test("are the same list if they are those of an earlier batch, also with others in between", () => {
    const builder = new BatchBuilder("test");
    const [first, second] = [heads.slice(0, 20), heads.slice(20)];
    const [a, b] = [build(builder, first), build(builder, second)];
    for (let time = 0; time < 3; time++) {
      expect(build(builder, first)).toBe(a);
      expect(build(builder, second)).toBe(b);
    }
  });

  // The second list begins with the same head as the first.
  const others: Record<string, readonly SeriesHead[]> = {
    "are shorter": heads.slice(0, 19),
    "are longer": heads.slice(0, 21),
    "differ in the last": [...heads.slice(0, 19), heads[30]!],
    "differ in the second": [heads[0]!, heads[31]!, ...heads.slice(2, 20)],
    "have another object with the same content": [...heads.slice(0, 19), head("m19")],
    "have another order": [heads[0]!, heads[2]!, heads[1]!, ...heads.slice(3, 20)],
    "have one twice": [...heads.slice(0, 20), heads[3]!],
    "are one": heads.slice(0, 1),
    "are none": [],
  };
  for (const [name, other] of Object.entries(others)) {
    test(`are a list of their own if they ${name}`, () => {
      const builder = new BatchBuilder("test");
      const first = build(builder, heads.slice(0, 20));
      const second = build(builder, other);
      expect(second).not.toBe(first);
      build(builder, other);
      build(builder, heads.slice(0, 20));
      // What was made before does not change.
      expect([...first]).toEqual(heads.slice(0, 20));
      expect([...second]).toEqual([...other]);
    });
  }

  test("are complete after a body that was given up", () => {
    const builder = new BatchBuilder("test");
    const list = build(builder, heads);
    for (const each of heads.slice(0, 25)) builder.addHead(each);
    builder.clear();
    build(builder, heads);
    expect([...list]).toEqual(heads);
  });

  test("are right when more lists were seen than are remembered", () => {
    const builder = new BatchBuilder("test");
    const many = Array.from({ length: 3_000 }, (_, index) => head(`many${index}`));
    // 200 lists of 3,000 heads, each with another first head.
    for (let first = 0; first < 200; first++) build(builder, [...many.slice(first), ...many.slice(0, first)]);
    const again = build(builder, many);
    expect(build(builder, many)).toBe(again);
  });
});
