/**
 * Scrapes one target and stores what it exposes: one push per scrape, with the samples, the stale markers and `up`
 * together. Logs a target that goes down or comes up again, not each scrape.
 *
 * If a scrape cannot be stored, because the queue or the disk is full, its samples are lost, as in Prometheus. The next
 * scrape then ends the series of the last stored one.
 */
import type { Log } from "../../log/log.ts";
import type { Ack } from "../../ingest/contract.ts";
import type { Counters } from "../../model/counters.ts";
import { RequestError } from "../../model/errors.ts";
import type { Batch } from "../../model/sample.ts";
import type { BucketLayouts } from "../../wire/bucket-layout.ts";
import { fetchTarget } from "./fetch-target.ts";
import { ScrapeFailure } from "./scrape-failure.ts";
import type { ScrapeTarget } from "./scrape-target.ts";
import { type ScrapedBody, TargetDecoder } from "./target-decoder.ts";

interface ScraperDependencies {
  readonly push: (batch: Batch) => Promise<Ack>;
  readonly layouts: BucketLayouts;
  readonly counters: Pick<Counters, "targetScrapesFailed" | "nativeHistograms" | "exemplarsDropped">;
  readonly log: Log;
  /** Milliseconds that only grow, for durations. */
  readonly monotonic: () => number;
  readonly protocol: string;
}

/** What people can read about a target. */
interface TargetState {
  readonly health: "unknown" | "up" | "down";
  /** Empty if the last scrape was stored. */
  readonly lastError: string;
  /** Undefined before the first scrape. */
  readonly lastScrapeMs: number | undefined;
  readonly lastDurationSeconds: number;
}

export class TargetScraper {
  readonly target: ScrapeTarget;
  readonly #dependencies: ScraperDependencies;
  readonly #decoder: TargetDecoder;
  #state: TargetState = { health: "unknown", lastError: "", lastScrapeMs: undefined, lastDurationSeconds: 0 };

  constructor(target: ScrapeTarget, dependencies: ScraperDependencies) {
    this.target = target;
    this.#dependencies = dependencies;
    this.#decoder = new TargetDecoder(target.job, target.labels, dependencies.layouts, dependencies.protocol);
  }

  get state(): TargetState {
    return this.#state;
  }

  /**
   * Scrapes once. Resolves after the commit. Stores nothing if `stop` ends the request.
   *
   * @param atMs the time of the samples that have none of their own
   */
  async scrape(atMs: number, stop: AbortSignal): Promise<void> {
    const { monotonic, push, counters } = this.#dependencies;
    const startedMs = monotonic();
    let body: ScrapedBody | undefined;
    let failure: ScrapeFailure | undefined;
    try {
      body = await fetchTarget(this.target, stop);
    } catch (error) {
      // As in Prometheus, a stop is not an end of the target's series: it will be scraped again after the start.
      if (stop.aborted) return;
      if (!(error instanceof ScrapeFailure)) throw error;
      failure = error;
    }
    const read = this.#decoder.read(body, atMs);
    failure ??= read.failure;
    const seconds = (monotonic() - startedMs) / 1_000;
    counters.nativeHistograms.inc(read.counts.nativeHistograms);
    counters.exemplarsDropped.inc(read.counts.exemplarsDropped);
    try {
      await push(this.#decoder.take(failure === undefined, seconds));
      this.#decoder.keep();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      failure ??= new ScrapeFailure("store", `the scrape could not be stored: ${error.message}`);
    }
    this.#note(failure, atMs, seconds);
  }

  #note(failure: ScrapeFailure | undefined, lastScrapeMs: number, lastDurationSeconds: number): void {
    const { log, counters } = this.#dependencies;
    const before = this.#state.health;
    const health = failure === undefined ? "up" : "down";
    this.#state = { health, lastError: failure?.message ?? "", lastScrapeMs, lastDurationSeconds };
    if (failure !== undefined) {
      counters.targetScrapesFailed.inc({ cause: failure.cause });
      if (before !== "down") log("target_down", { ...this.#names, error: failure.message });
    } else if (before === "down") log("target_up", this.#names);
  }

  get #names(): { job: string; instance: string; url: string } {
    const { labels, shownUrl } = this.target;
    return { job: labels.get("job") ?? "", instance: labels.get("instance") ?? "", url: shownUrl };
  }
}
