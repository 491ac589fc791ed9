/**
 * Headers of every answer that tell a browser what it may do with the answer. Other clients ignore them.
 *
 * `Strict-Transport-Security` is not among them: it applies to all ports of a name, and so would break other programs of
 * the machine that have no TLS.
 */

/** `no-sniff`: a browser takes no answer for a script or a page. The others: no frames, no loads by other sites. */
const ALWAYS = [
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "no-referrer"],
  ["cross-origin-resource-policy", "same-origin"],
] as const;

const CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/**
 * Headers with what every answer has, for an answer that is sent often: each response copies them, which takes a third of the
 * time of setting them one by one.
 */
export function withSecurityHeaders(own: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(own);
  addSecurityHeaders(headers);
  return headers;
}

/** Adds what every answer has. An answer that is a page sets its own Content-Security-Policy before. */
export function addSecurityHeaders(headers: Headers): void {
  // The last one is set here only. Such an answer has all of them.
  if (headers.has(ALWAYS.at(-1)![0])) return;
  for (const [name, value] of ALWAYS) headers.set(name, value);
  if (!headers.has("content-security-policy")) headers.set("content-security-policy", CONTENT_POLICY);
}

/** `*` stands for all other headers, except in old browsers. `Authorization` must be named. */
const REQUEST_HEADERS = "Authorization, X-API-Key, Content-Type, Content-Encoding, Idempotency-Key, *";
const ANSWER_HEADERS =
  "Retry-After, WWW-Authenticate, Weir-Durability, Weir-Duplicate, Weir-Row-Limit, Weir-Truncated, Weir-Absent-Metrics, Weir-Deleted-Samples, *";
/** Browsers keep the answer to a preflight for this long, and for two hours at most. */
const PREFLIGHT_SECONDS = "600";

/**
 * Adds what a page of an allowed origin needs to read the answer (https://fetch.spec.whatwg.org/#http-cors-protocol).
 *
 * Pages send a token in a header of their own. `Access-Control-Allow-Credentials` is never sent, so a browser adds no
 * password that it remembers.
 *
 * @param allowedOrigin the origin, or `*`
 * @param request a preflight also gets the methods, which the answer has in `Allow`
 */
export function addCorsHeaders(
  headers: Headers,
  allowedOrigin: string,
  request: Pick<Request, "method" | "headers">,
): void {
  headers.set("access-control-allow-origin", allowedOrigin);
  headers.set("access-control-expose-headers", ANSWER_HEADERS);
  if (request.method !== "OPTIONS" || !request.headers.has("access-control-request-method")) return;
  headers.set("access-control-allow-methods", headers.get("allow") ?? "GET");
  headers.set("access-control-allow-headers", REQUEST_HEADERS);
  headers.set("access-control-max-age", PREFLIGHT_SECONDS);
  if (request.headers.has("access-control-request-private-network"))
    headers.set("access-control-allow-private-network", "true");
}
