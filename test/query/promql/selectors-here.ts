/** Selectors that are parsed and evaluated on the thread of the test, without a Worker. */
import { narrowed } from "../../../src/query/caller-series.ts";
import { matcher } from "../../../src/query/promql/matchers.ts";
import type { SelectorUse } from "../../../src/query/promql/worker/selector-reader.ts";
import { selectorsOf } from "../../../src/query/promql/worker/tasks.ts";

export const selectorsHere: SelectorUse = {
  async use({ texts, labels, ...how }, signal = new AbortController().signal, work) {
    const selectors = texts === undefined ? [[]] : selectorsOf({ kind: "selectors", texts, ...how });
    const matchers = selectors.map((all) =>
      all.map(({ name, operator, value }) => matcher(name, operator, value)),
    );
    return await work(narrowed(matchers, labels), signal);
  },
};
