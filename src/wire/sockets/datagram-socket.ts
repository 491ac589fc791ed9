/**
 * Opens a socket that receives datagrams: UDP, or Unix datagrams. It promises to pass on each datagram that the kernel
 * kept, and to know how many the kernel dropped.
 */
import { readFileSync } from "node:fs";
import { nodeDns } from "../../program/deferred-libraries.ts";
import { type DatagramHandlers, DatagramReader } from "./datagram-reader.ts";
import { openPortableUdpSocket } from "./portable-udp-socket.ts";
import { internetAddress, openSocketLibrary, type SocketLibrary } from "./socket-library.ts";
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
  /** Passes on what the kernel has, before a close. */
  readRest(): void | Promise<void>;
  close(): void;
}

/**
 * Opens a socket.
 *
 * @param bufferBytes the wanted receive buffer of a UDP socket
 * @throws Error if it cannot be opened. The message names the address and the reason
 */
export async function openDatagramSocket(
  address: DatagramAddress,
  bufferBytes: number,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const url = address.path === undefined ? udpUrl(address.hostname, address.port) : `unix:${address.path}`;
  try {
    const library = openSocketLibrary();
    if (address.path !== undefined) {
      if (library === undefined) throw new Error("Unix datagrams need Linux with glibc");
      return await openUnixDatagramSocket(library, address.path, handlers);
    }
    // Senders that know a name mostly use its IPv4 address.
    const found = await nodeDns().lookup(address.hostname, { all: true });
    const { address: ip } = found.find(({ family }) => family === 4) ?? found[0]!;
    return library === undefined
      ? await openPortableUdpSocket(ip, address.port, bufferBytes, handlers)
      : await openUdpSocket(library, ip, address.port, bufferBytes, handlers);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const reason = code === "ENOTFOUND" ? "this machine has no such address" : message;
    throw new Error(`Cannot receive on ${url}: ${reason}.`);
  }
}

/** @param ip an address in digits */
async function openUdpSocket(
  library: SocketLibrary,
  ip: string,
  wantedPort: number,
  wantedBytes: number,
  handlers: DatagramHandlers,
): Promise<DatagramSocket> {
  const bytes = ipBytes(ip);
  const fd = library.open(internetAddress(bytes, wantedPort));
  const reader = new DatagramReader(library, fd, handlers);
  const close = () => {
    reader.close();
    library.close(fd);
  };
  try {
    const bufferBytes = library.setReceiveBuffer(fd, wantedBytes);
    const port = library.port(fd);
    await reader.open();
    const table = bytes.length === 16 ? "udp6" : "udp";
    const local = procAddress(ip, port);
    return {
      url: udpUrl(ip, port),
      bufferBytes,
      droppedByKernel: () => kernelDrops(table, local),
      readRest: () => reader.readRest(),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function udpUrl(host: string, port: number): string {
  return `udp://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * The column `drops` of a socket in /proc/net/udp (proc(5)). 0 where there is no such file.
 *
 * @param local the socket's address as `procAddress` spells it
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
export function procAddress(ip: string, port: number): string {
  const bytes = ipBytes(ip);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) words.push(hex(bytes.slice(at, at + 4).reverse(), 2));
  return `${words.join("")}:${hex([port], 4)}`;
}

/** The 4 or 16 bytes of an IP address in digits. */
export function ipBytes(ip: string): number[] {
  if (!ip.includes(":")) return ip.split(".").map(Number);
  // An IPv4 address at the end is two groups.
  const plain = ip.replace(/%.*$/, "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const word = (high: string, low: string) => (256 * Number(high) + Number(low)).toString(16);
    return `${word(parts[0]!, parts[1]!)}:${word(parts[2]!, parts[3]!)}`;
  });
  const [head = "", tail = ""] = plain.split("::");
  const groups = (part: string) => part.split(":").filter((group) => group !== "");
  const [first, last] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  return [...first, ...zeros, ...last].flatMap((group) => {
    const word = Number.parseInt(group, 16);
    return [word >> 8, word & 255];
  });
}

function hex(numbers: readonly number[], digits: number): string {
  return numbers.map((each) => each.toString(16).toUpperCase().padStart(digits, "0")).join("");
}
