/** A connection for reading that the store knows until it is closed. A stop waits for it. */

import type { Reader } from "../store.ts";
import type { Connection } from "../engine/duckdb.ts";
import type { KeptConnection } from "./kept-connections.ts";

export class TrackedReader implements Reader {
  readonly #connection: Connection;
  readonly #onClose: (reader: TrackedReader) => void;
  readonly #explain: (error: unknown) => unknown;
  readonly #kept: KeptConnection | undefined;

  /**
   * @param explain returns the error to throw for an error of the engine
   * @param kept set if the connection may be used by a later reader
   */
  constructor(
    connection: Connection,
    onClose: (reader: TrackedReader) => void,
    explain: (error: unknown) => unknown,
    kept?: KeptConnection,
  ) {
    this.#kept = kept;
    this.#connection = connection;
    this.#onClose = onClose;
    this.#explain = explain;
  }

  all: Reader["all"] = (sql, parameters) => this.#explained(this.#connection.all(sql, parameters));
  run: Reader["run"] = async (sql, parameters) => {
    if (this.#kept?.has(sql) === true) return;
    await this.#explained(this.#connection.run(sql, parameters));
    this.#kept?.noteRun(sql);
  };
  stream: Reader["stream"] = async (sql, parameters) => {
    const stream = await this.#explained(this.#connection.stream(sql, parameters));
    return {
      columns: stream.columns,
      chunks: () => this.#chunks(stream.chunks()),
      engineChunks: () => this.#chunks(stream.engineChunks()),
    };
  };
  scan: Reader["scan"] = (sql, parameters, nullable, visit) =>
    this.#explained(this.#connection.scan(sql, parameters, nullable, visit));
  scanLists: Reader["scanLists"] = (sql, parameters, visit) =>
    this.#explained(this.#connection.scanLists(sql, parameters, visit));
  scanBlocks: Reader["scanBlocks"] = (sql, parameters, visit) =>
    this.#explained(this.#connection.scanBlocks(sql, parameters, visit));
  interrupt: Reader["interrupt"] = () => {
    this.#kept?.spoil();
    this.#connection.interrupt();
  };
  close: Reader["close"] = () => {
    const onEnded = () => this.#onClose(this);
    if (this.#kept === undefined) this.#connection.close(onEnded);
    else this.#kept.end(onEnded);
  };

  async *#chunks<Chunk>(chunks: AsyncIterable<Chunk>): AsyncGenerator<Chunk> {
    try {
      yield* chunks;
    } catch (error) {
      this.#kept?.spoil();
      throw this.#explain(error);
    }
  }

  #explained<T>(work: Promise<T>): Promise<T> {
    return work.catch((error) => {
      this.#kept?.spoil();
      throw this.#explain(error);
    });
  }
}
