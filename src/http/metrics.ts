/**
 * `GET /metrics`, and `/prometheus`, which is the same: everything that is exposed, in the format that the scraper
 * prefers. An answer is complete or an error.
 */
import { type Family, selectFamilies } from "../exposition/family.ts";
import { openMetricsContentType, renderOpenMetrics } from "../exposition/openmetrics.ts";
import { renderText, TEXT_CONTENT_TYPE } from "../exposition/text.ts";
import type { Caller } from "../access/access.ts";
import { ConcurrencyLimit } from "../model/concurrency-limit.ts";
import type { Counters } from "../model/counters.ts";
import { Unavailable } from "../model/errors.ts";
import { nextTurn } from "../model/tasks/time-slices.ts";
import type { Labels } from "../model/sample.ts";
import { compressibleAnswer, preferredType } from "./negotiation.ts";
import { type RouteParameters, Routes } from "./routes.ts";
import { queryOf } from "./url-text.ts";

interface MetricsDependencies {
  readonly exposition: {
    /**
     * All exposed families at `nowMs`, of the series with the labels if they are set. Text 0.0.4 does not support
     * exemplars.
     */
    families(nowMs: number, exemplars: boolean, labels: Labels | undefined): Promise<readonly Family[]>;
  };
  /** Concurrent scrapes. Each keeps its answer in memory. */
  readonly scrapesMax: number;
  readonly counters: Counters;
}

/** These routes return only the series of the caller. */
const OWN = { scope: "scrape", bound: "narrows" } as const;

export type ExpositionFormat = "text" | "1.0.0" | "0.0.1";

export const metricsRoutes = ({ exposition, scrapesMax, counters }: MetricsDependencies) => {
  const limit = new ConcurrencyLimit(scrapesMax, { tasks: "scrapes", setting: "scrapesMax" });
  /** Scrapes at once get the same families, and so the same text. */
  const texts = new WeakMap<readonly Family[], Map<ExpositionFormat, Promise<Uint8Array<ArrayBuffer>>>>();
  const rendered = (families: readonly Family[], format: ExpositionFormat) => {
    const byFormat = texts.get(families) ?? new Map();
    texts.set(families, byFormat);
    return byFormat.getOrInsertComputed(format, () => render(families, format));
  };
  const scrape = async (request: Request, _: RouteParameters, { labels }: Caller): Promise<Response> => {
    // A scrape does not wait: its scraper comes again.
    if (limit.isFull) {
      counters.scrapesRefused.inc();
      throw new Unavailable(`${scrapesMax} scrapes are already in progress (scrapesMax); try again later.`);
    }
    return await limit.run(async () => {
      const format = negotiateFormat(request.headers.get("accept"));
      const all = await exposition.families(Date.now(), format !== "text", labels);
      const names = queryOf(request.url).getAll("name[]");
      const families = names.length > 0 ? selectFamilies(all, new Set(names)) : all;
      const body = await rendered(families, format);
      const headers = new Headers({
        "content-type": format === "text" ? TEXT_CONTENT_TYPE : openMetricsContentType(format),
        vary: "Accept",
      });
      return await compressibleAnswer(request, body, headers);
    });
  };
  return new Routes()
    .on("GET", "/metrics", OWN, "returns the exposed series", scrape)
    .on("GET", "/prometheus", OWN, "is the same as /metrics", scrape);
};

/** Renders the whole exposition, with a pause after each chunk, so that a long one does not delay pushes. */
export async function render(
  families: readonly Family[],
  format: ExpositionFormat,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for (const chunk of format === "text" ? renderText(families) : renderOpenMetrics(families)) {
    // In a turn of its own: several that are rendered at once would be one long slice together.
    if (chunks.length > 0) await nextTurn();
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

/** By media type, the preferred one first. */
const FORMATS: Readonly<Record<string, ExpositionFormat>> = {
  "text/plain; version=0.0.4": "text",
  "application/openmetrics-text; version=1.0.0": "1.0.0",
  "application/openmetrics-text; version=0.0.1": "0.0.1",
};

/**
 * The format that an Accept header prefers. If it names no supported format, the answer is text: a scrape is more useful
 * than a 406. Wildcards mean text too, which every scraper supports.
 */
export function negotiateFormat(accept: string | null): ExpositionFormat {
  return FORMATS[preferredType(accept, Object.keys(FORMATS)) ?? ""] ?? "text";
}
