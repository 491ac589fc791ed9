/**
 * `GET /metrics`, and `/prometheus`, which is the same: everything that is exposed, in the format that the scraper
 * prefers. An answer is complete or an error.
 */
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { type Family, selectFamilies } from "../exposition/family.ts";
import { openMetricsContentType, renderOpenMetrics } from "../exposition/openmetrics.ts";
import { renderText, TEXT_CONTENT_TYPE } from "../exposition/text.ts";
import type { Counters } from "../model/counters.ts";
import { Unavailable } from "../model/errors.ts";
import { Routes } from "./routes.ts";

interface MetricsDependencies {
  readonly exposition: {
    /** All exposed families at `nowMs`. Text 0.0.4 does not support exemplars. */
    families(nowMs: number, exemplars: boolean): Promise<readonly Family[]>;
  };
  /** Concurrent scrapes. Each keeps its answer in memory. */
  readonly scrapesMax: number;
  readonly counters: Counters;
}

export type ExpositionFormat = "text" | "1.0.0" | "0.0.1";

const compress = promisify(gzip);

export const metricsRoutes = ({ exposition, scrapesMax, counters }: MetricsDependencies) => {
  let underWay = 0;
  const scrape = async (request: Request): Promise<Response> => {
    if (underWay >= scrapesMax) {
      counters.scrapesRefused.inc();
      throw new Unavailable(`${scrapesMax} scrapes are already in progress (scrapesMax); try again later.`);
    }
    underWay++;
    try {
      const format = negotiateFormat(request.headers.get("accept") ?? "");
      const all = await exposition.families(Date.now(), format !== "text");
      const names = new URL(request.url).searchParams.getAll("name[]");
      const families = names.length > 0 ? selectFamilies(all, new Set(names)) : all;
      const body = await render(families, format);
      const headers = new Headers({
        "content-type": format === "text" ? TEXT_CONTENT_TYPE : openMetricsContentType(format),
        vary: "Accept, Accept-Encoding",
      });
      if (!acceptsGzip(request.headers.get("accept-encoding") ?? "")) return new Response(body, { headers });
      headers.set("content-encoding", "gzip");
      // The fastest level: the text is so repetitive that other levels gain little.
      return new Response(await compress(body, { level: constants.Z_BEST_SPEED }), { headers });
    } finally {
      underWay--;
    }
  };
  return new Routes()
    .on("GET", "/metrics", "scrape", "returns the exposed series", scrape)
    .on("GET", "/prometheus", "scrape", "is the same as /metrics", scrape);
};

/** Renders the whole exposition, with a pause after each chunk, so that a long one does not delay pushes. */
export async function render(
  families: readonly Family[],
  format: ExpositionFormat,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for (const chunk of format === "text" ? renderText(families) : renderOpenMetrics(families)) {
    if (chunks.length > 0) await setImmediate();
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

interface Accepted {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

/**
 * The format that an Accept header prefers (https://www.rfc-editor.org/rfc/rfc9110#name-accept). If it names no
 * supported format, the answer is text: a scrape is more useful than a 406. Wildcards mean text too, which every
 * scraper supports.
 */
export function negotiateFormat(accept: string): ExpositionFormat {
  let format: ExpositionFormat = "text";
  let best = 0;
  for (const { value, parameters, quality } of elements(accept)) {
    const offered = formatOf(value, parameters.get("version"));
    if (offered === undefined || quality <= best) continue;
    best = quality;
    format = offered;
  }
  return format;
}

function formatOf(type: string, version: string | undefined): ExpositionFormat | undefined {
  if (type === "application/openmetrics-text") {
    if (version === undefined || version === "1.0.0") return "1.0.0";
    return version === "0.0.1" ? version : undefined;
  }
  if (type === "text/plain") return version === undefined || version === "0.0.4" ? "text" : undefined;
  return type === "text/*" || type === "*/*" ? "text" : undefined;
}

/** Whether an Accept-Encoding header accepts gzip. */
export function acceptsGzip(acceptEncoding: string): boolean {
  const codings = elements(acceptEncoding);
  const named = codings.find(({ value }) => value === "gzip") ?? codings.find(({ value }) => value === "*");
  return named !== undefined && named.quality > 0;
}

/** The elements of a list with parameters. An invalid quality counts as 1, like an absent one. */
function elements(header: string): Accepted[] {
  return header.split(",").map((element) => {
    const [value, ...rest] = element.split(";").map((part) => part.trim().toLowerCase());
    const parameters = new Map(
      rest.map((part): [string, string] => {
        const [name, content = ""] = part.split("=", 2);
        return [name.trim(), content.trim().replace(/^"(.*)"$/, "$1")];
      }),
    );
    const quality = Number(parameters.get("q") ?? 1);
    return { value, parameters, quality: Number.isNaN(quality) ? 1 : quality };
  });
}
