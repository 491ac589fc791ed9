/** Targets of tests: a server whose pages a test sets, and what a decoder or a Prometheus makes of them. */
import type { Batch } from "../../../src/model/sample.ts";

export const TEXT = "text/plain; version=0.0.4; charset=utf-8";
export const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** What a target answers. */
export interface Page {
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly contentType?: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface PageServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Serves pages on a free port. `answer` gets each request. */
export function servePages(
  answer: (request: Request) => Page | Response | Promise<Page | Response>,
): PageServer {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const page = await answer(request);
      if (page instanceof Response) return page;
      const { body, contentType = TEXT, status = 200, headers } = page;
      return new Response(body, { status, headers: { "content-type": contentType, ...headers } });
    },
  });
  return {
    address: `127.0.0.1:${server.port}`,
    stop: () => server.stop(true),
  };
}

/** The samples of a batch as text, sorted: `name{a="b"} 1 @ms`, `stale` for a stale marker. */
export function samplesOf(batch: Batch): string[] {
  const lines: string[] = [];
  for (let index = 0; index < batch.length; index++) {
    const { metric, labels } = batch.heads[batch.head[index]!]!;
    const value = batch.stale?.[index] === 1 ? "stale" : String(batch.value[index]!);
    lines.push(`${seriesText(metric, [...labels])} ${value} @${batch.timestampUs[index]! / 1_000}`);
  }
  return lines.sort();
}

export function seriesText(metric: string, labels: readonly (readonly [string, string])[]): string {
  return `${metric}{${labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}}`;
}
