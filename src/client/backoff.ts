/**
 * When a failed request is tried again: exponential backoff with full jitter
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that many workers do not return at
 * once. Retry-After of the gateway is the least delay.
 */

/** A Retry-After beyond this is shortened: a mistake of a proxy must not silence a worker for a day. */
export const RETRY_AFTER_MAX_MS = 600_000;

export interface BackoffOptions {
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

/**
 * The delay in milliseconds before the next attempt: a uniform part of the exponential bound, after what the gateway
 * asked for.
 *
 * @param failures how many attempts in a row failed, from 1
 * @param random in [0, 1)
 */
export function retryDelayMs(
  { backoffMs, backoffMaxMs }: BackoffOptions,
  failures: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const bound = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(failures - 1, 30));
  if (retryAfterMs === undefined) return random * bound;
  // The gateway's own time, and a part of the first bound, so that its clients do not return together.
  return Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) + random * backoffMs;
}

/** Milliseconds of a Retry-After (RFC 9110 section 10.2.3): seconds, or an HTTP date. Undefined for anything else. */
export function parseRetryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  if (!/^[A-Za-z]{3},? /.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
