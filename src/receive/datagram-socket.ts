/**
 * Opens a socket that receives datagrams: UDP, or Unix datagrams (unix-datagram-socket.ts). It promises to pass on each
 * datagram that the kernel kept, and to know how many the kernel dropped.
 *
 * Of Bun's two interfaces for UDP, only node:dgram can set the receive buffer. It needs 1.5 CPU-µs per datagram.
 */
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { ListenError } from "../http/server.ts";
import { openUnixDatagramSocket } from "./unix-datagram-socket.ts";

/** Where to receive: a UDP port (0 chooses a free one), or the path of a Unix socket. */
export type DatagramAddress =
  | { readonly hostname: string; readonly port: number; readonly path?: undefined }
  | { readonly path: string };

export interface DatagramSocket {
  /** `udp://127.0.0.1:8125` or `unix:/run/weir/statsd.sock`. */
  readonly url: string;
  /** The size of its receive buffer as the kernel granted it, or undefined if the kernel uses another limit. */
  readonly bufferBytes?: number;
  /** How many datagrams the kernel dropped since the socket was opened, because the receive buffer was full. */
  droppedByKernel(): number;
  close(): void;
}

interface SocketHandlers {
  /** Gets each datagram. The bytes are valid during the call only. */
  onDatagram(bytes: Uint8Array): void;
  /** Gets each fault of the open socket. The socket goes on after it. */
  onFault(error: unknown): void;
}

/**
 * Opens a socket.
 *
 * @param bufferBytes the receive buffer of a UDP socket. The kernel grants at most net.core.rmem_max
 * @throws ListenError if it cannot be opened
 */
export async function openDatagramSocket(
  address: DatagramAddress,
  bufferBytes: number,
  handlers: SocketHandlers,
): Promise<DatagramSocket> {
  return address.path === undefined
    ? await openUdpSocket(address, bufferBytes, handlers)
    : await openUnixDatagramSocket(address.path, handlers);
}

async function openUdpSocket(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  bufferBytes: number,
  { onDatagram, onFault }: SocketHandlers,
): Promise<DatagramSocket> {
  const isV6 = hostname.includes(":");
  const host = isV6 ? `[${hostname}]` : hostname;
  const socket = createSocket(isV6 ? "udp6" : "udp4");
  try {
    await bound(socket, hostname, port);
  } catch (error) {
    throw new ListenError(`Cannot receive on udp://${host}:${port}: ${reasonOf(error)}.`);
  }
  socket.setRecvBufferSize(bufferBytes);
  socket.on("message", onDatagram);
  socket.on("error", onFault);
  const at = socket.address();
  const local = procAddress(at.address, at.port);
  return {
    url: `udp://${host}:${at.port}`,
    // Linux doubles the size, for what it counts beside the bytes themselves (socket(7), SO_RCVBUF).
    bufferBytes: process.platform === "linux" ? socket.getRecvBufferSize() / 2 : socket.getRecvBufferSize(),
    droppedByKernel: () => kernelDrops(isV6 ? "udp6" : "udp", local),
    close: () => void socket.close(),
  };
}

function bound(socket: Socket, address: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  socket.bind({ address, port, exclusive: true }, () => {
    socket.off("error", reject);
    resolve();
  });
  return promise;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case "EADDRINUSE":
      return "another process receives there";
    case "EACCES":
      return "permission denied";
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return "this machine has no such address";
    default:
      return message ?? String(error);
  }
}

/**
 * The column `drops` of a socket in /proc/net/udp (proc(5)). 0 where there is no such file. The kernel also reports it
 * beside each datagram (SO_RXQ_OVFL), which Bun cannot read.
 */
function kernelDrops(table: "udp" | "udp6", local: string): number {
  let text: string;
  try {
    text = readFileSync(`/proc/net/${table}`, "latin1");
  } catch {
    return 0;
  }
  for (const line of text.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === local) return Number(fields.at(-1));
  }
  return 0;
}

/** An address as /proc/net/udp spells it: 32-bit words in the order of a little-endian machine, and the port. */
export function procAddress(address: string, port: number): string {
  const bytes = address.includes(":") ? bytesOfV6(address) : address.split(".").map(Number);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) words.push(hex(bytes.slice(at, at + 4).reverse(), 2));
  return `${words.join("")}:${hex([port], 4)}`;
}

/** The 16 bytes of an IPv6 address without an embedded IPv4 address. */
function bytesOfV6(address: string): number[] {
  const [head = "", tail] = address.replace(/%.*$/, "").split("::");
  const groups = (part: string) => part.split(":").filter((group) => group !== "");
  const [first, last] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  return [...first, ...zeros, ...last].flatMap((group) => {
    const word = Number.parseInt(group, 16);
    return [word >> 8, word & 255];
  });
}

function hex(numbers: readonly number[], digits: number): string {
  return numbers.map((each) => each.toString(16).toUpperCase().padStart(digits, "0")).join("");
}
