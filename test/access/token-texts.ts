/** Tokens of tests: files with tokens, made as `weir token create` makes them. */
import {
  type AccessToken,
  hashOfToken,
  newTokenId,
  newTokenText,
  type TokenScope,
} from "../../src/access/access-token.ts";
import type { LimitRates } from "../../src/access/limits.ts";
import { changeTokenFile } from "../../src/access/token-file.ts";

interface Wanted {
  readonly scopes: readonly TokenScope[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly expiresMs?: number;
  readonly limits?: LimitRates;
}

/** Adds a token to a file, and returns its text. */
export async function addToken(path: string, name: string, wanted: Wanted): Promise<string> {
  const text = newTokenText();
  const token: AccessToken = {
    id: newTokenId(),
    name,
    sha256: hashOfToken(text).toString("hex"),
    scopes: wanted.scopes,
    labels: new Map(Object.entries(wanted.labels ?? {})),
    createdMs: Date.UTC(2024, 0, 1),
    expiresMs: wanted.expiresMs,
    limits: wanted.limits,
  };
  await changeTokenFile(path, (tokens) => [...tokens, token]);
  return text;
}

export async function removeToken(path: string, name: string): Promise<void> {
  await changeTokenFile(path, (tokens) => tokens.filter((token) => token.name !== name));
}
