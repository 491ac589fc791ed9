/**
 * What /metrics exposes: all sources, merged. The gateway's own metrics come first, so that no pusher can take
 * their names. What receivers own follows, such as Pushgateway's
 * groups, and then the running totals.
 *
 * The first family is EXPOSITION_INFO. A Prometheus that scrapes this gateway and writes to it sends that
 * sample back first, and so the gateway learns which other samples are its own
 * (src/ingest/admission/echoes.ts).
 */
import type { Counters } from "../model/counters.ts";
import type { Labels } from "../model/sample.ts";
import { labelText } from "../model/spelling.ts";
import { inSlices } from "../model/tasks/time-slices.ts";
import { type Family, mergeFamilies, narrowFamilies } from "./family.ts";
import { EXPOSITION_INFO, registryFamilies } from "./own.ts";
import type { Totals } from "./totals/totals.ts";

interface ExpositionSources {
  /** The gateway's own metrics. */
  readonly counters: Counters;
  /** Identifies this exposition: the label of EXPOSITION_INFO, which is not exposed without it. */
  readonly id?: string;
  readonly totals: Totals;
  /** Receivers with series of their own, which the totals do not expose. */
  readonly owners?: readonly { families(): readonly Family[] }[];
}

/** A computation that has not begun. All scrapes that ask for the same share it. */
interface Awaited {
  nowMs: number;
  readonly families: Promise<readonly Family[]>;
}

export class Exposition {
  readonly #sources: ExpositionSources;
  readonly #info: readonly Family[];
  /** By what is asked for. */
  readonly #awaited = new Map<string, Awaited>();
  /** Settles when the computation that was asked for last has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(sources: ExpositionSources) {
    this.#sources = sources;
    const { id } = sources;
    const help =
      "Identifies this exposition: the gateway drops its own samples when they are written back to it.";
    const points = id === undefined ? [] : [{ labels: labelText(new Map([["id", id]])), value: 1 }];
    this.#info = [{ name: EXPOSITION_INFO, help, unit: "", type: "gauge", points }];
  }

  /**
   * The families at `nowMs` or a little later: a complete copy, EXPOSITION_INFO first and the others in ascending order of
   * names. One is computed at a time. Scrapes that come meanwhile share the next one, so that several at once take the
   * time and the memory of two.
   *
   * @param exemplars whether to look them up. Text 0.0.4 has none
   * @param labels if set, only series with these labels, and none of the gateway's own metrics but EXPOSITION_INFO
   */
  families(nowMs: number, exemplars = true, labels?: Labels): Promise<readonly Family[]> {
    const key = JSON.stringify([exemplars, labels === undefined ? null : [...labels]]);
    const known = this.#awaited.get(key);
    if (known !== undefined) {
      known.nowMs = Math.max(known.nowMs, nowMs);
      return known.families;
    }
    const families = this.#last.then(() => {
      this.#awaited.delete(key);
      return this.#compute(awaited.nowMs, exemplars, labels);
    });
    const awaited: Awaited = { nowMs, families };
    this.#awaited.set(key, awaited);
    this.#last = families.catch(() => undefined);
    return families;
  }

  async #compute(nowMs: number, exemplars: boolean, labels: Labels | undefined): Promise<readonly Family[]> {
    const { counters, totals, owners = [] } = this.#sources;
    if (labels !== undefined) {
      const sources = [
        totals.lastPushes(nowMs),
        ...owners.map((owner) => owner.families()),
        await inSlices(totals.families(nowMs * 1000, exemplars)),
      ];
      // Narrowed before they are merged, so that series of others conflict with none of these.
      const narrowed: Family[][] = [];
      for (const source of sources) narrowed.push(await inSlices(narrowFamilies(source, labels)));
      const { families } = await inSlices(mergeFamilies(narrowed));
      return [...this.#info, ...families];
    }
    // Asked for first, since what totals restore with their first use is counted.
    const exposed = totals.families(nowMs * 1000, exemplars);
    const own = await registryFamilies(counters.registry);
    const sources = [
      this.#info,
      own,
      totals.lastPushes(nowMs),
      ...owners.map((owner) => owner.families()),
      await inSlices(exposed),
    ];
    const merged = await inSlices(mergeFamilies(sources));
    counters.expositionConflicts.set(merged.conflicts);
    const isInfo = ({ name }: Family) => name === EXPOSITION_INFO;
    return [...merged.families.filter(isInfo), ...merged.families.filter((family) => !isInfo(family))];
  }
}
