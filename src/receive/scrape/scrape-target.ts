/** A target of the scraper: its URL, its labels, and what people see of them. Pure. */

import { formatDuration } from "../../model/duration.ts";
import type { Labels } from "../../model/sample.ts";
import { type ScrapeAddress, type ScrapeJob, targetLabels } from "../../model/scrape-job.ts";

export interface ScrapeTarget {
  readonly job: ScrapeJob;
  /** In ascending order of the names. */
  readonly labels: Labels;
  /** The labels before the scraper made those of the target from them, as Prometheus shows them. */
  readonly discovered: Readonly<Record<string, string>>;
  readonly url: string;
  /** The URL for people: values of parameters may be secrets. */
  readonly shownUrl: string;
}

export function targetsOf(jobs: readonly ScrapeJob[]): ScrapeTarget[] {
  return jobs.flatMap((job) => job.addresses.map((each) => targetOf(job, each)));
}

function targetOf(job: ScrapeJob, each: ScrapeAddress): ScrapeTarget {
  const { scheme, metricsPath, params } = job;
  const base = `${scheme}://${each.address}${metricsPath}`;
  const query = params.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  const shown = params.map(([key]) => `${encodeURIComponent(key)}=…`);
  const withQuery = (parts: readonly string[]) => (parts.length === 0 ? base : `${base}?${parts.join("&")}`);
  return {
    job,
    labels: targetLabels(job, each),
    discovered: {
      __address__: each.address,
      __metrics_path__: metricsPath,
      __scheme__: scheme,
      __scrape_interval__: formatDuration(job.intervalMs),
      __scrape_timeout__: formatDuration(job.timeoutMs),
      ...Object.fromEntries(params.map(([key]) => [`__param_${key}`, "…"])),
      job: job.jobName,
      ...each.labels,
    },
    url: withQuery(query),
    shownUrl: withQuery(shown),
  };
}

/**
 * Milliseconds from a time to the first scrape of a target. Targets are spread over the interval by a hash, so that a
 * target is scraped at the same phase after each restart.
 *
 * @param seed differs between machines, so that two of them do not scrape a target at the same time
 */
export function msToFirstScrape({ labels, url, job }: ScrapeTarget, nowMs: number, seed: string): number {
  const hash = Bun.hash.xxHash64(JSON.stringify([seed, url, [...labels]]));
  const phaseMs = Number(hash % BigInt(job.intervalMs));
  return (((phaseMs - (nowMs % job.intervalMs)) % job.intervalMs) + job.intervalMs) % job.intervalMs;
}
