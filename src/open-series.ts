/** Opens the series: the registry and the running totals, as they were when the store was closed. */
import { type Config, pickSettings } from "./config/config.ts";
import { Totals } from "./exposition/totals/totals.ts";
import type { Counters } from "./model/counters.ts";
import { bucketsFor } from "./series/buckets.ts";
import { Registry } from "./series/registry.ts";
import type { Stored, Store } from "./store/store.ts";

/** Restores the totals of the last snapshot, and adds the rows past it. */
export async function openSeries(
  config: Config,
  counters: Counters,
  store: Pick<Store, "replay">,
  stored: Stored,
): Promise<{ registry: Registry; totals: Totals }> {
  const settings = pickSettings(
    config,
    "attributes",
    "labelValuesMax",
    "metricsMax",
    "nameBytesMax",
    "seriesPerMetricMax",
    "seriesStoredMax",
    "tagNamesMax",
    "tagsMax",
    "tagValueBytesMax",
  );
  const registry = new Registry({ ...settings, bucketsFor, counters }, stored);
  const totals = new Totals({
    ...pickSettings(config, "exemplarsMax", "exposeGaugesForMs", "seriesIdleMs"),
    counters,
  });
  for (const series of registry.series()) totals.define(series);
  totals.restore(stored.totals);
  for (const { job, instance, pushedAtMs } of stored.lastPushes)
    totals.noteLastPush(job, instance, pushedAtMs);
  // The time of arrival is unknown, so each row's own time counts. Series that had left /metrics stay away.
  await store.replay((rows) => totals.apply(rows));
  return { registry, totals };
}
