/**
 * A Unix datagram socket. Bun opens none, but it can watch a socket that is open already. So the C library makes the
 * socket, and Bun reads it: each read returns one datagram. No call of the C library is on the path of a datagram.
 *
 * Bun takes an empty datagram for the end of a stream, and closes its descriptor. It gets a duplicate of ours, and
 * another one then, so no datagram is lost.
 */
import { dlopen, ptr } from "bun:ffi";
import { rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ListenError } from "../http/server.ts";
import type { DatagramSocket } from "./datagram-socket.ts";

// Constants of Linux, equal on all architectures that Bun runs on: socket(2), fcntl(2).
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
/** The bytes of a path in `struct sockaddr_un`, with the NUL at its end (unix(7)). */
const PATH_BYTES_MAX = 108;

function openLibrary() {
  const int = "i32";
  return dlopen("libc.so.6", {
    socket: { args: [int, int, int], returns: int },
    bind: { args: [int, "ptr", "u32"], returns: int },
    connect: { args: [int, "ptr", "u32"], returns: int },
    fcntl: { args: [int, int, int], returns: int },
    close: { args: [int], returns: int },
  });
}

interface DatagramHandlers {
  onDatagram(bytes: Uint8Array): void;
  onFault(error: unknown): void;
}

/** Opens a socket at a path. A file that a killed process left there is replaced. Throws `ListenError`. */
export async function openUnixDatagramSocket(
  path: string,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const url = `unix:${path}`;
  const fail = (reason: string) => new ListenError(`Cannot receive on ${url}: ${reason}.`);
  if (process.platform !== "linux") throw fail("Unix datagram sockets are supported on Linux only");
  const bytes = Buffer.byteLength(path);
  if (bytes >= PATH_BYTES_MAX) {
    throw fail(`the path has ${bytes} bytes, at most ${PATH_BYTES_MAX - 1} are accepted`);
  }
  let library: ReturnType<typeof openLibrary>;
  try {
    library = openLibrary();
  } catch (error) {
    throw fail(`the C library could not be loaded (${(error as Error).message})`);
  }
  const { symbols: libc } = library;
  const address = Buffer.alloc(2 + PATH_BYTES_MAX);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
  address.write(path, 2);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw fail("no socket could be created");
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isSocket()) throw fail("the path exists and is not a socket");
    if (found !== undefined) {
      if (isUsed(libc, address)) throw fail("another process receives there");
      rmSync(path, { force: true });
    }
    if (libc.bind(fd, ptr(address), address.length) !== 0) {
      const isThere = statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() === true;
      throw fail(isThere ? "the socket could not be created there" : "its folder does not exist");
    }
    const reader = new DuplicateReader(() => libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), handlers);
    await reader.open();
    return {
      url,
      // A sender waits, or is told that the queue is full: nothing is dropped on this side.
      droppedByKernel: () => 0,
      close() {
        reader.close();
        libc.close(fd);
        rmSync(path, { force: true });
      },
    };
  } catch (error) {
    libc.close(fd);
    throw error instanceof ListenError ? error : fail((error as Error).message);
  }
}

/** Whether a process receives at an address. A socket that nobody receives on refuses a connection. */
function isUsed(libc: ReturnType<typeof openLibrary>["symbols"], address: Buffer): boolean {
  const probe = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const connected = libc.connect(probe, ptr(address), address.length) === 0;
  libc.close(probe);
  return connected;
}

/** Reads duplicates of one descriptor, one after the other. */
class DuplicateReader {
  readonly #duplicate: () => number;
  readonly #handlers: DatagramHandlers;
  #socket: Bun.Socket | undefined;
  #isClosed = false;

  constructor(duplicate: () => number, handlers: DatagramHandlers) {
    this.#duplicate = duplicate;
    this.#handlers = handlers;
  }

  async open(): Promise<void> {
    const { onDatagram, onFault } = this.#handlers;
    const fd = this.#duplicate();
    if (fd < 0) throw new Error("the socket's descriptor could not be duplicated");
    // `fd` is what node:net passes for `new Socket({ fd })`. The types of Bun do not declare it.
    const options: { readonly fd: number; readonly socket: Bun.SocketHandler } = {
      fd,
      socket: {
        data: (_, bytes) => onDatagram(bytes),
        error: (_, error) => onFault(error),
        close: () => {
          if (!this.#isClosed) this.open().catch(onFault);
        },
      },
    };
    this.#socket = await Bun.connect(options as unknown as Bun.UnixSocketOptions);
    if (this.#isClosed) this.#socket.terminate();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.terminate();
  }
}
