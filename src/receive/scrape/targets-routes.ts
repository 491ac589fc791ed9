/**
 * What Prometheus's API answers about targets (https://prometheus.io/docs/prometheus/latest/querying/api/#targets):
 * their labels, their health and their last error, for Grafana and for people.
 */
import { apiError, success } from "../../http/prometheus/prometheus-api-answer.ts";
import { Routes } from "../../http/routes.ts";
import { queryOf } from "../../http/url-text.ts";
import { formatDuration } from "../../model/duration.ts";
import type { Caller } from "../../access/access.ts";
import { BadInput, quote } from "../../model/errors.ts";
import { hasLabels } from "../../query/caller-series.ts";
import type { TargetScraper } from "./target-scraper.ts";

/** As Go writes a time that is not set. */
const NEVER = "0001-01-01T00:00:00Z";
const STATES = ["active", "dropped", "any"];

export function targetsRoutes(scrapers: readonly TargetScraper[]): Routes {
  return new Routes(apiError)
    .on(
      "GET",
      "/api/v1/targets",
      { scope: "read", bound: "narrows" },
      "lists the scraped targets, with their health and last error",
      (request, _, caller) => {
        const query = queryOf(request.url);
        const state = query.get("state") || "any";
        if (!STATES.includes(state))
          throw new BadInput(`state is ${quote(state)}, expected one of ${STATES.join(", ")}`, "state");
        const pool = query.get("scrapePool");
        const asked = ownOf(scrapers, caller).filter(({ target }) => !pool || target.job.jobName === pool);
        return success({
          activeTargets: state === "dropped" ? [] : asked.map(activeTarget),
          droppedTargets: [],
          droppedTargetCounts: Object.fromEntries(asked.map(({ target }) => [target.job.jobName, 0])),
        });
      },
    )
    .on(
      "GET",
      "/api/v1/scrape_pools",
      { scope: "read", bound: "narrows" },
      "lists the names of the jobs that are scraped",
      (_, __, caller) => {
        const names = new Set(ownOf(scrapers, caller).map(({ target }) => target.job.jobName));
        return success({ scrapePools: [...names].sort() });
      },
    );
}

/** The targets whose labels contain those of the caller. */
function ownOf(scrapers: readonly TargetScraper[], { labels }: Caller): readonly TargetScraper[] {
  return scrapers.filter(({ target }) => hasLabels(target.labels, labels));
}

function activeTarget({ target, state }: TargetScraper): Record<string, unknown> {
  const { job, labels, discovered, shownUrl } = target;
  return {
    discoveredLabels: discovered,
    labels: Object.fromEntries(labels),
    scrapePool: job.jobName,
    scrapeUrl: shownUrl,
    globalUrl: shownUrl,
    lastError: state.lastError,
    lastScrape: state.lastScrapeMs === undefined ? NEVER : new Date(state.lastScrapeMs).toISOString(),
    lastScrapeDuration: state.lastDurationSeconds,
    health: state.health,
    scrapeInterval: formatDuration(job.intervalMs),
    scrapeTimeout: formatDuration(job.timeoutMs),
  };
}
