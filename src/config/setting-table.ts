/**
 * Tables of weir.toml with the names of prometheus.yml and alertmanager.yml: each key is read once, and a key that nobody
 * reads is an error with the nearest name. No error quotes a value that may be a secret.
 */
import { formatDuration, parseDurationMs } from "../model/duration.ts";
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import type { ScrapeAuthorization, ScrapeTls, Secret } from "../model/scrape-job.ts";
import { SettingError } from "./setting-error.ts";

type Table = Readonly<Record<string, unknown>>;

interface DurationBounds {
  readonly min: number;
  readonly max: number;
}

const USUAL_DURATION: DurationBounds = { min: 100, max: 86_400_000 };
const TABLES_MAX = 1_000;
/** As in Prometheus, where KB is the same as KiB. */
const SIZES: Readonly<Record<string, number>> = { "": 0, K: 1, M: 2, G: 3, T: 4 };

/** What a part of the settings knows of its tables. */
interface TableKeys {
  /** Keys that are no mistake, but that are not supported, and the text that says so. */
  readonly unsupported?: { readonly keys: RegExp; readonly by: string };
}

/** Reads the keys of one table, each at most once. */
export class SettingTable {
  readonly #table: Table;
  readonly #name: string;
  readonly #keys: TableKeys;
  readonly #read = new Set<string>();

  /** @param name the table in errors */
  constructor(table: Table, name: string, keys: TableKeys = {}) {
    this.#table = table;
    this.#name = name;
    this.#keys = keys;
  }

