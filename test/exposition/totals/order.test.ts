/** The order of exposed series, if others are added and removed while a scrape is computed. */
import { expect, test } from "bun:test";
import { Totals } from "../../../src/exposition/totals/totals.ts";
import { atOnce } from "../../../src/model/tasks/time-slices.ts";
import { DEFAULTS } from "../../defaults.ts";
import { metric, rows, series } from "./rows.ts";

const NOW_US = 1_700_000_000 * 1e6;

test("series are in ascending order of labels, whatever is added and removed between the slices of scrapes", () => {
  const totals = new Totals(DEFAULTS);
  const gauge = metric("g", "gauge", { type: "gauge" });
  const expected = new Map<number, string>();
  let nextId = 1;
  // A fixed sequence of numbers below `n`.
  let seed = 7;
  const any = (n: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % n;
  };
  const add = (count: number) => {
    const ids: number[] = [];
    for (let n = 0; n < count; n++) {
      const seriesId = nextId++;
      const label = `${any(1_000_000)}-${seriesId}`;
      totals.define(series(seriesId, gauge, { n: label }));
      expected.set(seriesId, `instance="",n="${label}"`);
      ids.push(seriesId);
    }
    totals.apply(rows(ids.map((id) => ({ id, at: NOW_US / 1e6, value: id }))), NOW_US);
  };
  const remove = (count: number) => {
    const ids = [...expected.keys()];
    for (let n = 0; n < count && ids.length > 0; n++) {
      const [seriesId] = ids.splice(any(ids.length), 1);
      totals.forget(seriesId!);
      expected.delete(seriesId!);
    }
  };
  const shown = () => {
    const [family] = atOnce(totals.families(NOW_US)).filter(({ name }) => name === "g");
    return family?.points.map(({ labels }) => labels) ?? [];
  };
  add(3_000);
  for (let round = 0; round < 12; round++) {
    const tasks = [totals.families(NOW_US), totals.families(NOW_US)];
    for (let step = 0; step < 40; step++) {
      for (const task of tasks) task.next();
      if (step % 8 === round % 8) add(any(5) === 0 ? 400 : 1);
      if (step % 9 === round % 9) remove(any(6) === 0 ? 500 : 1);
    }
    for (const task of tasks) atOnce(task);
    expect(shown()).toEqual([...expected.values()].sort((a, b) => (a < b ? -1 : 1)));
  }
  remove(expected.size);
  expect(shown()).toEqual([]);
});
