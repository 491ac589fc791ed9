/** A Unix datagram socket at a path (unix(7)). A sender waits while its queue is full, so the kernel drops nothing. */
import { rmSync, statSync } from "node:fs";
import { type DatagramHandlers, DatagramReader } from "./datagram-reader.ts";
import type { DatagramSocket } from "./datagram-socket.ts";
import { SOCKET_PATH_BYTES_MAX, type SocketLibrary, unixAddress } from "./socket-library.ts";

/**
 * Opens a socket at a path. A file that a killed process left there is replaced. Throws an error that says the reason
 * alone.
 */
export async function openUnixDatagramSocket(
  library: SocketLibrary,
  path: string,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const bytes = Buffer.byteLength(path);
  if (bytes >= SOCKET_PATH_BYTES_MAX)
    throw new Error(`the path has ${bytes} bytes, at most ${SOCKET_PATH_BYTES_MAX - 1} are accepted`);
  const address = unixAddress(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) {
    if (!found.isSocket()) throw new Error("the path exists and is not a socket");
    if (library.isUsed(address)) throw new Error("another process receives there");
    rmSync(path, { force: true });
  }
  const fd = library.open(address);
  const reader = new DatagramReader(library, fd, handlers, "prompt");
  const close = () => {
    reader.close();
    library.close(fd);
    rmSync(path, { force: true });
  };
  try {
    await reader.open();
  } catch (error) {
    close();
    throw error;
  }
  return { url: `unix:${path}`, droppedByKernel: () => 0, readRest: () => reader.readRest(), close };
}
