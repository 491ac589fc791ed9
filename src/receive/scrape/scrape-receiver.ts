/** A scraper for what only exposes metrics: it requests them as Prometheus does, and stores them. */
import { hostname } from "node:os";
import type { Protocol } from "../../model/protocol.ts";
import type { ScrapeJob } from "../../model/scrape-job.ts";
import type { Service } from "../../model/service.ts";
import type { OpenReceiver, Receiver, ReceiverContext } from "../receiver.ts";
import { type Clock, ScrapeLoop } from "./scrape-loop.ts";
import { msToFirstScrape, targetsOf } from "./scrape-target.ts";
import type { TargetScraper } from "./target-scraper.ts";
import { targetsRoutes } from "./targets-routes.ts";

const protocol: Protocol = {
  name: "scrape",
  // A Prometheus that scrapes the gateway gets the series at /federate, with the labels of their targets.
  exposed: "by setting",
  countsAsPush: "never",
  // A gateway can be its own target.
  returnsEchoes: true,
  keepsBoundText: false,
  terms: { time: "timestamp", timeUnit: "milliseconds", metric: "metric name", label: "label" },
};

interface ScrapeSettings {
  readonly scrape: readonly ScrapeJob[];
}

export const scrape: Receiver<ScrapeSettings> = {
  protocol,
  open: (context) => openScraper(context, { now: context.now, monotonic: () => performance.now(), wait }),
};

type ScraperContext = Pick<
  ReceiverContext<ScrapeSettings>,
  "ingest" | "layouts" | "counters" | "log" | "settings"
>;

/** Opens the scraper with a clock, which tests control. What scrapes is loaded if there are targets. */
export async function openScraper(context: ScraperContext, clock: Clock): Promise<OpenReceiver> {
  const scrapers = context.settings.scrape.length === 0 ? [] : await scrapersOf(context, clock);
  return {
    routes: [targetsRoutes(scrapers)],
    services: scrapers.map((scraper) => serviceOf(scraper, clock)),
  };
}

async function scrapersOf(
  { ingest, layouts, counters, log, settings }: ScraperContext,
  clock: Clock,
): Promise<TargetScraper[]> {
  const { TargetScraper } = await import("./target-scraper.ts");
  return targetsOf(settings.scrape).map(
    (target) =>
      new TargetScraper(target, {
        push: (batch) => ingest.push(batch),
        layouts,
        counters,
        log,
        monotonic: () => clock.monotonic(),
        protocol: protocol.name,
      }),
  );
}

function serviceOf(scraper: TargetScraper, clock: Clock): Service {
  const { target } = scraper;
  const loop = new ScrapeLoop(target.job.intervalMs, (atMs, stop) => scraper.scrape(atMs, stop), clock);
  return {
    start(onFault) {
      loop.start(msToFirstScrape(target, clock.now(), hostname()), onFault);
    },
    stop: () => loop.stop(),
  };
}

/** Resolves after a time, or when `stop` is aborted. */
async function wait(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = () => resolve();
  stop.addEventListener("abort", end);
  await promise;
  clearTimeout(timer);
  // The signal lives as long as the loop.
  stop.removeEventListener("abort", end);
}
