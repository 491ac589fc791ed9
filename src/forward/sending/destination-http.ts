/**
 * The requests to a destination: credentials, certificates, limits of time and bandwidth. The URL comes from the settings
 * alone. Redirects are not followed, since another host would get the credentials. No error has a secret.
 */
import { quote } from "../../model/errors.ts";
import type { DestinationServer } from "../../model/forwarding/destination.ts";
import { BodyOverLimit, connectionFault, readLimitedBody, SecretFault } from "../../wire/outgoing-request.ts";
import { type ServerRequest, serverRequest } from "../../wire/server-request.ts";
import { SendFailure } from "./send-failure.ts";

/** Enough for the list of rejected events of a request. */
const ANSWER_BYTES_MAX = 1_048_576;
const REASON_CHARACTERS_MAX = 300;
/** A destination must not stop what is sent to it for longer. */
const RETRY_AFTER_MS_MAX = 300_000;

/** The answer of a destination, whatever its status. */
export interface DestinationAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** A part of the text without secrets. Some servers quote the headers of a request. */
  readonly withoutSecrets: (text: string) => string;
}

export interface DestinationRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Added to the query of the URL. */
  readonly query?: Readonly<Record<string, string>>;
  /** Whether a status is worth a later attempt, if the protocol has rules of its own. */
  readonly isTemporary?: (status: number) => boolean;
}

/**
 * Sends one request.
 *
 * @throws SendFailure if there is no answer, or one that is worth a later attempt: 5xx, 408, 429, and what a person has to
 *   mend, such as 401, 403 and 404. Any other error status is an answer
 */
export async function post(
  server: DestinationServer,
  { headers, body, query = {}, isTemporary = isWorthAnother }: DestinationRequest,
  signal: AbortSignal,
): Promise<DestinationAnswer> {
  const { url, headers: own, options, withoutSecrets } = await prepared(server);
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, value);
  const late = AbortSignal.timeout(server.timeoutMs);
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(url, {
      ...options,
      method: "POST",
      headers: { ...own, ...headers },
      body,
      signal: AbortSignal.any([signal, late]),
    });
    bytes = await answerBytes(response);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (late.aborted) throw new SendFailure(`${url.origin} did not answer within ${server.timeoutMs} ms`);
    throw new SendFailure(`${url.origin}: ${withoutSecrets(connectionFault(error))}`);
  }
  const { status } = response;
  const text = new TextDecoder().decode(bytes);
  const answer = { status, headers: response.headers, bytes, text, withoutSecrets };
  if (!isTemporary(status)) return answer;
  throw new SendFailure(`${url.origin} answered ${status}${reasonText(answer)}`, retryAfterOf(response));
}

/** What an answer says, or a part of it, for messages. */
export function reasonText(
  { text, withoutSecrets }: Pick<DestinationAnswer, "text" | "withoutSecrets">,
  part = text,
): string {
  const reason = withoutSecrets(part).trim().slice(0, REASON_CHARACTERS_MAX);
  return reason === "" ? "" : `: ${quote(reason)}`;
}

function isWorthAnother(status: number): boolean {
  return (
    status >= 500 ||
    (status >= 300 && status < 400) ||
    [401, 403, 404, 405, 407, 408, 425, 429].includes(status)
  );
}

/** A file that is missing or replaced is no reason to give up. */
async function prepared(server: DestinationServer): Promise<ServerRequest> {
  try {
    return await serverRequest(server);
  } catch (error) {
    if (error instanceof SecretFault) throw new SendFailure(error.message);
    throw error;
  }
}

async function answerBytes(response: Response): Promise<Uint8Array> {
  try {
    return await readLimitedBody(response, ANSWER_BYTES_MAX);
  } catch (error) {
    // The status says whether the samples were taken.
    if (error instanceof BodyOverLimit) return new Uint8Array();
    throw error;
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterOf({ headers }: Response): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const ms = /^\s*[0-9]+\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX) : undefined;
}
