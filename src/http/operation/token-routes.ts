/**
 * The tokens of the gateway, for callers with the scope `admin`: lists, creates and revokes those of the token file, as
 * `weir token` does. The text of a new token is in one answer, and nowhere else. A change takes effect at once.
 *
 * A page of another origin cannot use these routes, also with the cookie of the gateway's own page: its requests are rejected
 * before any route (src/access/browsers.ts).
 */
import type { Access } from "../../access/access.ts";
import { type AccessToken, faultOf, SCOPES, TOKEN_NAME, type TokenScope } from "../../access/access-token.ts";
import { type LimitRates, TOKEN_LIMITS } from "../../access/limits.ts";
import {
  canChangeTokens,
  EXPIRES_MS_MAX,
  newToken,
  revokeToken,
  storeToken,
  UnknownToken,
  type WantedToken,
} from "../../access/token-changes.ts";
import { readTokenFile, TokenFileError } from "../../access/token-file.ts";
import type { Log } from "../../log/log.ts";
import { parseDurationMs } from "../../model/duration.ts";
import { BadInput, Conflict, NotFound, quote } from "../../model/errors.ts";
import type { Labels } from "../../model/sample.ts";
import { type BodyLimits, readBody, routeBodyLimits } from "../body.ts";
import { jsonResponse } from "../error-answers.ts";
import { Routes } from "../routes.ts";

interface TokenDependencies {
  readonly access: Pick<Access, "path" | "refresh" | "lastUseMs" | "caller">;
  readonly limits: BodyLimits;
  readonly log: Log;
  readonly now: () => number;
}

/** A token has some labels. */
const BODY_BYTES_MAX = 65_536;
const LABELS_MAX = 100;
const LABEL_VALUE_LENGTH_MAX = 1_024;
const FIELDS: readonly string[] = ["name", "scopes", "labels", "expires", "limits"];

/** Answers with the text of a token, or about tokens, are in no cache. */
const UNSTORED = { "cache-control": "no-store" };

export const tokenRoutes = ({ access, limits, log, now }: TokenDependencies) => {
  const bodyLimits = routeBodyLimits(limits, BODY_BYTES_MAX);
  /** Who changes tokens, for the log. In an open gateway everyone may. */
  const by = () => access.caller?.name ?? "anyone";

  const list = () => {
    const tokens = (readTokenFile(access.path) ?? []).map((token) => described(token, access, now()));
    return jsonResponse(200, { tokens, changeable: canChangeTokens(access.path) }, UNSTORED);
  };

  const create = async (request: Request) => {
    const wanted = readWanted(await readBody(request, bodyLimits));
    const { token, text } = newToken(wanted, now());
    await storeToken(access.path, token);
    log("token_created", { token: token.name, scopes: token.scopes.join(","), by: by() });
    access.refresh();
    return jsonResponse(201, { token: text, ...described(token, access, now()) }, UNSTORED);
  };

  const revoke = async (name: string) => {
    const left = await revokeToken(access.path, name);
    log("token_revoked", { token: name, by: by() });
    access.refresh();
    return jsonResponse(200, { revoked: name, left }, UNSTORED);
  };

  /** Turns what the file does not allow into an answer. */
  const changing = async (change: Promise<Response>): Promise<Response> => {
    try {
      return await change;
    } catch (error) {
      if (error instanceof UnknownToken) throw new NotFound(error.message, "name");
      if (error instanceof TokenFileError) throw new Conflict(error.message);
      throw error;
    }
  };

  return new Routes()
    .on("GET", "/api/v1/tokens", "admin", "lists the tokens with their scopes and last use", () =>
      changing(Promise.try(list)),
    )
    .on("POST", "/api/v1/tokens", "admin", "creates a token, and returns its text once", (request) =>
      changing(create(request)),
    )
    .on("DELETE", "/api/v1/tokens/:name", "admin", "revokes a token", (_, { name = "" }) =>
      changing(revoke(name)),
    );
};

function described(token: AccessToken, access: Pick<Access, "lastUseMs">, nowMs: number) {
  const { id, name, scopes, labels, createdMs, expiresMs, limits } = token;
  return {
    name,
    scopes,
    labels: Object.fromEntries(labels),
    limits,
    created: timeOf(createdMs),
    expires: timeOf(expiresMs),
    isExpired: expiresMs !== undefined && expiresMs <= nowMs,
    lastUsed: timeOf(access.lastUseMs(id)),
  };
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

function readWanted(body: Uint8Array): WantedToken {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    value = undefined;
  }
  if (!isRecord(value))
    throw new BadInput('The body is not a JSON object; expected {"name": "ci", "scopes": ["push"]}.');
  const unknown = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined)
    throw new BadInput(`The field ${quote(unknown)} is unknown; expected ${FIELDS.join(", ")}.`, unknown);
  const { name, scopes, labels = {}, expires, limits } = value;
  if (typeof name !== "string" || !TOKEN_NAME.test(name))
    throw wrong("name", name, 'up to 64 letters, digits, and characters of "._-"');
  const wanted: WantedToken = {
    name,
    scopes: readScopes(scopes),
    labels: readLabels(labels),
    expiresInMs: expires === undefined || expires === null ? undefined : readExpires(expires),
    limits: limits === undefined || limits === null ? undefined : readLimits(limits),
  };
  const fault = faultOf(wanted);
  if (fault !== undefined)
    throw new BadInput(`The token ${fault}.`, fault.startsWith("has no scope") ? "scopes" : "labels");
  return wanted;
}

function readScopes(value: unknown): TokenScope[] {
  const isScope = (scope: unknown): scope is TokenScope => SCOPES.includes(scope as TokenScope);
  const expected = `a list of ${SCOPES.join(", ")}`;
  if (!Array.isArray(value)) throw wrong("scopes", value, expected);
  for (const scope of value) if (!isScope(scope)) throw wrong("scopes", scope, expected);
  return value;
}

function readLabels(value: unknown): Labels {
  if (!isRecord(value)) throw wrong("labels", value, "an object with texts");
  const entries = Object.entries(value);
  if (entries.length > LABELS_MAX)
    throw new BadInput(`labels has ${entries.length} labels; expected at most ${LABELS_MAX}.`, "labels");
  return new Map(
    entries.map(([name, text]) => {
      if (typeof text !== "string" || text.length > LABEL_VALUE_LENGTH_MAX)
        throw wrong(`labels.${name}`, text, `a text of at most ${LABEL_VALUE_LENGTH_MAX} characters`);
      return [name, text];
    }),
  );
}

function readExpires(value: unknown): number {
  const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
  if (ms !== undefined && ms > 0 && ms <= EXPIRES_MS_MAX) return ms;
  throw wrong("expires", value, "a duration such as 90d or 12h, up to 100 years");
}

function readLimits(value: unknown): LimitRates {
  const expected = `an object with numbers above 0 for ${TOKEN_LIMITS.join(", ")}`;
  if (!isRecord(value)) throw wrong("limits", value, expected);
  const names: readonly string[] = TOKEN_LIMITS;
  for (const [name, rate] of Object.entries(value))
    if (!names.includes(name) || typeof rate !== "number" || !(rate > 0))
      throw wrong(`limits.${name}`, rate, expected);
  return value as LimitRates;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(field: string, value: unknown, expected: string): BadInput {
  const is = value === undefined ? "missing" : quote(value);
  return new BadInput(`${field} is ${is}; expected ${expected}.`, field.split(".")[0]);
}
