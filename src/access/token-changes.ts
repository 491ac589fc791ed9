/**
 * Creates and revokes the tokens of a file: for `weir token`, and for the gateway's own routes. A new token's text is
 * returned once; the file has only its hash.
 */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { nearest } from "../model/nearest.ts";
import type { Labels } from "../model/sample.ts";
import { type AccessToken, hashOfToken, newTokenId, newTokenText, type TokenScope } from "./access-token.ts";
import type { LimitRates } from "./limits.ts";
import { changeTokenFile, readTokenFile, TokenFileError } from "./token-file.ts";

/** The file has a token of this name. */
export class TokenExists extends TokenFileError {
  constructor(name: string) {
    super(`There is a token ${JSON.stringify(name)} already; "weir token revoke ${name}" revokes it.`);
  }
}

/** The file has no token of this name. */
export class UnknownToken extends TokenFileError {}

/** The file has as many tokens as it may have. */
export class TooManyTokens extends TokenFileError {}

/** Some 300 bytes each. A gateway reads and compares them within milliseconds. */
export const TOKENS_MAX = 10_000;

/** The longest time until a token expires: 100 years, so that its end has a year of four digits. */
export const EXPIRES_MS_MAX = 36_525 * 86_400_000;

export interface WantedToken {
  readonly name: string;
  readonly scopes: readonly TokenScope[];
  readonly labels: Labels;
  /** Undefined if it does not expire. */
  readonly expiresInMs: number | undefined;
  readonly limits?: LimitRates;
}

/** A new token, and its text. */
export function newToken(wanted: WantedToken, nowMs: number): { token: AccessToken; text: string } {
  const { name, scopes, labels, expiresInMs, limits } = wanted;
  const text = newTokenText();
  const token: AccessToken = {
    id: newTokenId(),
    name,
    sha256: hashOfToken(text).toString("hex"),
    scopes: [...new Set(scopes)],
    labels,
    createdMs: nowMs,
    expiresMs: expiresInMs === undefined ? undefined : nowMs + expiresInMs,
    limits,
  };
  return { token, text };
}

/**
 * Adds a token to the file, which is created if needed.
 *
 * @throws TokenExists, TooManyTokens, TokenFileError if the file cannot be changed
 */
export async function storeToken(path: string, token: AccessToken): Promise<void> {
  const { name } = token;
  await changeTokenFile(path, (tokens) => {
    if (tokens.some((each) => each.name === name)) throw new TokenExists(name);
    if (tokens.length >= TOKENS_MAX)
      throw new TooManyTokens(`There are ${TOKENS_MAX} tokens, which is the most that a file can have.`);
    return [...tokens, token];
  });
}

/**
 * Removes a token from the file. Returns how many are left.
 *
 * @throws UnknownToken, TokenFileError if the file cannot be changed
 */
export async function revokeToken(path: string, name: string): Promise<number> {
  const known = (readTokenFile(path) ?? []).map((token) => token.name);
  if (!known.includes(name)) throw unknownName(name, path, known);
  let left = 0;
  await changeTokenFile(path, (tokens) => {
    const rest = tokens.filter((token) => token.name !== name);
    left = rest.length;
    return rest;
  });
  return left;
}

/** Whether the file can be replaced, as far as permissions and its mount say. */
export function canChangeTokens(path: string): boolean {
  try {
    const target = statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
    accessSync(dirname(target), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function unknownName(name: string, path: string, known: readonly string[]): UnknownToken {
  const near = nearest(name, known);
  const hint = near === undefined ? "" : ` Did you mean ${JSON.stringify(near)}?`;
  return new UnknownToken(`There is no token ${JSON.stringify(name)} in ${path}.${hint}`);
}
