/** Queries that were run, and those that somebody saved, in this browser. A browser that keeps nothing has neither. */
import type { AskedQuery } from "./query-address.ts";

const HISTORY = "weir.query.history";
const SAVED = "weir.query.saved";
const KEPT_MAX = 100;

export interface SavedQuery extends AskedQuery {
  readonly name: string;
}

export function runQueries(): AskedQuery[] {
  return read<AskedQuery>(HISTORY).filter(isQuery);
}

export function savedQueries(): SavedQuery[] {
  return read<SavedQuery>(SAVED).filter((each) => isQuery(each) && typeof each.name === "string");
}

/** Puts a query first. */
export function noteRun(query: AskedQuery): void {
  if (query.text.trim() === "") return;
  write(HISTORY, [query, ...runQueries().filter((each) => each.text !== query.text)].slice(0, KEPT_MAX));
}

export function saveQuery(query: SavedQuery): void {
  write(SAVED, [query, ...savedQueries().filter(({ name }) => name !== query.name)].slice(0, KEPT_MAX));
}

export function removeSaved(name: string): void {
  write(
    SAVED,
    savedQueries().filter((each) => each.name !== name),
  );
}

function isQuery(value: unknown): value is AskedQuery {
  const { language, text } = (value ?? {}) as Partial<AskedQuery>;
  return (language === "promql" || language === "sql") && typeof text === "string";
}

function read<Kept>(key: string): Kept[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function write(key: string, kept: readonly object[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(kept));
  } catch {
    // The browser keeps nothing.
  }
}