  #value(key: string): unknown {
    this.#read.add(key);
    return this.#table[key];
  }

  fault(key: string, why: string): SettingError {
    return new SettingError(`${key} of ${this.#name} ${why}${why.endsWith("?") ? "" : "."}`);
  }

  /** Whether a key is given. */
  has(key: string): boolean {
    return this.#table[key] !== undefined;
  }

  /** The value is quoted, so it must not be a secret. */
  #expected(key: string, what: string): SettingError {
    return this.fault(key, `is ${quote(this.#table[key])}, expected ${what}`);
  }

  text(key: string): string | undefined {
    const value = this.#value(key);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    throw this.#expected(key, "a text that is not empty");
  }

  /** A text that may be empty. */
  textOrEmpty(key: string): string | undefined {
    const value = this.#value(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.#expected(key, "a text");
  }

  secret(key: string): Secret | undefined {
    const value = this.#value(key);
    const file = this.text(`${key}_file`);
    if (value !== undefined && file !== undefined)
      throw this.fault(key, `and ${key}_file are both given, expected one of them`);
    if (file !== undefined) return { file };
    if (value === undefined || typeof value === "string")
      return value === undefined ? undefined : { text: value };
    throw this.fault(key, "is not a text");
  }

  number(key: string): number | undefined {
    const value = this.#value(key);
    if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
    throw this.#expected(key, "a number");
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#value(key);
    if (value === undefined) return otherwise;
    if (value === true || value === "true") return true;
    if (value === false || value === "false") return false;
    throw this.#expected(key, "true or false");
  }

  count(key: string): number {
    const value = this.#value(key);
    const count = typeof value === "string" && /^[0-9]+$/.test(value) ? Number(value) : (value ?? 0);
    if (Number.isSafeInteger(count) && (count as number) >= 0) return count as number;
    throw this.#expected(key, "a whole number, 0 for no limit");
  }

  bytes(key: string, otherwise: number): number {
    const value = this.#value(key);
    if (value === undefined) return otherwise;
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
    const [, digits, unit] = /^([0-9]+) ?(?:([KMGT]?)i?B)?$/.exec(String(value)) ?? [];
    if (digits === undefined) throw this.#expected(key, "a size such as 10MB, 0 for no limit");
    return Number(digits) * 1_024 ** SIZES[unit ?? ""]!;
  }

  /** Milliseconds. */
  duration(key: string, otherwise: number, { min, max }: DurationBounds = USUAL_DURATION): number {
    const value = this.#value(key);
    if (value === undefined) return otherwise;
    const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
    if (ms !== undefined && ms >= min && ms <= max) return ms;
    throw this.#expected(
      key,
      `a duration from ${formatDuration(min)} to ${formatDuration(max)}, such as 15s`,
    );
  }

  choices<Word extends string>(
    key: string,
    of: readonly Word[],
    otherwise: readonly Word[],
  ): readonly Word[] {
    const value = this.#value(key);
    if (value === undefined) return otherwise;
    if (Array.isArray(value) && value.length > 0 && value.every((word) => of.includes(word))) {
      return [...new Set(value)];
    }
    throw this.#expected(key, `a list of ${of.join(", ")}`);
  }

  table(key: string): SettingTable | undefined {
    const value = this.#value(key);
    if (value === undefined) return undefined;
    // It may have secrets, so it is not quoted.
    if (!isTable(value)) throw this.fault(key, "is not a table");
    return new SettingTable(value, `${key} of ${this.#name}`, this.#keys);
  }

  tables(key: string): SettingTable[] {
    const value = this.#value(key);
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every(isTable)) throw this.#expected(key, "a list of tables");
    return value.map((each: Table) => new SettingTable(each, `${key} of ${this.#name}`, this.#keys));
  }

  /** One of some words. */
  word<Word extends string>(key: string, of: readonly Word[]): Word {
    const value = this.#value(key);
    const word = of.find((each) => each === value);
    if (word !== undefined) return word;
    if (value === undefined) throw this.fault(key, `is missing, expected one of ${of.join(", ")}`);
    throw this.#expected(key, `one of ${of.join(", ")}`);
  }

  /** A list of texts, or one text. */
  textOrTexts(key: string): string[] {
    const value = this.#table[key];
    if (typeof value !== "string") return this.texts(key);
    this.#read.add(key);
    return [value];
  }

  texts(key: string): string[] {
    const value = this.#value(key);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((each) => typeof each === "string" && each !== "")) return value;
    throw this.#expected(key, "a list of texts");
  }

  /** Names with a text, or with a list of texts. */
  entries(key: string): [string, unknown][] {
    const value = this.#value(key);
    if (value === undefined) return [];
    if (!isTable(value)) throw this.fault(key, "is not a table");
    return Object.entries(value);
  }

  /** Rejects the keys that were not read. */
  end(): void {
    for (const key of Object.keys(this.#table)) {
      if (this.#read.has(key)) continue;
      const { unsupported } = this.#keys;
      if (unsupported?.keys.test(key)) throw this.fault(key, `is not supported by ${unsupported.by}`);
      const near = nearest(key, this.#read);
      throw this.fault(key, `is not a setting${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
  }
}

/**
 * The tables of a list such as `[[notify]]`, each with its name in errors.
 *
 * @param example how the list is written
 */
export function tablesOf(raw: unknown, name: string, example: string): SettingTable[] {
  if (raw === "") return [];
  if (!Array.isArray(raw) || !raw.every(isTable))
    throw new SettingError(`${name} is ${quote(raw)}, expected tables ${example} in weir.toml.`);
  if (raw.length > TABLES_MAX)
    throw new SettingError(`${name} has ${raw.length} tables, expected at most ${TABLES_MAX}.`);
  return raw.map((table, at) => {
    const label = typeof table.name === "string" ? quote(table.name) : `number ${at + 1}`;
    return new SettingTable(table, `${name} (${label})`);
  });
}

/**
 * Reads each table of a list, as `tablesOf`.
 *
 * @throws SettingError also if two tables have the same name
 */
export function readNamedTables<Read extends { readonly name: string }>(
  raw: unknown,
  name: string,
  example: string,
  read: (table: SettingTable) => Read,
): Read[] {
  const all = tablesOf(raw, name, example).map(read);
  const names = new Set<string>();
  for (const each of all) {
    if (names.has(each.name))
      throw new SettingError(`${name} has two tables with the name ${quote(each.name)}, expected one.`);
    names.add(each.name);
  }
  return all;
}

/** How requests authenticate themselves: `basic_auth`, `authorization` or `bearer_token`. */
export function readAuthorization(reader: SettingTable): ScrapeAuthorization | undefined {
  const basic = reader.table("basic_auth");
  const header = reader.table("authorization");
  const bearer = reader.secret("bearer_token");
  const given = [basic, header, bearer].filter((each) => each !== undefined);
  if (given.length > 1) {
    const expected = "expected one of basic_auth, authorization and bearer_token";
    throw reader.fault("authorization", `is given in several ways, ${expected}`);
  }
  if (bearer !== undefined) return { is: "header", type: "Bearer", credentials: bearer };
  if (basic !== undefined) {
    const username = basic.text("username") ?? "";
    const password = basic.secret("password") ?? { text: "" };
    basic.end();
    return { is: "basic", username, password };
  }
  if (header === undefined) return undefined;
  const type = header.text("type") ?? "Bearer";
  const credentials = header.secret("credentials");
  header.end();
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(type) || type.toLowerCase() === "basic")
    throw header.fault("type", `is ${quote(type)}, expected a word such as Bearer; use basic_auth for Basic`);
  if (credentials === undefined) throw header.fault("credentials", "is missing");
  return { is: "header", type, credentials };
}

/** The table `tls_config`. */
export function readTls(reader: SettingTable | undefined): ScrapeTls | undefined {
  if (reader === undefined) return undefined;
  const tls = {
    caFile: reader.text("ca_file"),
    certFile: reader.text("cert_file"),
    keyFile: reader.text("key_file"),
    serverName: reader.text("server_name"),
    insecureSkipVerify: reader.flag("insecure_skip_verify", false),
  };
  reader.end();
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    throw reader.fault("cert_file", "and key_file belong together, expected both");
  return tls;
}

/** Whether a value of TOML is a table. */
export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
