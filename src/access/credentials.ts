/** Where a request carries a token: the places of all protocols, and those that a protocol declares. Pure. */

/** A place where the clients of one protocol put a token. */
export type CredentialPlace = { readonly header: string } | { readonly query: string };

/** The part of a request that can carry a token. */
export interface TokenCarrier {
  readonly headers: { get(name: string): string | null };
  /** The URL or the path, with its query. */
  readonly url: string;
}

/**
 * The token of a request, from the first of these places that has one: `Authorization` (`Bearer`, `Token`, or `Basic`
 * with the token as the password), `X-API-Key`, the places of the protocol in their order, and the cookie of the page for
 * people. The user of `Basic` can be any text. Undefined if no place has a token.
 */
export function presentedToken(
  { headers, url }: TokenCarrier,
  places: readonly CredentialPlace[] = [],
): string | undefined {
  const authorization = headers.get("authorization");
  const found = (authorization === null ? "" : ofAuthorization(authorization)) || headers.get("x-api-key");
  if (found) return found;
  for (const place of places) {
    const text = "header" in place ? headers.get(place.header) : parameterOf(url, place.query);
    if (text) return text;
  }
  const cookies = headers.get("cookie");
  return cookies === null ? undefined : cookieOf(cookies, sessionCookie(headers.get("host")));
}

/**
 * The name of the cookie that has the token of the page. Browsers send cookies to all ports of a host, so the port is a part
 * of the name: two gateways of a machine have two sign-ins.
 */
export function sessionCookie(host: string | null): string {
  const port = /:(\d+)$/.exec(host ?? "")?.[1];
  return port === undefined ? "weir_token" : `weir_token_${port}`;
}

/** The value of a cookie (RFC 6265, section 4.2.1). Undefined if it is absent or empty. */
function cookieOf(header: string, name: string): string | undefined {
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim() || undefined;
  }
  return undefined;
}

/** The user and the password of `Authorization: Basic`. Undefined if a request has none. */
export function presentedPassword(
  headers: TokenCarrier["headers"],
): { readonly user: string; readonly password: string } | undefined {
  const [scheme, rest] = partsOf(headers.get("authorization") ?? "");
  if (scheme !== "basic") return undefined;
  const pair = Buffer.from(rest, "base64").toString("utf8");
  const at = pair.indexOf(":");
  return at === -1 ? undefined : { user: pair.slice(0, at), password: pair.slice(at + 1) };
}

/** The scheme of an `Authorization` in lower case, and the rest. */
function partsOf(header: string): [string, string] {
  const [, scheme = "", rest = ""] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(header) ?? [];
  return [scheme.toLowerCase(), rest];
}

function ofAuthorization(header: string): string {
  const [scheme, rest] = partsOf(header);
  switch (scheme) {
    case "bearer":
      return rest;
    case "token":
      // Clients of InfluxDB 2 send USER:PASSWORD to InfluxDB 1.8.
      return rest.slice(rest.indexOf(":") + 1);
    case "basic": {
      const pair = Buffer.from(rest, "base64").toString("utf8");
      return pair.includes(":") ? pair.slice(pair.indexOf(":") + 1) : "";
    }
    default:
      return "";
  }
}

function parameterOf(url: string, name: string): string | null {
  const at = url.indexOf("?");
  return at === -1 ? null : new URLSearchParams(url.slice(at + 1)).get(name);
}
