/**
 * `GET /api/v1/export?from=&to=&metric=`: the samples of a range as NDJSON events, streamed as they are read.
 *
 * A failure after the first line cannot be told by the status any more: the connection is reset, so that no
 * client takes a part for the whole.
 */
import { Elysia } from "elysia";
import { BadInput, NotFound, quote, Timeout } from "../errors.ts";
import type { Metric } from "../sample.ts";
import { streamResponse } from "./stream.ts";

/** A range of time, in microseconds since the epoch, and the metric's name as pushed. */
export interface ExportRange {
  readonly fromUs: number;
  readonly toUs: number;
  readonly metric?: string;
}

export interface ExportDependencies {
  /** The lines of a range, a chunk at a time, read when asked for. */
  lines(range: ExportRange): AsyncGenerator<string, void, undefined>;
  metrics(): Iterable<Metric>;
  /** How long a client may take no further chunk; then it is cut off. */
  readonly stallTimeoutMs: number;
}

const PARAMETERS = ["from", "to", "metric"];

/** The year 2243: microseconds up to 2^53 are whole. */
const LATEST_US = 8.64e15;

/** A date, or a time as in RFC 3339 whose zone may be left out. */
const TIME =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?$/;

export const exportRoutes = ({ lines, metrics, stallTimeoutMs }: ExportDependencies) =>
  new Elysia().get(
    "/api/v1/export",
    async ({ request }) => {
      const range = readRange(new URL(request.url).searchParams, metrics);
      return streamResponse(await streamed(lines(range), stallTimeoutMs), {
        "content-type": "application/x-ndjson; charset=utf-8",
      });
    },
    { parse: "none" },
  );

function readRange(query: URLSearchParams, metrics: () => Iterable<Metric>): ExportRange {
  for (const name of query.keys()) {
    if (!PARAMETERS.includes(name)) {
      throw new BadInput(
        `Query parameter ${quote(name)} is unknown; expected ${PARAMETERS.join(", ")}.`,
        name,
      );
    }
  }
  const fromUs = readTime(query, "from") ?? 0;
  const toUs = readTime(query, "to") ?? LATEST_US;
  if (fromUs > toUs) {
    throw new BadInput(`from=${quote(query.get("from"))} is after to=${quote(query.get("to"))}.`, "from");
  }
  const name = query.get("metric");
  return { fromUs, toUs, metric: name === null ? undefined : findMetric(name, metrics()) };
}

/** A metric by its name as pushed, or as Prometheus spells it. */
function findMetric(name: string, metrics: Iterable<Metric>): string {
  let found: string | undefined;
  for (const metric of metrics) {
    if (metric.name === name) return name;
    if (metric.prometheusName === name) found ??= metric.name;
  }
  if (found === undefined) throw new NotFound(`There is no metric ${quote(name)} in the store.`, "metric");
  return found;
}

/** Milliseconds since the epoch, a date, or RFC 3339; a time without a zone is UTC. */
function readTime(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const ms = /^[0-9]{1,16}$/.test(text) ? Number(text) : parseTime(text);
  if (!(ms >= 0 && ms * 1000 <= LATEST_US)) {
    throw new BadInput(
      `Query parameter ${name} is ${quote(text)}; expected milliseconds since 1970, a date, or RFC 3339.`,
      name,
    );
  }
  return ms * 1000;
}

/** Milliseconds since the epoch; NaN for what is no time. */
function parseTime(text: string): number {
  const match = TIME.exec(text);
  if (match === null) return Number.NaN;
  const [, zone] = match;
  // Without a zone Date would take a time for a local one.
  return Date.parse(zone === undefined && text.length > 10 ? `${text}Z` : text);
}

/**
 * The lines as a body. The first chunk is read before the answer begins, so that what fails at once is an
 * error with a status.
 */
async function streamed(
  lines: AsyncGenerator<string, void, undefined>,
  stallTimeoutMs: number,
): Promise<ReadableStream<Uint8Array>> {
  const encoder = new TextEncoder();
  let first: IteratorResult<string, void> | undefined = await lines.next();
  let stall: ReturnType<typeof setTimeout> | undefined;
  const stop = async () => {
    clearTimeout(stall);
    await lines.return();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        const next = first ?? (await lines.next());
        first = undefined;
        if (next.done) return controller.close();
        controller.enqueue(encoder.encode(next.value));
        stall = setTimeout(() => {
          controller.error(new Timeout(`The export was not taken for ${stallTimeoutMs} ms.`));
          stop().catch(() => undefined);
        }, stallTimeoutMs);
      },
      cancel: stop,
    },
    { highWaterMark: 1 },
  );
}
