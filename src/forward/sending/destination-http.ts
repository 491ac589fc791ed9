/**
 * The requests to a destination: credentials, certificates, limits of time and bandwidth. The URL comes from the settings
 * alone. Redirects are not followed, since another host would get the credentials. No error has a secret.
 */
import manifest from "../../../package.json" with { type: "json" };
import { quote } from "../../model/errors.ts";
import type { DestinationServer } from "../../model/forwarding/destination.ts";
import {
  authorizationHeader,
  BodyOverLimit,
  connectionFault,
  readLimitedBody,
  SecretFault,
  secretText,
  tlsOptions,
} from "../../wire/outgoing-request.ts";
import { SendFailure } from "./send-failure.ts";

/** Enough for the list of rejected events of a request. */
const ANSWER_BYTES_MAX = 1_048_576;
const REASON_CHARACTERS_MAX = 300;
/** A destination must not stop what is sent to it for longer. */
const RETRY_AFTER_MS_MAX = 300_000;
const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/;

/** The answer of a destination, whatever its status. */
export interface DestinationAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface DestinationRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Added to the query of the URL. */
  readonly query?: Readonly<Record<string, string>>;
}

/**
 * Sends one request.
 *
 * @throws SendFailure if there is no answer, or one that is worth a later attempt: 5xx, 408, 429, and what a person has to
 *   mend, such as 401, 403 and 404. Any other error status is an answer
 */
export async function post(
  server: DestinationServer,
  { headers, body, query = {} }: DestinationRequest,
  signal: AbortSignal,
): Promise<DestinationAnswer> {
  const url = await secretly(() => urlOf(server));
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, value);
  const { authorization, tls } = server;
  const sent: Record<string, string> = {
    ...Object.fromEntries(server.headers),
    ...headers,
    "user-agent": `weir/${manifest.version}`,
  };
  if (authorization !== undefined)
    sent.authorization = await secretly(() => authorizationHeader(authorization));
  const options = tls === undefined ? {} : { tls: await secretly(() => tlsOptions(tls)) };
  const late = AbortSignal.timeout(server.timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: sent,
      body,
      redirect: "manual",
      signal: AbortSignal.any([signal, late]),
      timeout: false,
      ...options,
      // Bun would use the proxy of the environment also for this machine.
      ...(LOOPBACK.test(url.hostname) ? { proxy: false } : {}),
    } as BunFetchRequestInit);
    text = await answerText(response);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (late.aborted) throw new SendFailure(`${url.origin} did not answer within ${server.timeoutMs} ms`);
    throw new SendFailure(`${url.origin}: ${shown(connectionFault(error), url, sent.authorization)}`);
  }
  const { status } = response;
  if (!isWorthAnother(status)) return { status, headers: response.headers, text };
  throw new SendFailure(
    `${url.origin} answered ${status}${reasonText(shown(text, url, sent.authorization))}`,
    retryAfterOf(response),
  );
}

/** What an answer says, for messages. */
export function reasonText(text: string): string {
  const reason = text.trim().slice(0, REASON_CHARACTERS_MAX);
  return reason === "" ? "" : `: ${quote(reason)}`;
}

function isWorthAnother(status: number): boolean {
  return (
    status >= 500 ||
    (status >= 300 && status < 400) ||
    [401, 403, 404, 405, 407, 408, 425, 429].includes(status)
  );
}

async function urlOf(server: DestinationServer): Promise<URL> {
  const url = URL.parse(await secretText(server.url));
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new SendFailure("the file of the URL has no http or https URL");
  return url;
}

/** A file that is missing or replaced is no reason to give up. */
async function secretly<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SecretFault) throw new SendFailure(error.message);
    throw error;
  }
}

async function answerText(response: Response): Promise<string> {
  try {
    return new TextDecoder().decode(await readLimitedBody(response, ANSWER_BYTES_MAX));
  } catch (error) {
    // The status says whether the samples were taken.
    if (error instanceof BodyOverLimit) return "";
    throw error;
  }
}

/** A shorter text is no secret, and may be a part of any word. */
const SECRET_CHARACTERS_MIN = 4;

/** A text of a destination without secrets: some servers quote the headers of the request, or its query. */
function shown(text: string, { search, searchParams }: URL, authorization: string | undefined): string {
  const [, credentials = ""] = authorization?.split(" ") ?? [];
  const decoded = /^Basic /.test(authorization ?? "") ? Buffer.from(credentials, "base64").toString() : "";
  return [credentials, decoded, decoded.slice(decoded.indexOf(":") + 1), search, ...searchParams.values()]
    .filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterOf({ headers }: Response): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const ms = /^\s*[0-9]+\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX) : undefined;
}
