/**
 * The HTTP request of a scrape, with the headers that Prometheus sends. The timeout covers all of it. The body is limited
 * before and after decompression. No error has a secret.
 */
import manifest from "../../../package.json" with { type: "json" };
import { TooLarge } from "../../model/errors.ts";
import type { ScrapeJob, ScrapeProtocol } from "../../model/scrape-job.ts";
import { decompress, parseContentEncoding } from "../../wire/compression/compression.ts";
import {
  authorizationHeader,
  BodyOverLimit,
  connectionFault,
  readLimitedBody,
  SecretFault,
  tlsOptions,
} from "../../wire/outgoing-request.ts";
import { ScrapeFailure } from "./scrape-failure.ts";
import type { ScrapeTarget } from "./scrape-target.ts";
import type { ScrapedBody } from "./target-decoder.ts";

const MEDIA_TYPES: Readonly<Record<ScrapeProtocol, string>> = {
  PrometheusProto:
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
  "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
  "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
  "PrometheusText0.0.4": "text/plain;version=0.0.4",
};

/** Enough for any body: a job without a limit must not fill the memory. */
const BODY_BYTES_MAX = 2 ** 30;

/**
 * Requests the metrics of a target.
 *
 * @param stop ends the request early; the caller then ignores the error
 * @throws ScrapeFailure
 */
export async function fetchTarget(
  { job, url, shownUrl }: ScrapeTarget,
  stop: AbortSignal,
): Promise<ScrapedBody> {
  const end = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end.abort();
  }, job.timeoutMs);
  const onStop = () => end.abort();
  stop.addEventListener("abort", onStop);
  const limit = job.bodySizeLimit > 0 ? job.bodySizeLimit : BODY_BYTES_MAX;
  try {
    const request = await requestOf(job);
    const response = await fetch(url, { ...request, signal: end.signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      const status = `${response.status} ${response.statusText.slice(0, 100)}`.trim();
      throw new ScrapeFailure("status", `the target answered HTTP status ${status}, expected 200`);
    }
    const bytes = await readLimitedBody(response, limit);
    const layers = parseContentEncoding(response.headers.get("content-encoding"));
    return {
      bytes: layers.length === 0 ? bytes : await decompress(bytes, layers, limit),
      contentType: response.headers.get("content-type") ?? "",
    };
  } catch (error) {
    if (error instanceof ScrapeFailure) throw error;
    if (error instanceof SecretFault) throw new ScrapeFailure("secret", error.message);
    if (error instanceof TooLarge || error instanceof BodyOverLimit) throw overLimit(limit);
    if (isLate) {
      throw new ScrapeFailure(
        "timeout",
        `the target did not answer within ${job.timeoutMs} ms (scrape_timeout)`,
      );
    }
    throw new ScrapeFailure("connection", `GET ${shownUrl}: ${connectionFault(error)}`);
  } finally {
    clearTimeout(timer);
    // The signal lives as long as the loop.
    stop.removeEventListener("abort", onStop);
  }
}

async function requestOf(job: ScrapeJob): Promise<BunFetchRequestInit & { decompress: boolean }> {
  const { authorization, tls } = job;
  const headers: Record<string, string> = {
    accept: acceptOf(job.protocols),
    "accept-encoding": job.enableCompression ? "gzip" : "identity",
    "user-agent": `weir/${manifest.version}`,
    "x-prometheus-scrape-timeout-seconds": String(job.timeoutMs / 1_000),
  };
  if (authorization !== undefined) headers.authorization = await authorizationHeader(authorization);
  return {
    headers,
    redirect: job.followRedirects ? "follow" : "manual",
    decompress: false,
    ...(tls === undefined ? {} : { tls: await tlsOptions(tls) }),
  };
}

/** The formats in their order of preference, as Prometheus writes them. */
function acceptOf(protocols: readonly ScrapeProtocol[]): string {
  const weighted = protocols.map((each, at) => `${MEDIA_TYPES[each]};q=0.${protocols.length + 1 - at}`);
  return [...weighted, "*/*;q=0.1"].join(",");
}

function overLimit(limit: number): ScrapeFailure {
  return new ScrapeFailure(
    "body_size_limit",
    `body_size_limit exceeded: the body has more than ${limit} bytes`,
  );
}
