/** Sends Unix datagrams by the C library, for Linux: Bun has no such sockets. */
import { dlopen, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

/** Sends datagrams to a path, one after the other. A full queue makes it wait. Throws if nobody receives there. */
export function sendUnixDatagrams(path: string, datagrams: readonly string[]): void {
  const { symbols: libc, close } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
    send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  });
  const address = Buffer.alloc(110);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
  address.write(path, 2);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  try {
    if (libc.connect(fd, ptr(address), address.length) !== 0) throw new Error(`nobody receives on ${path}`);
    for (const text of datagrams) {
      // An empty buffer has no address.
      const bytes = Buffer.from(`${text}\0`);
      if (Number(libc.send(fd, ptr(bytes), bytes.length - 1, 0)) !== bytes.length - 1)
        throw new Error("a datagram was not sent");
    }
  } finally {
    libc.close(fd);
    close();
  }
}
