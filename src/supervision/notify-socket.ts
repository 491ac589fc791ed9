/**
 * Messages to the supervisor that started this process, as sd_notify(3) sends them: lines of `NAME=value` in a Unix datagram
 * to the address in `NOTIFY_SOCKET`. The address is a path, or an abstract name that begins with `@`.
 */
import {
  abstractAddress,
  openSocketLibrary,
  type SocketLibrary,
  unixAddress,
} from "../wire/sockets/socket-library.ts";
import { SOCKET_PATH_BYTES_MAX } from "../wire/sockets/socket-library.ts";

/** Sends the lines of a message. Throws an error that says why they were not sent. */
export type Notify = (lines: readonly string[]) => Promise<void>;

/** The supervisor reads its messages within milliseconds. It may be busy when many services start. */
const TRIES_MAX = 100;
const RETRY_MS = 20;

/**
 * Returns a function that sends messages, or undefined if no supervisor wants any.
 *
 * @param address the variable `NOTIFY_SOCKET`
 * @throws Error if messages cannot be sent to the address
 */
export function openNotifySocket(address: string | undefined): Notify | undefined {
  if (address === undefined || address === "") return undefined;
  const library = openSocketLibrary();
  if (library === undefined) throw new Error("Unix datagrams need Linux with glibc");
  const bytes = Buffer.byteLength(address);
  if (bytes >= SOCKET_PATH_BYTES_MAX)
    throw new Error(`the address has ${bytes} bytes, at most ${SOCKET_PATH_BYTES_MAX - 1} are accepted`);
  if (!/^[/@]./.test(address)) throw new Error("the address is neither a path nor an abstract name");
  const target = address.startsWith("@") ? abstractAddress(address.slice(1)) : unixAddress(address);
  return (lines) => sendMessage(library, target, lines);
}

async function sendMessage(library: SocketLibrary, target: Buffer, lines: readonly string[]): Promise<void> {
  // A line break in a value would begin another line.
  const message = Buffer.from(lines.map((line) => line.replaceAll(/\s+/g, " ")).join("\n"));
  for (let tries = 1; ; tries++) {
    const problem = library.sendOnce(target, message);
    if (problem === undefined) return;
    if (problem !== "full" || tries === TRIES_MAX) throw new Error(`a message was not sent: ${problem}`);
    await Bun.sleep(RETRY_MS);
  }
}
