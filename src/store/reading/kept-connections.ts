/**
 * Connections of readers that have ended, kept for the next ones with the temporary views and macros that were made on them.
 *
 * To connect, and to make the view of a metric, takes 1 to 2 ms, as long as a short query. The engine's prepared statements
 * are not kept: their plans rely on statistics of the tables at the time of the plan, and later commits do not change them. A
 * kept plan of `WHERE x < 100`, over a table that had no larger x, returned rows with larger ones (DuckDB 1.5.6).
 */
import type { Connection } from "../engine/duckdb.ts";

/** A statement that a kept connection need not run twice. Comments may be in front of it. */
const DEFINITION = /^(?:\s|--[^\n]*\n)*CREATE OR REPLACE TEMP (VIEW "[^"]*"|MACRO \w+)/;

/** Idle connections: as many as dashboards use at once. */
const IDLE_MAX = 4;
/** Views of more tables are not kept, so that a connection does not collect those of thousands. */
const DEFINITIONS_MAX = 64;

/** A connection that may be used by one reader after the other. */
export class KeptConnection {
  readonly connection: Connection;
  readonly #owner: KeptConnections;
  /** By kind and name in lower case, since the engine ignores case: the statement that made it. */
  readonly #made = new Map<string, string>();
  #isUsable = true;

  constructor(connection: Connection, owner: KeptConnections) {
    this.connection = connection;
    this.#owner = owner;
  }

  /** Whether a statement would only make again what the connection has. */
  has(sql: string): boolean {
    const name = nameOf(sql);
    return name !== undefined && this.#made.get(name) === sql;
  }

  /** Call it after a statement that returns no rows. */
  noteRun(sql: string): void {
    const name = nameOf(sql);
    // Anything else, such as a temporary table, is not for the next reader.
    if (name === undefined) this.spoil();
    else this.#made.set(name, sql);
  }

  /** Nobody uses the connection again: a statement failed on it, or an interrupt may come late. */
  spoil(): void {
    this.#isUsable = false;
  }

  get isReusable(): boolean {
    return this.#isUsable && !this.connection.isStreaming && this.#made.size <= DEFINITIONS_MAX;
  }

  /** Keeps the connection for the next reader, or closes it. Calls `onEnded` when nothing runs on it any more. */
  end(onEnded: () => void): void {
    if (this.#owner.keep(this)) onEnded();
    else this.connection.close(onEnded);
  }
}

function nameOf(sql: string): string | undefined {
  return DEFINITION.exec(sql)?.[1]?.toLowerCase();
}

/** The idle connections of an engine. */
export class KeptConnections {
  readonly #idle: KeptConnection[] = [];
  #isClosed = false;

  /** The connection that was used last, or a new one. */
  async take(connect: () => Promise<Connection>): Promise<KeptConnection> {
    return this.#idle.pop() ?? new KeptConnection(await connect(), this);
  }

  /** Keeps a connection if it can be used again. Returns false if it has to be closed. */
  keep(kept: KeptConnection): boolean {
    const isKept = kept.isReusable && !this.#isClosed && this.#idle.length < IDLE_MAX;
    if (isKept) this.#idle.push(kept);
    return isKept;
  }

  /** Closes those that are idle, and keeps no more. */
  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }
}
