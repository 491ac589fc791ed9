/** Removed series while there is no scrape: they must not stay in memory. */
import { expect, test } from "bun:test";
import { Totals } from "../../../src/exposition/totals/totals.ts";
import type { Metric, Series } from "../../../src/model/sample.ts";
import { DEFAULTS } from "../../defaults.ts";

test("frees the labels of removed series without a scrape", () => {
  const metric: Metric = {
    name: "g",
    prometheusName: "g",
    kind: "gauge",
    type: "gauge",
    unit: "",
    help: "",
    buckets: [],
  };
  const totals = new Totals(DEFAULTS);
  const labels: WeakRef<object>[] = [];
  for (let seriesId = 1; seriesId <= 1_000; seriesId++) {
    const series: Series = { seriesId, metric, labels: new Map([["n", `${seriesId}`]]), exposed: true };
    labels.push(new WeakRef(series.labels));
    totals.define(series);
    totals.forget(seriesId);
  }
  Bun.gc(true);
  expect(labels.filter((label) => label.deref() !== undefined).length).toBeLessThan(500);
});
