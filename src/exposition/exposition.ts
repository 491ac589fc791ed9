/**
 * What /metrics shows: every source, merged. The gateway's own metrics come first, so that nobody who pushes
 * can take their names; then Pushgateway's groups; then the running totals.
 */
import type { Registry } from "prom-client";
import { expositionConflicts } from "../counters.ts";
import { type Family, mergeFamilies } from "./family.ts";
import { registryFamilies } from "./own.ts";
import type { Totals } from "./totals.ts";

export interface ExpositionSources {
  readonly registry: Registry;
  readonly totals: Totals;
  readonly groups?: { families(): readonly Family[] };
}

export class Exposition {
  readonly #sources: ExpositionSources;

  constructor(sources: ExpositionSources) {
    this.#sources = sources;
  }

  /**
   * The families at `nowMs`: a copy, whole, in ascending order of names.
   *
   * @param exemplars whether to look them up; text 0.0.4 has none
   */
  async families(nowMs: number, exemplars = true): Promise<readonly Family[]> {
    const { registry, totals, groups } = this.#sources;
    const own = await registryFamilies(registry);
    const merged = mergeFamilies([
      own,
      totals.lastPushes(nowMs),
      groups?.families() ?? [],
      totals.families(nowMs * 1000, exemplars),
    ]);
    expositionConflicts.set(merged.conflicts);
    return merged.families;
  }
}
