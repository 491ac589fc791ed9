/**
 * When each worker last pushed: the dead man's switch, `time() - weir_last_push_timestamp_seconds > 3600`. The
 * number of workers is bounded. The times are stored with the snapshots of the totals, so that a worker that
 * died is noticed after a restart of the gateway too.
 */

import type { Counters } from "../../model/counters.ts";
import type { LastPushRecord } from "../../model/records.ts";
import { DAY_MS } from "../../model/duration.ts";
import { labelText } from "../../model/spelling.ts";
import type { Family } from "../family.ts";

/** The name of the metric on /metrics. */
export const LAST_PUSH = "weir_last_push_timestamp_seconds";
/** Pairs of job and instance. */
const PUSHES_MAX = 10_000;
const KEPT_FOR_MS = DAY_MS;

interface Noted extends LastPushRecord {
  /** The text of the labels. Undefined until it was exposed. */
  labels: string | undefined;
}

export class LastPushes {
  readonly #counters: Counters;
  readonly #pushesMax: number;
  /** In the order of the last push, the oldest first. */
  readonly #pushes = new Map<string, Noted>();

  constructor(counters: Counters, pushesMax = PUSHES_MAX) {
    this.#counters = counters;
    this.#pushesMax = pushesMax;
  }

  /**
   * Records a push of `job` and `instance` ("" if it has none). When the limit is reached, a new pair is
   * rejected. Dropping an old pair for it could drop the dead worker that an alert waits for.
   */
  note(job: string, instance: string, timestampMs: number): void {
    const key = keyOf(job, instance);
    const labels = this.#pushes.get(key)?.labels;
    if (!this.#pushes.delete(key) && this.#pushes.size >= this.#pushesMax) {
      this.#expire(timestampMs);
      if (this.#pushes.size >= this.#pushesMax) {
        this.#counters.lastPushesRefused.inc();
        return;
      }
    }
    this.#pushes.set(key, { job, instance, pushedAtMs: timestampMs, labels });
  }

  /** Whether a push of this pair is known. */
  has(job: string, instance: string): boolean {
    return this.#pushes.has(keyOf(job, instance));
  }

  #expire(nowMs: number): void {
    for (const [key, { pushedAtMs }] of this.#pushes) {
      if (pushedAtMs > nowMs - KEPT_FOR_MS) return;
      this.#pushes.delete(key);
    }
  }

  /** All pairs, to be stored, the oldest push first. Passing them to `note` in this order restores them. */
  records(): LastPushRecord[] {
    return Array.from(this.#pushes.values(), ({ job, instance, pushedAtMs }) => ({
      job,
      instance,
      pushedAtMs,
    }));
  }

  families(nowMs: number): Family[] {
    this.#expire(nowMs);
    const points = Array.from(this.#pushes.values(), (noted) => {
      noted.labels ??= exposedLabels(noted.job, noted.instance);
      return { labels: noted.labels, value: noted.pushedAtMs / 1000 };
    });
    points.sort((a, b) => (a.labels < b.labels ? -1 : 1));
    const help = "When a job and instance last pushed, in seconds since the epoch.";
    return [{ name: LAST_PUSH, help, unit: "", type: "gauge", points }];
  }
}

function keyOf(job: string, instance: string): string {
  return `${job}\u0000${instance}`;
}

/** As for every pushed series: without a job the scrape's is used, and without an instance the label is empty. */
function exposedLabels(job: string, instance: string): string {
  const labels = new Map(job === "" ? [] : [["job", job]]);
  return labelText(labels.set("instance", instance));
}
