/**
 * The HTTP request of a scrape, with the headers that Prometheus sends. The timeout covers all of it. The body is limited
 * before and after decompression. No error has a secret.
 */
import manifest from "../../../package.json" with { type: "json" };
import { TooLarge } from "../../model/errors.ts";
import type {
  ScrapeAuthorization,
  ScrapeJob,
  ScrapeProtocol,
  ScrapeTls,
  Secret,
} from "../../model/scrape-job.ts";
import { ByteParts } from "../../wire/byte-parts.ts";
import { decompress, parseContentEncoding } from "../../wire/compression/compression.ts";
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
const SECRET_BYTES_MAX = 65_536;

/** Words for the codes of the errors of a connection. */
const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the target",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the name of the host cannot be resolved at the moment",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "the network is unreachable",
};

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
    const bytes = await readLimited(response, limit);
    const layers = parseContentEncoding(response.headers.get("content-encoding"));
    return {
      bytes: layers.length === 0 ? bytes : await decompress(bytes, layers, limit),
      contentType: response.headers.get("content-type") ?? "",
    };
  } catch (error) {
    if (error instanceof ScrapeFailure) throw error;
    if (error instanceof TooLarge) throw overLimit(limit);
    if (isLate) {
      throw new ScrapeFailure(
        "timeout",
        `the target did not answer within ${job.timeoutMs} ms (scrape_timeout)`,
      );
    }
    throw new ScrapeFailure("connection", `GET ${shownUrl}: ${reasonOf(error)}`);
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
  if (authorization !== undefined) headers.authorization = await authorizationOf(authorization);
  return {
    headers,
    redirect: job.followRedirects ? "follow" : "manual",
    decompress: false,
    ...(tls === undefined ? {} : { tls: await tlsOf(tls) }),
  };
}

/** The formats in their order of preference, as Prometheus writes them. */
function acceptOf(protocols: readonly ScrapeProtocol[]): string {
  const weighted = protocols.map((each, at) => `${MEDIA_TYPES[each]};q=0.${protocols.length + 1 - at}`);
  return [...weighted, "*/*;q=0.1"].join(",");
}

async function authorizationOf(authorization: ScrapeAuthorization): Promise<string> {
  if (authorization.is === "header")
    return `${authorization.type} ${await secretOf(authorization.credentials)}`;
  const { username, password } = authorization;
  return `Basic ${Buffer.from(`${username}:${await secretOf(password)}`).toString("base64")}`;
}

/** A secret. A file is read at each scrape, so that it can be replaced. */
async function secretOf(secret: Secret): Promise<string> {
  const text = "file" in secret ? (await textOfFile(secret.file)).trim() : secret.text;
  // Another request could follow a line feed.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds control characters
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new ScrapeFailure("secret", "the password or the credentials contain a control character");
  return text;
}

async function textOfFile(path: string): Promise<string> {
  try {
    const file = Bun.file(path);
    if (file.size > SECRET_BYTES_MAX) throw new Error("it is too large");
    return await file.text();
  } catch (error) {
    const why = (error as { code?: string }).code ?? (error as Error).message;
    throw new ScrapeFailure("secret", `the file ${JSON.stringify(path)} cannot be read: ${why}`);
  }
}

async function tlsOf({ caFile, certFile, keyFile, serverName, insecureSkipVerify }: ScrapeTls) {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await textOfFile(path));
  return {
    ca: await read(caFile),
    cert: await read(certFile),
    key: await read(keyFile),
    ...(serverName === undefined ? {} : { serverName }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}

async function readLimited(response: Response, limit: number): Promise<Uint8Array> {
  const parts = new ByteParts();
  for await (const chunk of response.body ?? []) {
    // Leaving the loop cancels the body.
    if (parts.length + chunk.length > limit) throw overLimit(limit);
    parts.add(chunk);
  }
  return parts.take();
}

function overLimit(limit: number): ScrapeFailure {
  return new ScrapeFailure(
    "body_size_limit",
    `body_size_limit exceeded: the body has more than ${limit} bytes`,
  );
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === "string" ? CONNECTION_ERRORS[code] : undefined;
  return known ?? String(message ?? error).slice(0, 200);
}
