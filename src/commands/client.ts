/**
 * How commands talk to a running gateway: its address, requests, and failures in one sentence.
 *
 * The address is `--url`, else `WEIR_URL`, else the default that `weir serve` listens on; `unix:PATH` names a
 * socket. Failures are thrown as errors with classes of their own, which main.ts prints without a stack.
 */
import { type Io, UsageError } from "./command.ts";

const DEFAULT_URL = "http://127.0.0.1:9091";

/** The lines on `--url` for a command's usage. */
export const urlHelp = `  --url URL          the gateway: http://HOST:PORT or unix:PATH (variable WEIR_URL; default
                     ${DEFAULT_URL})`;

/** The gateway cannot be reached, or the connection broke. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** The gateway turned the request down; the message is its own. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  /** What it asked for by Retry-After. */
  readonly retryAfterSeconds: number | undefined;
  /** The answer's body, where it is JSON. */
  readonly body: unknown;

  constructor(message: string, status: number, retryAfterSeconds: number | undefined, body: unknown) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.body = body;
  }
}

interface Ask {
  readonly method?: "GET" | "POST";
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** Milliseconds until the head of the answer; none if absent, since a query's limit is the gateway's. */
  readonly timeoutMs?: number;
}

/** Sends a request and gives the answer, whatever its status; throws `Unreachable`. */
export type Send = (path: string, ask?: Ask) => Promise<Response>;

/** The gateway that `--url` (or what stands for it) names. */
export function gatewayAt(url: string | undefined, io: Pick<Io, "env">): Send {
  const given = url ?? (io.env.WEIR_URL || DEFAULT_URL);
  const source = url === undefined ? "WEIR_URL" : "--url";
  const unix = /^unix:(.+)$/.exec(given)?.[1];
  const base = unix === undefined ? given : "http://localhost";
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) {
    throw new UsageError(`${source} is ${JSON.stringify(given)}, expected http://HOST:PORT or unix:PATH.`);
  }
  const root = base.replace(/\/+$/, "");

  return async (path, { method = "GET", query = [], headers, body, timeoutMs } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]).toString();
    const controller = new AbortController();
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await fetch(`${root}${path}${parameters === "" ? "" : `?${parameters}`}`, {
        method,
        headers,
        body,
        signal: controller.signal,
        ...(unix === undefined ? {} : { unix }),
        // Bun would give up after five minutes by itself,
        timeout: false,
        // and ask the environment's proxy for what is on this machine.
        ...(isLocal(root) ? { proxy: false } : {}),
      } as BunFetchRequestInit);
    } catch (error) {
      if (controller.signal.aborted)
        throw new Unreachable(`The gateway at ${given} did not answer within ${timeoutMs} ms.`);
      throw new Unreachable(
        `Cannot reach a gateway at ${given} (${reasonOf(error)}). Is "weir serve" running there? --url names another.`,
      );
    } finally {
      clearTimeout(timer);
    }
  };
}

function isLocal(url: string): boolean {
  return /^(localhost|127(\.[0-9]+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/** The answer where its status is 2xx; else throws `Refused` with what the gateway said. */
export async function accepted(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const error = (body as { error?: string | { message?: unknown } } | undefined)?.error;
  // Prometheus's API has the message itself there.
  const said = typeof error === "string" ? error : error?.message;
  const message =
    typeof said === "string"
      ? said
      : `The gateway answered ${response.status} ${response.statusText}`.trimEnd();
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new Refused(message, response.status, Number.isFinite(retryAfter) ? retryAfter : undefined, body);
}

/** The bytes of an answer as they come; throws `Unreachable` when the gateway breaks off in between. */
export async function* bytesOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (response.body === null) return;
  try {
    for await (const piece of response.body) yield piece;
  } catch (error) {
    throw new Unreachable(
      `The gateway broke off in the middle of its answer (${reasonOf(error)}); what came before it is not all.`,
    );
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (code === "FailedToOpenSocket") return "no connection";
  if (code === "ECONNRESET") return "connection reset";
  return error instanceof Error ? error.message : String(error);
}
