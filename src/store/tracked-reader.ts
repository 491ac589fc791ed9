/** A connection for reading that the store knows of until it is closed: stopping waits for it. */
import type { Connection } from "./duckdb.ts";
import type { Reader } from "./store.ts";

export class TrackedReader implements Reader {
  readonly #connection: Connection;
  readonly #onClose: (reader: TrackedReader) => void;

  constructor(connection: Connection, onClose: (reader: TrackedReader) => void) {
    this.#connection = connection;
    this.#onClose = onClose;
  }

  all: Reader["all"] = (sql, parameters) => this.#connection.all(sql, parameters);
  run: Reader["run"] = (sql, parameters) => this.#connection.run(sql, parameters);
  stream: Reader["stream"] = (sql, parameters) => this.#connection.stream(sql, parameters);
  scan: Reader["scan"] = (sql, parameters, nullable, visit) =>
    this.#connection.scan(sql, parameters, nullable, visit);
  scanLists: Reader["scanLists"] = (sql, parameters, visit) =>
    this.#connection.scanLists(sql, parameters, visit);
  countStatements: Reader["countStatements"] = (sql) => this.#connection.countStatements(sql);
  interrupt: Reader["interrupt"] = () => this.#connection.interrupt();
  close: Reader["close"] = () => {
    this.#connection.close(() => this.#onClose(this));
  };
}
