/**
 * Who the caller is, and the sign-in of the page: `POST` puts a token into a cookie that scripts cannot read, and that a
 * browser sends with requests of this gateway's own pages only. Requests of other origins are rejected before any route, so
 * that the cookie cannot be used by another page.
 */
import type { Access, CallerIdentity } from "../../access/access.ts";
import { SCOPES } from "../../access/access-token.ts";
import { sessionCookie } from "../../access/credentials.ts";
import { BadInput, Unauthenticated } from "../../model/errors.ts";
import { type BodyLimits, readBody, routeBodyLimits } from "../body.ts";
import { jsonResponse } from "../error-answers.ts";
import { Routes } from "../routes.ts";

interface SessionDependencies {
  readonly access: Pick<Access, "identify">;
  readonly limits: BodyLimits;
  /** Whether a browser reaches the gateway by TLS only. */
  readonly isSecure: boolean;
}

const BODY_BYTES_MAX = 4_096;
/** Browsers keep no cookie for longer than 400 days. A token may expire earlier. */
const COOKIE_SECONDS = 400 * 86_400;

export const sessionRoutes = ({ access, limits, isSecure }: SessionDependencies) => {
  const bodyLimits = routeBodyLimits(limits, BODY_BYTES_MAX);
  const cookie = (request: Request, value: string, seconds: number) =>
    `${sessionCookie(request.headers.get("host"))}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;

  const signIn = async (request: Request) => {
    const text = tokenIn(await readBody(request, bodyLimits));
    const identity = access.identify(request, text);
    if (!identity.isOpen && identity.token === undefined)
      throw new Unauthenticated("The token is not valid: it is unknown, revoked or expired.");
    return jsonResponse(200, described(identity), { "set-cookie": cookie(request, text, COOKIE_SECONDS) });
  };

  return new Routes(undefined, { identifies: true })
    .on("GET", "/api/v1/session", "none", "returns the scopes and labels of the caller", (request) =>
      jsonResponse(200, described(access.identify(request)), { "cache-control": "no-store" }),
    )
    .on("POST", "/api/v1/session", "none", "puts a token into the cookie of the page", signIn)
    .on("DELETE", "/api/v1/session", "none", "removes the token from the cookie of the page", (request) => {
      const headers = { "set-cookie": cookie(request, "", 0) };
      return new Response(null, { status: 204, headers });
    });
};

/** What a caller may do: everything in an open gateway, and nothing without a valid token. */
function described({ isOpen, token }: CallerIdentity) {
  return {
    open: isOpen,
    name: token?.name ?? null,
    scopes: isOpen ? SCOPES : (token?.scopes ?? []),
    labels: Object.fromEntries(token?.labels ?? []),
    expires: token?.expiresMs === undefined ? null : new Date(token.expiresMs).toISOString(),
  };
}

/** The token of a body. A cookie cannot contain other characters. */
function tokenIn(body: Uint8Array): string {
  let value: unknown;
  try {
    value = (JSON.parse(new TextDecoder().decode(body)) as { token?: unknown } | null)?.token;
  } catch {
    throw new BadInput('The body is not JSON; expected {"token": "…"}.');
  }
  // The value may be a secret, so it is not quoted.
  if (typeof value !== "string" || !/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,1024}$/.test(value))
    throw new BadInput("token is missing or has a character that no token has.", "token");
  return value;
}
