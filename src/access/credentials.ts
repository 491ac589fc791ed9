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
 * with the token as the password), `X-API-Key`, and the places of the protocol in their order. The user of `Basic` can be
 * any text. Undefined if no place has a token.
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
