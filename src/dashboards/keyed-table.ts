/** Reads the keys of a table of TOML, each of one type. A key that nobody reads is an error with the nearest name. Pure. */
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import type { DashboardJson } from "./dashboard-text.ts";
import type { FaultAt } from "./toml-dashboard.ts";
import type { TomlPath } from "./toml-lines.ts";

/** What each key of a choice makes. */
export type DashboardKeys = Readonly<Record<string, () => DashboardJson>>;

export class KeyedTable {
  readonly #table: DashboardJson;
  readonly #path: TomlPath;
  readonly #faultAt: FaultAt;
  readonly #read = new Set<string>();

  constructor(table: DashboardJson, path: TomlPath, faultAt: FaultAt) {
    this.#table = table;
    this.#path = path;
    this.#faultAt = faultAt;
  }

  has(key: string): boolean {
    return this.#table[key] !== undefined;
  }

  fault(key: string, why: string): Error {
    return this.#faultAt([...this.#path, key], `${key} ${why}`);
  }

  missing(key: string, expected: string): never {
    throw this.#faultAt(this.#path, `${key} is missing, expected ${expected}`);
  }

  text(key: string): string | undefined {
    return this.#value(key, "a text", (value) => typeof value === "string") as string | undefined;
  }

  texts(key: string): readonly string[] | undefined {
    const areTexts = (value: unknown) =>
      Array.isArray(value) && value.every((each) => typeof each === "string");
    return this.#value(key, "a list of texts", areTexts) as readonly string[] | undefined;
  }

  textOrTexts(key: string): string | readonly string[] | undefined {
    return typeof this.#table[key] === "string" ? this.text(key) : this.texts(key);
  }

  flag(key: string): boolean | undefined {
    return this.#value(key, "true or false", (value) => typeof value === "boolean") as boolean | undefined;
  }

  number(key: string): number | undefined {
    return this.#value(key, "a number", Number.isFinite) as number | undefined;
  }

  whole(key: string, least: number, most: number): number | undefined {
    const isWithin = (value: unknown) =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
    return this.#value(key, `a whole number from ${least} to ${most}`, isWithin) as number | undefined;
  }

  word<Word extends string>(key: string, of: readonly Word[]): Word | undefined {
    const value = this.#value(key, `one of ${of.join(", ")}`, (each) => of.includes(each as Word));
    return value as Word | undefined;
  }

  /** The tables of a list. None if the key is absent. */
  tables(key: string): KeyedTable[] {
    const areTables = (value: unknown) => Array.isArray(value) && value.every(isTable);
    const tables = this.#value(key, "a list of tables", areTables) as readonly DashboardJson[] | undefined;
    return (tables ?? []).map((each, at) => new KeyedTable(each, [...this.#path, key, at], this.#faultAt));
  }

  /** The tables of a table, with their names. None if the key is absent. */
  namedTables(key: string): (readonly [name: string, table: KeyedTable])[] {
    const areTables = (value: unknown) => isTable(value) && Object.values(value).every(isTable);
    const tables = this.#value(key, "a table of tables", areTables) as
      | Readonly<Record<string, DashboardJson>>
      | undefined;
    return Object.entries(tables ?? {}).map(([name, each]) => [
      name,
      new KeyedTable(each, [...this.#path, key, name], this.#faultAt),
    ]);
  }

  /** Throws if there is a key that was not read. */
  end(): void {
    for (const key of Object.keys(this.#table)) {
      if (this.#read.has(key)) continue;
      const near = nearest(key, this.#read);
      throw this.fault(key, `is not known here${near === undefined ? "" : `; did you mean ${near}?`}`);
    }
  }

  #value(key: string, expected: string, isRight: (value: unknown) => boolean): unknown {
    this.#read.add(key);
    const value = this.#table[key];
    if (value === undefined || isRight(value)) return value;
    throw this.fault(key, `is ${quote(value)}, expected ${expected}`);
  }
}

function isTable(value: unknown): value is DashboardJson {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
