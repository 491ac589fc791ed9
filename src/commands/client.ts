/**
 * The client of commands for a running gateway: its address, requests, and failures in one sentence.
 *
 * The token of requests is the variable `WEIR_TOKEN`. It is no argument, because other users can read the arguments of a
 * process. The address is `--url`, else `WEIR_URL`, else the default address of `weir serve`. `unix:PATH` is a Unix socket. Each
 * kind of failure has its own error class, which main.ts prints without a stack trace.
 *
 * With https, the certificate of the gateway must be valid: for the CAs of the system, or for the file of `--ca` or
 * `WEIR_CA`. The certificate of the client is in the files of `WEIR_CLIENT_CERT` and `WEIR_CLIENT_KEY`.
 */
import { readFileSync } from "node:fs";
import { withoutPassword } from "../config/scrape-jobs.ts";
import { type Io, UsageError } from "./command.ts";

export const DEFAULT_URL = "http://127.0.0.1:9091";

/** The options of a command that asks a gateway. */
export const urlOptions = { url: { type: "string" }, ca: { type: "string" } } as const;

/** The lines about them for a command's usage. */
export const urlHelp = `  --ca FILE          with https: trusts the certificates of this file in PEM (variable WEIR_CA)
  --url URL          the gateway: http://HOST:PORT, https://HOST:PORT or unix:PATH (variable WEIR_URL; default
                     ${DEFAULT_URL}). The variable WEIR_TOKEN is the token that it needs, if any`;

/** The gateway cannot be reached, or the connection broke. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
  /** What happened, without what the caller of a command can do. */
  readonly fault: string;

  constructor(fault: string, advice = "") {
    super(advice === "" ? fault : `${fault} ${advice}`);
    this.fault = fault;
  }
}

/** The gateway rejected the request. The message is the gateway's. */
export class RequestRefused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  /** The gateway's Retry-After header. */
  readonly retryAfterSeconds: number | undefined;
  /** The answer's body if it is JSON, else undefined. */
  readonly body: unknown;

  constructor(message: string, status: number, retryAfterSeconds: number | undefined, body: unknown) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.body = body;
  }
}

interface Ask {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
  /** Time limit for the head of the answer, in ms. There is none by default, since the gateway limits queries. */
  readonly timeoutMs?: number;
  /** Ends the request and its answer. The gateway then stops the query. */
  readonly signal?: AbortSignal | undefined;
}

/** Sends a request and returns the answer, whatever its status. Throws `Unreachable`, or the reason of the signal. */
export type Send = (path: string, ask?: Ask) => Promise<Response>;

/** The certificates of a connection, as Bun's fetch takes them. */
interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Whether a certificate of `ca` is trusted that another one has issued. */
  readonly allowPartialTrustChain?: boolean;
  readonly checkServerIdentity?: () => undefined;
}

/**
 * A client of the gateway that `--url`, `WEIR_URL` or the default names.
 *
 * @param ca the value of `--ca`
 * @param ownCertificate the certificate of the gateway itself in PEM, if it is known: then any name of it is accepted
 * @param readToken returns the token of the next request, if any
 */
export function gatewayAt(
  url: string | undefined,
  io: Pick<Io, "env">,
  ca?: string,
  ownCertificate?: string,
  readToken: () => string | undefined = () => io.env.WEIR_TOKEN || undefined,
): Send {
  const address = url ?? (io.env.WEIR_URL || DEFAULT_URL);
  const given = withoutPassword(address);
  const source = url === undefined ? "WEIR_URL" : "--url";
  const unix = /^unix:(.+)$/.exec(address)?.[1];
  const base = unix === undefined ? address : "http://localhost";
  if (!/^https?:\/\//.test(base) || !URL.canParse(base)) {
    throw new UsageError(
      `${source} is ${JSON.stringify(given)}, expected http://HOST:PORT, https://HOST:PORT or unix:PATH.`,
    );
  }
  const tls = base.startsWith("https:") ? tlsOf(ca, io, ownCertificate) : undefined;
  const root = base.replace(/\/+$/, "");

  return async (path, { method = "GET", query = [], headers, body, timeoutMs, signal } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]).toString();
    const controller = new AbortController();
    const token = readToken();
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await fetch(`${root}${path}${parameters === "" ? "" : `?${parameters}`}`, {
        method,
        headers: token === undefined ? headers : { authorization: `Bearer ${token}`, ...headers },
        body,
        signal: signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
        ...(unix === undefined ? {} : { unix }),
        ...(tls === undefined ? {} : { tls }),
        // By default, Bun stops after five minutes,
        timeout: false,
        // and uses the environment's proxy also for this machine.
        ...(isLocal(root) ? { proxy: false } : {}),
      } as BunFetchRequestInit);
    } catch (error) {
      signal?.throwIfAborted();
      if (controller.signal.aborted)
        throw new Unreachable(`The gateway at ${given} did not answer within ${timeoutMs} ms.`);
      if (isCertificateFault(error)) {
        throw new Unreachable(
          `The certificate of the gateway at ${given} is not valid here (${reasonOf(error)}). If it is right, give the file of ` +
            "its CA, or the certificate itself, with --ca FILE.",
        );
      }
      throw new Unreachable(
        `Cannot reach a gateway at ${given} (${reasonOf(error)}).`,
        'Is "weir serve" running there? Use --url for another address.',
      );
    } finally {
      clearTimeout(timer);
    }
  };
}

