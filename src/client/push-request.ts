/** One request with one batch, and what its answer means for the batch. Never throws. */
import { parseRetryAfterMs } from "./backoff.ts";
import type { ClientSettings } from "./options.ts";
import type { SealedBatch } from "./sealed-batch.ts";

export type PushResult =
  /** The gateway has stored the batch, except for `rejected` of its samples; `reason` is that of the first. */
  | { readonly kind: "stored"; readonly rejected: number; readonly reason: string | undefined }
  /** No answer, or one that asks for another attempt: 408, 429, 5xx. */
  | { readonly kind: "retry"; readonly reason: string; readonly retryAfterMs: number | undefined }
  /** An answer that the same batch would get again: any other 4xx, and redirects. */
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

/** The part of an answer that is read. */
const ANSWER_BYTES_MAX = 256 * 1024;
const REASON_LENGTH_MAX = 300;

export async function pushBatch(batch: SealedBatch, settings: ClientSettings): Promise<PushResult> {
  const { pushUrl, headers, requestTimeoutMs, fetch } = settings;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), requestTimeoutMs);
  try {
    const response = await fetch(pushUrl!, {
      method: "POST",
      headers: { ...headers, "Idempotency-Key": batch.key },
      // A redirected POST becomes a GET in many cases.
      redirect: "manual",
      body: batch.body as Uint8Array<ArrayBuffer>,
      signal: abort.signal,
    });
    return resultOf(response, await readText(response));
  } catch (error) {
    const reason = abort.signal.aborted ? `no answer within ${requestTimeoutMs} ms` : messageOf(error);
    return { kind: "retry", reason, retryAfterMs: undefined };
  } finally {
    clearTimeout(timer);
  }
}

function resultOf(response: Response, text: string): PushResult {
  const { status } = response;
  const answer = parse(text);
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfterMs = parseRetryAfterMs(response.headers.get("retry-after"), Date.now());
    return { kind: "retry", reason: `it answered ${status}${sentence(answer, text)}`, retryAfterMs };
  }
  if (status < 200 || status >= 300)
    return { kind: "refused", status, reason: `${status}${sentence(answer, text)}` };
  // Another program at this address may answer 200: nothing was stored then.
  if (typeof answer?.accepted !== "number")
    return {
      kind: "retry",
      reason: `it answered ${status} without a count of accepted events; is this address a gateway?`,
      retryAfterMs: undefined,
    };
  const rejected = typeof answer.rejected === "number" ? answer.rejected : 0;
  const first: unknown = Array.isArray(answer.errors) ? answer.errors[0]?.reason : undefined;
  return { kind: "stored", rejected, reason: typeof first === "string" ? cap(first) : undefined };
}

interface Answer {
  readonly accepted?: unknown;
  readonly rejected?: unknown;
  readonly errors?: unknown;
  readonly error?: unknown;
}

function parse(text: string): Answer | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

/** The message of an error answer, as a part of a sentence. */
function sentence(answer: Answer | undefined, text: string): string {
  const error = answer?.error;
  const message =
    typeof error === "object" && error !== null && "message" in error ? String(error.message) : text;
  return message.trim() === "" ? "" : `: ${cap(message.trim())}`;
}

const cap = (text: string) =>
  text.length > REASON_LENGTH_MAX ? `${text.slice(0, REASON_LENGTH_MAX)}…` : text;

/** The start of the body. The rest of a longer one is not received. */
async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > ANSWER_BYTES_MAX) {
      await reader.cancel();
      return text;
    }
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return "the request failed";
  const { cause } = error;
  // Node says "fetch failed" and has the reason in the cause, such as ECONNREFUSED.
  const code: unknown =
    typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  return cap(typeof code === "string" ? `${error.message} (${code})` : error.message);
}
