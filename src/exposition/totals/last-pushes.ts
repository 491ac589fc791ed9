/**
 * When each worker last pushed: the dead man's switch,
 * `time() - weir_last_push_timestamp_seconds > 3600`. Bounded. It is stored with the snapshots of the totals, so that
 * a worker that died is missed after a restart of the gateway too.
 */
import { lastPushesRefused } from "../../model/counters.ts";
import { labelText } from "../../model/spelling.ts";
import type { Family } from "../family.ts";

export interface LastPushesOptions {
  /** Pairs of job and instance. */
  readonly lastPushesMax: number;
  readonly keptForMs: number;
}

const DEFAULTS = { lastPushesMax: 10_000, keptForMs: 24 * 3_600_000 } satisfies LastPushesOptions;

/** When a job and instance ("" where it has none) last pushed. */
export interface LastPush {
  readonly job: string;
  readonly instance: string;
  readonly pushedAtMs: number;
}

interface Noted extends LastPush {
  /** As they read, once they were shown. */
  labels: string | undefined;
}

export class LastPushes {
  readonly #options: LastPushesOptions;
  /** The one that pushed longest ago stands first. */
  readonly #pushes = new Map<string, Noted>();

  constructor(options: Partial<LastPushesOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /**
   * A push of `job` and `instance` ("" where it has none) arrived. When there is no room, a pair that is not
   * known is refused: an old one that were dropped for it might be the one that somebody waits for.
   */
  note(job: string, instance: string, timestampMs: number): void {
    const key = keyOf(job, instance);
    const labels = this.#pushes.get(key)?.labels;
    if (!this.#pushes.delete(key) && this.#pushes.size >= this.#options.lastPushesMax) {
      this.#expire(timestampMs);
      if (this.#pushes.size >= this.#options.lastPushesMax) {
        lastPushesRefused.inc();
        return;
      }
    }
    this.#pushes.set(key, { job, instance, pushedAtMs: timestampMs, labels });
  }

  /** Whether a push of them is known. */
  has(job: string, instance: string): boolean {
    return this.#pushes.has(keyOf(job, instance));
  }

  #expire(nowMs: number): void {
    for (const [key, { pushedAtMs }] of this.#pushes) {
      if (pushedAtMs > nowMs - this.#options.keptForMs) return;
      this.#pushes.delete(key);
    }
  }

  /** All of them, to be stored; the one that pushed longest ago first. `note` takes them back in this order. */
  records(): LastPush[] {
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
    return [{ name: "weir_last_push_timestamp_seconds", help, unit: "", type: "gauge", points }];
  }
}

function keyOf(job: string, instance: string): string {
  return `${job}\u0000${instance}`;
}

/** As with every pushed series: no job leaves room for the scrape's, no instance is said to be none. */
function exposedLabels(job: string, instance: string): string {
  const labels = new Map(job === "" ? [] : [["job", job]]);
  return labelText(labels.set("instance", instance));
}