function tlsOf(ca: string | undefined, { env }: Pick<Io, "env">, own: string | undefined): ClientTls {
  const read = (name: string, path: string | undefined) => {
    if (path === undefined || path === "") return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new UsageError(`${name} is ${JSON.stringify(path)}, which cannot be read: ${reasonOf(error)}.`);
    }
  };
  const trusted = ca === undefined ? read("WEIR_CA", env.WEIR_CA) : read("--ca", ca);
  if (trusted !== undefined && !trusted.includes("-----BEGIN CERTIFICATE-----"))
    throw new UsageError(`${ca === undefined ? "WEIR_CA" : "--ca"} is a file without a certificate in PEM.`);
  const client = {
    cert: read("WEIR_CLIENT_CERT", env.WEIR_CLIENT_CERT),
    key: read("WEIR_CLIENT_KEY", env.WEIR_CLIENT_KEY),
  };
  if (trusted !== undefined) return { ...client, ca: trusted, allowPartialTrustChain: true };
  return own === undefined
    ? client
    : { ...client, ca: own, allowPartialTrustChain: true, checkServerIdentity: () => undefined };
}

/** Whether the connection failed because the client does not trust the certificate of the gateway. */
function isCertificateFault(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(code) && !/ALERT/.test(code);
}

function isLocal(url: string): boolean {
  return /^(localhost|127(\.[0-9]+){3}|\[::1\])$/.test(new URL(url).hostname);
}

/**
 * Returns the answer if its status is 2xx. Otherwise throws `Refused` with the gateway's message.
 *
 * @param flags the arguments of the command, by the parameters of the request that they become: a message names the former
 */
export async function accepted(
  response: Response,
  flags: Readonly<Record<string, string>> = {},
): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const error = (body as { error?: string | { message?: unknown } } | undefined)?.error;
  // In Prometheus's API, this field is the message itself.
  const reason = typeof error === "string" ? error : error?.message;
  const message =
    typeof reason === "string"
      ? withFlags(reason, flags)
      : `The gateway answered ${response.status} ${response.statusText}`.trimEnd();
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new RequestRefused(
    message,
    response.status,
    Number.isFinite(retryAfter) ? retryAfter : undefined,
    body,
  );
}

/** A message as the command line says it: with flags in place of the parameters that it names, and variables in place of headers. */
function withFlags(message: string, flags: Readonly<Record<string, string>>): string {
  let text = message
    .replace(
      /send the header "Authorization: Bearer TOKEN"( or "Authorization: Basic …")?/,
      "set the variable WEIR_TOKEN",
    )
    .replace("GET /api/v1/tables lists the tables", '"weir sql .tables" lists the tables');
  for (const [parameter, flag] of Object.entries(flags))
    text = text.replace(`invalid parameter "${parameter}"`, `${flag} is invalid`);
  return text;
}

/** The bytes of an answer as they arrive. Throws `Unreachable` if the connection breaks before the end. */
export async function* bytesOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (response.body === null) return;
  try {
    for await (const piece of response.body) yield piece;
  } catch (error) {
    throw new Unreachable(
      `The connection broke in the middle of the answer (${reasonOf(error)}); the output is incomplete.`,
    );
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (code === "FailedToOpenSocket") return "no connection";
  if (code === "ECONNRESET") return "connection reset";
  if (code === "EPROTO")
    return "the TLS handshake failed: the server has no TLS there, or expects a client certificate, whose files are WEIR_CLIENT_CERT and WEIR_CLIENT_KEY";
  return error instanceof Error ? error.message : String(error);
}
