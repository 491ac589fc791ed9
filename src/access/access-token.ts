/**
 * A token: who may use the gateway, for what, and with which labels. Only the hash of its text is kept. Pure, except that
 * a new token is random.
 */
import { nodeCrypto } from "../program/deferred-libraries.ts";
import type { Labels } from "../model/sample.ts";
import type { LimitRates } from "./limits.ts";

/**
 * What a token can allow. `push` stores samples and changes the groups that it names, `read` evaluates PromQL and
 * summaries, `sql` also reads single rows with their attributes, `scrape` reads the current values, `alerts` sends alerts
 * that everybody is notified of, `admin` deletes what others pushed, copies the store, and stops the gateway. No scope
 * includes another.
 */
export const SCOPES = ["push", "read", "sql", "scrape", "alerts", "admin"] as const;
export type TokenScope = (typeof SCOPES)[number];

export interface AccessToken {
  /** Random, and never used again: idempotency keys and times of use belong to it, and not to the name. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the text, in hexadecimal digits. Empty for a user with a password, who is in no file of tokens. */
  readonly sha256: string;
  readonly scopes: readonly TokenScope[];
  /** Added to everything that the token pushes. It reads and changes only series that have them. */
  readonly labels: Labels;
  readonly createdMs: number;
  /** Undefined if it does not expire. */
  readonly expiresMs: number | undefined;
  /** Its own limits, which replace those of the settings. */
  readonly limits?: LimitRates;
}

export const TOKEN_NAME = /^[A-Za-z0-9._-]{1,64}$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
/** These are part of what a histogram or a summary is, so that a sender must be able to set them. */
const RESERVED_LABELS: readonly string[] = ["le", "quantile"];

/** 32 random bytes, which no one can guess. The prefix lets people and scanners of secrets recognise a token. */
export function newTokenText(): string {
  return `weir_${nodeCrypto().randomBytes(32).toString("base64url")}`;
}

export function newTokenId(): string {
  return nodeCrypto().randomBytes(8).toString("hex");
}

/**
 * The hash of a token's text. A fast hash is enough, because a token is random: there is no list to guess from. Each request
 * computes one, in 0.2 µs; `createHash` of node:crypto takes 0.9 µs.
 */
export function hashOfToken(text: string): Buffer {
  const bytes = new Uint8Array(32);
  Bun.SHA256.hash(text, bytes);
  return Buffer.from(bytes.buffer);
}

/** What is wrong with a token's scopes and labels: a sentence without its subject. Undefined if nothing is. */
export function faultOf({ scopes, labels }: Pick<AccessToken, "scopes" | "labels">): string | undefined {
  if (scopes.length === 0) return `has no scope, expected at least one of ${SCOPES.join(", ")}`;
  for (const [name, value] of labels) {
    const label = `has the label ${JSON.stringify(name)}`;
    if (!LABEL_NAME.test(name))
      return `${label}, expected letters, digits and "_", with no digit and no "__" at the beginning`;
    if (RESERVED_LABELS.includes(name))
      return `${label}, which histograms and summaries use, expected another one`;
    if (value === "") return `${label} without a value`;
  }
  return undefined;
}
