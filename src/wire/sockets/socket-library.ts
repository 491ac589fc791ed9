/**
 * The calls of the C library that make datagram sockets, for Linux with glibc. Bun opens no Unix datagram socket, cannot
 * set the receive buffer of its own UDP sockets, and creates several objects per datagram. The one call on the path of
 * datagrams is recvmmsg, which reads a hundred of them.
 *
 * Structures and constants are those of 64-bit Linux, which are equal on x86-64 and ARM: socket(2), socket(7), unix(7).
 */
import { dlopen, ptr, read } from "bun:ffi";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const F_DUPFD_CLOEXEC = 1030;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;

/** The reasons for which an address cannot be bound, by errno. */
const REASONS: Readonly<Record<number, string>> = {
  2: "its folder does not exist",
  13: "permission denied",
  98: "another process receives there",
  99: "this machine has no such address",
};

/** The reasons for which a datagram cannot be sent, by errno. */
const SEND_REASONS: Readonly<Record<number, string>> = {
  1: "permission denied",
  2: "no socket exists there",
  13: "permission denied",
  111: "nobody receives there",
};

function load() {
  const int = "i32";
  return dlopen("libc.so.6", {
    socket: { args: [int, int, int], returns: int },
    bind: { args: [int, "ptr", "u32"], returns: int },
    connect: { args: [int, "ptr", "u32"], returns: int },
    getsockname: { args: [int, "ptr", "ptr"], returns: int },
    setsockopt: { args: [int, int, int, "ptr", "u32"], returns: int },
    getsockopt: { args: [int, int, int, "ptr", "ptr"], returns: int },
    sendto: { args: [int, "ptr", "u64", int, "ptr", "u32"], returns: "i64" },
    recvmmsg: { args: [int, "ptr", "u32", int, "ptr"], returns: int },
    fcntl: { args: [int, int, int], returns: int },
    close: { args: [int], returns: int },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

/** The C library, or undefined if this system has another one. */
export function openSocketLibrary(): SocketLibrary | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    return new SocketLibrary(load());
  } catch {
    return undefined;
  }
}

/** `struct sockaddr_un`, `sockaddr_in` or `sockaddr_in6`. */
type SocketAddress = Buffer;

/** The bytes of a path in `struct sockaddr_un`, with the NUL at its end. */
export const SOCKET_PATH_BYTES_MAX = 108;

export class SocketLibrary {
  readonly #libc: ReturnType<typeof load>;

  constructor(libc: ReturnType<typeof load>) {
    this.#libc = libc;
  }

  /** Opens a datagram socket that does not block, bound to an address. Throws an error that says the reason alone. */
  open(address: SocketAddress): number {
    const fd = this.#libc.socket(familyOf(address), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new Error("no socket could be created");
    if (this.#libc.bind(fd, ptr(address), address.length) === 0) return fd;
    const errno = read.i32(this.#libc.__errno_location()!, 0);
    this.#libc.close(fd);
    throw new Error(REASONS[errno] ?? `the system's error is ${errno}`);
  }

  /**
   * Sends one datagram to a Unix address, without waiting. Returns undefined if it was sent, `full` if the receiver's queue
   * is full, else the reason.
   */
  sendOnce(address: SocketAddress, message: Uint8Array): string | undefined {
    const fd = this.#libc.socket(familyOf(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return "no socket could be created";
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = this.#libc.sendto(fd, ptr(message), message.length, flags, ptr(address), address.length);
    const errno = Number(sent) < 0 ? read.i32(this.#libc.__errno_location()!, 0) : 0;
    this.#libc.close(fd);
    if (errno === 0) return undefined;
    return errno === EAGAIN ? "full" : (SEND_REASONS[errno] ?? `the system's error is ${errno}`);
  }

  close(fd: number): void {
    this.#libc.close(fd);
  }

  /** Returns another descriptor of the same socket, or -1. */
  duplicate(fd: number): number {
    return this.#libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  }

  /** Whether a process receives at a Unix address. A socket that nobody receives on refuses a connection. */
  isUsed(address: SocketAddress): boolean {
    const fd = this.#libc.socket(familyOf(address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const isConnected = this.#libc.connect(fd, ptr(address), address.length) === 0;
    this.#libc.close(fd);
    return isConnected;
  }

  /** The port that a UDP socket is bound to. */
  port(fd: number): number {
    const address = Buffer.alloc(28);
    const length = Int32Array.of(address.length);
    this.#libc.getsockname(fd, ptr(address), ptr(length));
    return address.readUInt16BE(2);
  }

  /**
   * Sets the size of the receive buffer, and returns what the kernel granted. Linux doubles it, for what it counts beside
   * the bytes. Above net.core.rmem_max it grants more only to a process with the capability NET_ADMIN.
   */
  setReceiveBuffer(fd: number, bytes: number): number {
    const size = Int32Array.of(bytes);
    if (this.#libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, ptr(size), 4) !== 0)
      this.#libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(size), 4);
    const length = Int32Array.of(4);
    this.#libc.getsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(size), ptr(length));
    return size[0]! / 2;
  }

  /** Reads the datagrams that wait, as many as `into` has room for. Returns their number; 0 or less if none waits. */
  receive(fd: number, into: ReceivedDatagrams): number {
    return this.#libc.recvmmsg(fd, into.headers, into.count, MSG_DONTWAIT | MSG_TRUNC, null);
  }
}

/** Memory for the datagrams of one call: a slot of fixed size for each. */
export class ReceivedDatagrams {
  readonly count: number;
  readonly slotBytes: number;
  /** All slots. The kernel writes to the pages that it needs, so slots of small datagrams cost one page. */
  readonly bytes: Buffer;
  /** The address of the array of `struct mmsghdr`: a `struct msghdr` of 56 bytes, and the length. */
  readonly headers: ReturnType<typeof ptr>;
  readonly #messages: BigUint64Array;
  readonly #lengths: Uint32Array;
  /** The array of `struct iovec`, which the headers point to. Kept, because the kernel's pointers do not keep it. */
  readonly #slots: BigUint64Array;

  constructor(count: number, slotBytes: number) {
    this.count = count;
    this.slotBytes = slotBytes;
    this.bytes = Buffer.allocUnsafeSlow(count * slotBytes);
    this.#messages = new BigUint64Array(count * 8);
    this.#lengths = new Uint32Array(this.#messages.buffer);
    this.#slots = new BigUint64Array(count * 2);
    const [bytes, slots] = [BigInt(ptr(this.bytes)), BigInt(ptr(this.#slots))];
    for (let index = 0; index < count; index++) {
      this.#slots[index * 2] = bytes + BigInt(index * slotBytes);
      this.#slots[index * 2 + 1] = BigInt(slotBytes);
      // msg_iov and msg_iovlen. Without msg_name, the kernel does not write the sender's address.
      this.#messages[index * 8 + 2] = slots + BigInt(index * 16);
      this.#messages[index * 8 + 3] = 1n;
    }
    this.headers = ptr(this.#messages);
  }

  /** The length of a received datagram as it was sent. If it is larger than a slot, the slot has its beginning. */
  lengthOf(index: number): number {
    return this.#lengths[index * 16 + 14]!;
  }
}

function familyOf(address: SocketAddress): number {
  return new Uint16Array(address.buffer, address.byteOffset, 1)[0]!;
}

function addressOf(family: number, bytes: number): SocketAddress {
  const address = Buffer.alloc(bytes);
  new Uint16Array(address.buffer, address.byteOffset, 1)[0] = family;
  return address;
}

/** The address of a path of fewer than `SOCKET_PATH_BYTES_MAX` bytes. */
export function unixAddress(path: string): SocketAddress {
  const address = addressOf(AF_UNIX, 2 + SOCKET_PATH_BYTES_MAX);
  address.write(path, 2);
  return address;
}

/** The address of an abstract name (unix(7)), which has no file. Its length belongs to the name. */
export function abstractAddress(name: string): SocketAddress {
  const bytes = Buffer.from(name);
  const address = addressOf(AF_UNIX, 3 + bytes.length);
  address.set(bytes, 3);
  return address;
}

/** @param ip the 4 or 16 bytes of an IP address */
export function internetAddress(ip: readonly number[], port: number): SocketAddress {
  const isV6 = ip.length === 16;
  const address = isV6 ? addressOf(AF_INET6, 28) : addressOf(AF_INET, 16);
  address.writeUInt16BE(port, 2);
  address.set(ip, isV6 ? 8 : 4);
  return address;
}
