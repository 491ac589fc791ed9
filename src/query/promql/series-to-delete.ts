/**
 * Finds the stored series that selectors mean in a deletion. Only rows can be deleted. The rows of an observation `X`
 * are selected by its own name, and those of a delta also by the name of its total. The histogram of `X` is deleted
 * together with `X`, and cannot be deleted alone.
 */
import { BadInput } from "../../model/errors.ts";
import type { Series } from "../../model/sample.ts";
import type { Matcher } from "./matchers.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { SelectorsAsked, SelectorUse } from "./worker/selector-reader.ts";

/** The parts of PromQL that find series. */
interface Search {
  readonly selectors: SelectorUse;
  readonly catalog: Pick<Catalog, "find">;
}

/**
 * The ids of the series whose rows the selectors find, ascending.
 *
 * @throws BadInput where a selector finds series that are computed from others, without those others
 */
export async function seriesToDelete(asked: SelectorsAsked, search: Search): Promise<number[]> {
  return await search.selectors.use(asked, undefined, (selectors) => idsOf(selectors, search));
}

async function idsOf(selectors: readonly (readonly Matcher[])[], { catalog }: Search): Promise<number[]> {
  const ids = new Set<number>();
  for (const matchers of selectors) {
    const own = new Set<number>();
    const sources = await catalog.find(matchers, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    for (const { shape, metric, seriesIds } of sources) {
      if (shape === "raw" || metric.kind === "delta") for (const id of seriesIds) own.add(id);
    }
    const derived = sources.find(({ seriesIds }) => seriesIds.some((id) => !own.has(id)));
    if (derived !== undefined) {
      throw new BadInput(
        `${derived.labels.get("__name__")} is computed from the rows of ${derived.metric.prometheusName}: delete those.`,
        "match[]",
      );
    }
    for (const id of own) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

/**
 * Adds up the samples of series by the Prometheus name of their metric, in the order of the names.
 *
 * @param counts of samples, by series id
 */
export function countByMetric(
  counts: ReadonlyMap<number, number>,
  seriesById: (seriesId: number) => Series | undefined,
): { metric: string; series: number; samples: number }[] {
  const byMetric = new Map<string, { series: number; samples: number }>();
  for (const [seriesId, samples] of counts) {
    const metric = seriesById(seriesId)?.metric.prometheusName;
    if (metric === undefined) continue;
    const sum = byMetric.get(metric) ?? { series: 0, samples: 0 };
    byMetric.set(metric, { series: sum.series + 1, samples: sum.samples + samples });
  }
  return Array.from(byMetric, ([metric, sum]) => ({ metric, ...sum })).sort((a, b) =>
    a.metric < b.metric ? -1 : 1,
  );
}
