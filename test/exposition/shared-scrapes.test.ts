/** Scrapes at once: which of them share what is computed. */
import { expect, test } from "bun:test";
import { Exposition } from "../../src/exposition/exposition.ts";
import { Totals } from "../../src/exposition/totals/totals.ts";
import { createCounters } from "../../src/model/counters.ts";
import { DEFAULTS } from "../defaults.ts";
import { metric, rows, series } from "./totals/rows.ts";

const AT_S = 1_700_000_000;

function exposed() {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, metric("jobs", "gauge", { type: "gauge" }), { site: "a" }));
  totals.define(series(2, metric("jobs", "gauge", { type: "gauge" }), { site: "b" }));
  const set = (value: number) =>
    totals.apply(rows([1, 2].map((id) => ({ id, at: AT_S + value, value }))), AT_S * 1e6);
  set(1);
  let computed = 0;
  const owners = [
    {
      families() {
        computed++;
        return [];
      },
    },
  ];
  const exposition = new Exposition({ counters: createCounters(), totals, owners });
  const values = async (site?: string) => {
    const labels = site === undefined ? undefined : new Map([["site", site]]);
    const families = await exposition.families(AT_S * 1e3, false, labels);
    return families
      .filter(({ name }) => name === "jobs")
      .flatMap(({ points }) => points.map((point) => ("value" in point ? point.value : undefined)));
  };
  return { set, values, computed: () => computed };
}

test("scrapes that come while one is computed share the next, which has what was stored before them", async () => {
  const { set, values, computed } = exposed();
  const first = values();
  // The first one has begun.
  await Promise.resolve();
  await Promise.resolve();
  set(2);
  const others = [values(), values(), values()];
  expect(await first).toHaveLength(2);
  for (const other of others) expect(await other).toEqual([2, 2]);
  expect(computed()).toBe(2);
  set(3);
  expect(await values()).toEqual([3, 3]);
  expect(computed()).toBe(3);
});

test("scrapes of tokens with other labels do not share", async () => {
  const { values, computed } = exposed();
  expect(await Promise.all([values("a"), values("b"), values("a"), values()])).toEqual([
    [1],
    [1],
    [1],
    [1, 1],
  ]);
  expect(computed()).toBe(3);
});

test("a scrape that fails does not fail the next one", async () => {
  let isBroken = true;
  const owner = {
    families() {
      if (isBroken) throw new Error("broken");
      return [];
    },
  };
  const exposition = new Exposition({
    counters: createCounters(),
    totals: new Totals(DEFAULTS),
    owners: [owner],
  });
  expect(exposition.families(AT_S * 1e3)).rejects.toThrow("broken");
  await exposition.families(AT_S * 1e3).catch(() => undefined);
  isBroken = false;
  expect(await exposition.families(AT_S * 1e3)).toBeArray();
});
