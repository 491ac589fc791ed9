/**
 * The file of the tokens: JSON, mode 0600, with hashes and no secret. A change replaces the file as a whole, so that a
 * reader sees the old or the new one.
 *
 * Two commands that change it at the same time follow each other: the new file is created under a fixed name, which only
 * one process can do, and its rename ends the change. A killed command may leave that name behind for `LEFT_AFTER_MS`.
 */
import {
  closeSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { quote } from "../model/errors.ts";
import { faultOf, SCOPES, type TokenScope, type AccessToken, TOKEN_NAME } from "./access-token.ts";
import { type LimitRates, TOKEN_LIMITS } from "./limits.ts";

/** The file is not a file of tokens, or cannot be read or changed. The message names the file and the reason. */
export class TokenFileError extends Error {
  override readonly name = "TokenFileError";
}

const FIELDS: readonly string[] = [
  "id",
  "name",
  "sha256",
  "scopes",
  "labels",
  "created",
  "expires",
  "limits",
];
/** A change takes milliseconds. */
const LEFT_AFTER_MS = 10_000;
const RETRY_MS = 20;

/** The tokens of a file. Undefined if it does not exist. Throws `TokenFileError`. */
export function readTokenFile(path: string): readonly AccessToken[] | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new TokenFileError(`The token file ${quote(path)} cannot be read: ${messageOf(error)}.`);
  }
  return parse(text, path);
}

/**
 * Replaces the tokens of a file, which is created if needed.
 *
 * @param change gets the tokens and returns those to store. If it throws, the file stays as it was
 * @throws TokenFileError if the file cannot be read or written
 */
export async function changeTokenFile(
  path: string,
  change: (tokens: readonly AccessToken[]) => readonly AccessToken[],
): Promise<void> {
  const target = statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path);
  const fresh = `${target}.new`;
  const file = await createAlone(fresh);
  try {
    writeSync(file, textOf(change(readTokenFile(target) ?? [])));
    // A command of root must leave a file that the service can read.
    if (process.getuid?.() === 0) {
      const { uid, gid } = statSync(target, { throwIfNoEntry: false }) ?? statSync(dirname(target));
      fchownSync(file, uid, gid);
    }
    fsyncSync(file);
    renameSync(fresh, target);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw codeOf(error) === undefined ? error : cannotChange(target, error);
  } finally {
    closeSync(file);
  }
  const folder = openSync(dirname(target), "r");
  fsyncSync(folder);
  closeSync(folder);
}

/** Creates a file that does not exist. Waits while another process has it. */
async function createAlone(path: string): Promise<number> {
  for (;;) {
    try {
      return openSync(path, "wx", 0o600);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw cannotChange(path.replace(/\.new$/, ""), error);
    }
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > LEFT_AFTER_MS) rmSync(path, { force: true });
    else await sleep(RETRY_MS);
  }
}

function cannotChange(path: string, error: unknown): TokenFileError {
  return new TokenFileError(`The token file ${quote(path)} cannot be changed: ${messageOf(error)}.`);
}

function textOf(tokens: readonly AccessToken[]): string {
  const shown = tokens.map(({ id, name, sha256, scopes, labels, createdMs, expiresMs, limits }) => ({
    id,
    name,
    sha256,
    scopes,
    labels: Object.fromEntries(labels),
    created: new Date(createdMs).toISOString(),
    expires: expiresMs === undefined ? undefined : new Date(expiresMs).toISOString(),
    limits,
  }));
  return `${JSON.stringify({ tokens: shown }, undefined, 2)}\n`;
}

/** Reads strictly: a token whose `labels` are misspelt would otherwise have none. Errors never quote a hash. */
function parse(text: string, path: string): AccessToken[] {
  const fault = (why: string) => new TokenFileError(`The token file ${quote(path)} ${why}.`);
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    throw fault("is not JSON");
  }
  const list = (root as { tokens?: unknown } | null)?.tokens;
  if (!Array.isArray(list)) throw fault('has no list "tokens"');
  const tokens = list.map((entry: unknown, index) => {
    const wrong = (why: string) => fault(`has a token at index ${index} that ${why}`);
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) throw wrong("is not an object");
    const record = entry as Record<string, unknown>;
    const unknown = Object.keys(record).find((field) => !FIELDS.includes(field));
    if (unknown !== undefined) throw wrong(`has the unknown field ${quote(unknown)}`);
    const word = (field: string, expected: RegExp) => {
      const value = record[field];
      if (typeof value === "string" && expected.test(value)) return value;
      throw wrong(`has no valid field ${quote(field)}`);
    };
    const time = (field: string) => {
      const ms = Date.parse(word(field, /^\d{4}-/));
      if (Number.isNaN(ms)) throw wrong(`has no time in the field ${quote(field)}`);
      return ms;
    };
    const { scopes, labels = {} } = record;
    if (!Array.isArray(scopes) || !scopes.every((scope): scope is TokenScope => SCOPES.includes(scope)))
      throw wrong(`has a field "scopes" that is not a list of ${SCOPES.join(", ")}`);
    if (typeof labels !== "object" || labels === null || Array.isArray(labels))
      throw wrong('has a field "labels" that is not an object');
    const pairs = Object.entries(labels as Record<string, unknown>);
    if (!pairs.every((pair): pair is [string, string] => typeof pair[1] === "string"))
      throw wrong('has a field "labels" with a value that is not a text');
    const token: AccessToken = {
      id: word("id", /^[0-9a-zA-Z_-]{1,64}$/),
      name: word("name", TOKEN_NAME),
      sha256: word("sha256", /^[0-9a-f]{64}$/),
      scopes,
      labels: new Map(pairs),
      createdMs: time("created"),
      expiresMs: record.expires === undefined ? undefined : time("expires"),
      limits: record.limits === undefined ? undefined : limitsOf(record.limits, wrong),
    };
    const problem = faultOf(token);
    if (problem !== undefined) throw wrong(problem);
    return token;
  });
  for (const field of ["id", "name", "sha256"] as const) {
    if (new Set(tokens.map((token) => token[field])).size < tokens.length)
      throw fault(`has two tokens with the same ${field}`);
  }
  return tokens;
}

function limitsOf(value: unknown, wrong: (why: string) => TokenFileError): LimitRates {
  const rates = Object.entries(typeof value === "object" && value !== null ? value : { "": value });
  const names: readonly string[] = TOKEN_LIMITS;
  if (rates.every(([name, rate]) => names.includes(name) && typeof rate === "number" && rate > 0))
    return Object.fromEntries(rates) as LimitRates;
  throw wrong(`has a field "limits" that is not an object with numbers above 0 for ${names.join(", ")}`);
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
