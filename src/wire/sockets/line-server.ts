/**
 * A TCP server that receives lines and answers nothing. It passes on whole lines only, however TCP divides them. A
 * connection is not read while there is no room for its lines, so that TCP slows down its sender.
 */
import { DATAGRAM_BYTES_MAX } from "./waiting-datagrams.ts";

export interface LineHandlers {
  /**
   * Gets whole lines, each with its LF: `length` bytes from `from` on. Returns false if there is no room. A line that
   * arrived with others may be longer than `lineBytesMax`.
   */
  onLines(bytes: Uint8Array, from: number, length: number): boolean;
  /** Resolves when there may be room again. */
  room(): Promise<void>;
  /** Gets the beginning of a line that is longer than `lineBytesMax`. The rest of that line is skipped. */
  onLongLine(start: Uint8Array): void;
  /** Gets the end of a connection that has no LF. Its sender may have been cut off in the middle of a number. */
  onCutLine(rest: Uint8Array): void;
  /**
   * Whether the first `START_BYTES` of a connection, or fewer that have an LF, are of another protocol. Nothing of such a
   * connection is passed on, and it is closed.
   */
  isOtherProtocol(start: Uint8Array): boolean;
  /** Gets each connection that was closed here: there were too many, it was idle, or it had another protocol. */
  onClosed(cause: "too_many" | "idle" | "other_protocol"): void;
}

interface LineServerOptions {
  readonly lineBytesMax: number;
  /** Open connections, and closed ones whose lines wait for room. */
  readonly connectionsMax: number;
  /** A connection without data is closed after this time. */
  readonly idleMs: number;
}

export interface LineServer {
  readonly hostname: string;
  readonly port: number;
  /** Reads what has arrived, for at most `timeoutMs`, and closes the connections. */
  stop(timeoutMs: number): Promise<void>;
}

/** Enough for the method of a request of HTTP. */
export const START_BYTES = 9;
const LINE_FEED = 10;
const IDLE_CHECKS = 4;
/** After this many turns of the event loop without data, the kernel has no more. */
const QUIET_TURNS = 3;

type Connected = Bun.Socket<Connection | undefined>;

/** Listens on an address of TCP; port 0 chooses a free one. Throws an error with the system's `code`. */
export function openLineServer(
  hostname: string,
  port: number,
  options: LineServerOptions,
  handlers: LineHandlers,
): LineServer {
  const connected = new Set<Connected>();
  /** Closed connections whose lines still wait for room. */
  const ending = new Set<Promise<void>>();
  let reads = 0;
  const server = Bun.listen<Connection | undefined>({
    hostname,
    port,
    // Otherwise a second process on the port would get a part of the connections.
    exclusive: true,
    socket: {
      open(socket) {
        // What a closed connection has sent is still in memory.
        if (connected.size + ending.size >= options.connectionsMax) {
          handlers.onClosed("too_many");
          socket.terminate();
          return;
        }
        connected.add(socket);
        socket.data = new Connection(socket, options.lineBytesMax, handlers);
      },
      data(socket, bytes) {
        reads++;
        socket.data?.read(bytes);
      },
      close(socket) {
        const { data } = socket;
        if (!connected.delete(socket) || data === undefined) return;
        const end = data.end().finally(() => ending.delete(end));
        ending.add(end);
      },
      // It is followed by `close`.
      error() {},
    },
  });
  const idle = setInterval(() => {
    const before = performance.now() - options.idleMs;
    for (const socket of connected) {
      if (socket.data === undefined || socket.data.isBlocked || socket.data.readAt > before) continue;
      handlers.onClosed("idle");
      socket.end();
    }
  }, options.idleMs / IDLE_CHECKS);
  return {
    hostname: server.hostname,
    port: server.port,
    async stop(timeoutMs) {
      clearInterval(idle);
      server.stop();
      const endsAt = performance.now() + timeoutMs;
      for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < endsAt; ) {
        const before = reads;
        await Bun.sleep(1);
        const isQuiet = reads === before && ![...connected].some(({ data }) => data?.isBlocked);
        quiet = isQuiet ? quiet + 1 : 0;
      }
      const ends = [...connected].map((socket) => {
        connected.delete(socket);
        socket.end();
        return socket.data?.end();
      });
      // Without room, a connection cannot pass on what it has.
      const left = Math.max(0, endsAt - performance.now());
      await Promise.race([Promise.all([...ends, ...ending]), Bun.sleep(left)]);
    },
  };
}

