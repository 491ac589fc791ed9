/**
 * The requests of notifiers. The URL comes from the settings alone. Redirects are not followed: the receiver could send
 * credentials to another host, or make the gateway ask one that only it can reach. An answer is read up to a limit.
 */
import manifest from "../../../../package.json" with { type: "json" };
import { quote } from "../../../model/errors.ts";
import type { NotifierServer } from "../../../model/alerts/notifier.ts";
import {
  authorizationHeader,
  BodyOverLimit,
  connectionFault,
  readLimitedBody,
  SecretFault,
  secretText,
  tlsOptions,
} from "../../../wire/outgoing-request.ts";
import { DeliveryFailure } from "./notification-sender.ts";

/** Enough for any message about an error. */
const ANSWER_BYTES_MAX = 65_536;
/** A receiver must not silence its notifier for longer. */
const RETRY_AFTER_MS_MAX = 60_000;
const STATUS_CHARACTERS_MAX = 100;
const ANSWER_CHARACTERS_MAX = 300;
const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/;

/** The URL of a server, which may be in a file. */
export async function urlOf(server: NotifierServer): Promise<URL> {
  const url = URL.parse(await secret(() => secretText(server.url)));
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new DeliveryFailure("the file of the URL has no http or https URL", { isTemporary: true });
  return url;
}

/** A file that is missing or replaced is no reason to give up. */
async function secret<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SecretFault) throw new DeliveryFailure(error.message, { isTemporary: true });
    throw error;
  }
}

/**
 * Sends JSON. Resolves to the text of the answer if its status is 2xx.
 *
 * @throws DeliveryFailure: temporary for a status of 5xx, 408 and 429, and for a connection that fails
 */
export async function postJson(
  server: NotifierServer,
  url: URL,
  body: unknown,
  signal: AbortSignal,
): Promise<string> {
  const { authorization, tls } = server;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "user-agent": `weir/${manifest.version}`,
  };
  if (authorization !== undefined)
    headers.authorization = await secret(() => authorizationHeader(authorization));
  const options = tls === undefined ? {} : { tls: await secret(() => tlsOptions(tls)) };
  let response: Response;
  let answer: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      redirect: "manual",
      signal,
      ...options,
      // Bun would use the proxy of the environment also for this machine.
      ...(LOOPBACK.test(url.hostname) ? { proxy: false } : {}),
    } as BunFetchRequestInit);
    answer = await readAnswer(response);
  } catch (error) {
    // The caller knows why it ended the attempt.
    if (signal.aborted) throw error;
    const reason = withoutSecrets(connectionFault(error), url, headers.authorization);
    throw new DeliveryFailure(`${url.origin}: ${reason}`, { isTemporary: true });
  }
  const { status } = response;
  if (response.ok) return answer;
  if (status >= 300 && status < 400) {
    throw new DeliveryFailure(`${url.origin} answered ${status}, and redirects are not followed`, {
      isTemporary: false,
    });
  }
  const reason = withoutSecrets(answer, url, headers.authorization);
  const said = reason === "" ? "" : `: ${quote(reason.slice(0, ANSWER_CHARACTERS_MAX))}`;
  const words = `${status} ${response.statusText.slice(0, STATUS_CHARACTERS_MAX)}`.trim();
  throw new DeliveryFailure(`${url.origin} answered ${words}${said}`, {
    isTemporary: status >= 500 || status === 408 || status === 429,
    retryAfterMs: retryAfterOf(response),
  });
}

/** A text of a receiver for the log. Some servers quote the path of the request, which may be a secret, or its headers. */
function withoutSecrets(text: string, { pathname, search }: URL, authorization: string | undefined): string {
  const [, credentials = ""] = authorization?.split(" ") ?? [];
  const decoded = /^Basic /.test(authorization ?? "") ? Buffer.from(credentials, "base64").toString() : "";
  const secrets = [
    ...[credentials, decoded, decoded.slice(decoded.indexOf(":") + 1)],
    ...[pathname, decodedPath(pathname), search, ...pathname.split("/")],
  ];
  return secrets
    .filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
    .sort((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, "…"), text);
}

/** A shorter text is no secret, and may be a part of any word. */
const SECRET_CHARACTERS_MIN = 4;

function decodedPath(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

async function readAnswer(response: Response): Promise<string> {
  try {
    return new TextDecoder().decode(await readLimitedBody(response, ANSWER_BYTES_MAX)).trim();
  } catch (error) {
    // The status says whether the notification was taken.
    if (error instanceof BodyOverLimit) return "";
    throw error;
  }
}

function retryAfterOf(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX) : undefined;
}
