/** The readers of a store that are open: what a checkpoint, a reopening and the end of the store have to know of them. */
import { Unavailable } from "../../model/errors.ts";
import { DiskFull } from "../disk-room.ts";
import type { Connection } from "../engine/duckdb.ts";
import { isDiskFull, isFatal } from "../engine/faults.ts";
import { KeptConnection } from "./kept-connections.ts";
import type { OpenEngine } from "../engine/open-engine.ts";
import { TrackedReader } from "./tracked-reader.ts";

/** How long `gone()` waits for interrupted readers to end. One that ignores its interrupt may never end. */
const CLOSE_MS_MAX = 2_000;

/**
 * The error for a reader: `Unavailable` while the file is opened again, `DiskFull` if a query's files have no room.
 */
export function readerError(error: unknown, isReopening: boolean): unknown {
  if (isReopening || isFatal(error))
    return new Unavailable(
      "the store is being opened again after an error of its engine; try again in a moment",
    );
  if (!isDiskFull(error)) return error;
  return new DiskFull("disk full: the query needs more room for intermediate results than the disk has");
}

export class Readers {
  readonly #explain: (error: unknown) => unknown;
  readonly #requireOpen: () => void;
  readonly #open = new Set<TrackedReader>();
  /** Connections for readers that are being opened. */
  #connecting = 0;

  /**
   * @param explain returns the error for the caller of a reader
   * @param requireOpen throws if the store is closed
   */
  constructor(explain: (error: unknown) => unknown, requireOpen: () => void) {
    this.#explain = explain;
    this.#requireOpen = requireOpen;
  }

  /** How many are open or being opened. */
  get count(): number {
    return this.#open.size + this.#connecting;
  }

  /** @param isKept whether its connection may be one that is kept (engine/kept-connections.ts) */
  async open({ database, connections, workers, blocks }: OpenEngine, isKept = false): Promise<TrackedReader> {
    await blocks.settled();
    this.#requireOpen();
    this.#connecting++;
    const connect = () => database.connect();
    const opening = isKept ? connections.take(connect) : connect().then((connection) => ({ connection }));
    const opened: { readonly connection: Connection } | KeptConnection = await opening
      .catch((error) => {
        throw this.#explain(error);
      })
      .finally(() => {
        this.#connecting--;
      });
    const { connection } = opened;
    try {
      // Closing the store interrupts the readers that it knows, and this one is newer.
      this.#requireOpen();
    } catch (error) {
      connection.close();
      throw error;
    }
    const onClose = (closed: TrackedReader) => {
      this.#open.delete(closed);
      blocks.noteRead();
      workers.end();
    };
    const kept = opened instanceof KeptConnection ? opened : undefined;
    const reader = new TrackedReader(connection, onClose, this.#explain, kept);
    this.#open.add(reader);
    blocks.noteRead();
    workers.begin();
    return reader;
  }

  /** Stops their running statements. */
  interrupt(): void {
    for (const reader of this.#open) reader.interrupt();
  }

  /** Interrupts them and waits until they have ended. Returns false if some did not end in time. */
  async gone(): Promise<boolean> {
    this.interrupt();
    const deadline = Date.now() + CLOSE_MS_MAX;
    while (this.count > 0 && Date.now() < deadline) await Bun.sleep(5);
    return this.count === 0;
  }
}