/** The lines of one connection. */
class Connection {
  readonly #socket: Connected;
  readonly #lineBytesMax: number;
  readonly #handlers: LineHandlers;
  /** The beginning of a line whose end has not arrived. */
  #rest = Buffer.alloc(0);
  /** The line that is too long has not ended. */
  #isSkipping = false;
  /** Whether its protocol is known by its first bytes. */
  #state: "begun" | "accepted" | "rejected" = "begun";
  /** What arrived while there was no room. */
  #backlog: Buffer[] = [];
  #writing: Promise<void> | undefined;
  readAt = performance.now();

  constructor(socket: Connected, lineBytesMax: number, handlers: LineHandlers) {
    this.#socket = socket;
    this.#lineBytesMax = lineBytesMax;
    this.#handlers = handlers;
  }

  /** Whether it waits for room. */
  get isBlocked(): boolean {
    return this.#writing !== undefined;
  }

  read(bytes: Buffer): void {
    this.readAt = performance.now();
    if (this.#state === "begun") this.#begin(bytes);
    if (this.#state === "rejected") return;
    if (this.#writing !== undefined) {
      this.#backlog.push(Buffer.from(bytes));
      return;
    }
    const left = this.#take(bytes);
    if (left.length > 0) this.#writing = this.#writeLater(Buffer.from(left));
  }

  /** Looks at the first bytes, as soon as there are enough. Before that, there is no whole line. */
  #begin(bytes: Buffer): void {
    const start = Buffer.concat([this.#rest, bytes.subarray(0, START_BYTES)]);
    if (start.length < START_BYTES && !start.includes(LINE_FEED)) return;
    this.#state = this.#handlers.isOtherProtocol(start) ? "rejected" : "accepted";
    if (this.#state === "accepted") return;
    this.#rest = Buffer.alloc(0);
    this.#handlers.onClosed("other_protocol");
    this.#socket.terminate();
  }

  /** The connection is closed: passes on what arrived before. */
  async end(): Promise<void> {
    await this.#writing;
    if (this.#rest.length > 0) this.#handlers.onCutLine(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  async #writeLater(first: Buffer): Promise<void> {
    this.#socket.pause();
    let left = first;
    for (;;) {
      await this.#handlers.room();
      left = this.#take(left);
      while (left.length === 0 && this.#backlog.length > 0) left = this.#take(this.#backlog.shift()!);
      if (left.length === 0) break;
    }
    this.#writing = undefined;
    this.readAt = performance.now();
    this.#socket.resume();
  }

  /** Passes on the whole lines of some bytes. Returns those for which there was no room. */
  #take(bytes: Buffer): Buffer {
    let from = 0;
    if (this.#isSkipping) {
      const end = bytes.indexOf(LINE_FEED);
      if (end < 0) return bytes.subarray(bytes.length);
      this.#isSkipping = false;
      from = end + 1;
    }
    while (from < bytes.length) {
      const first = bytes.indexOf(LINE_FEED, from);
      if (first < 0) {
        this.#keep(bytes.subarray(from));
        break;
      }
      if (this.#rest.length + first - from > this.#lineBytesMax) {
        this.#handlers.onLongLine(Buffer.concat([this.#rest, bytes.subarray(from, first)]));
        this.#rest = Buffer.alloc(0);
        from = first + 1;
        continue;
      }
      if (this.#rest.length > 0) {
        const line = Buffer.concat([this.#rest, bytes.subarray(from, first + 1)]);
        if (!this.#handlers.onLines(line, 0, line.length)) return bytes.subarray(from);
        this.#rest = Buffer.alloc(0);
        from = first + 1;
        continue;
      }
      // As many lines as a piece may have. The first is one of them, because a line has fewer bytes.
      const last = bytes.lastIndexOf(LINE_FEED, Math.min(bytes.length, from + DATAGRAM_BYTES_MAX) - 1);
      if (!this.#handlers.onLines(bytes, from, last + 1 - from)) return bytes.subarray(from);
      from = last + 1;
    }
    return bytes.subarray(bytes.length);
  }

  /** Keeps the beginning of a line. */
  #keep(start: Uint8Array): void {
    this.#rest = Buffer.concat([this.#rest, start]);
    if (this.#rest.length <= this.#lineBytesMax) return;
    this.#handlers.onLongLine(this.#rest);
    this.#rest = Buffer.alloc(0);
    this.#isSkipping = true;
  }
}
