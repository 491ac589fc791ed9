/** A UDP socket of node:dgram, for systems without glibc. It cannot tell what the kernel dropped. */
import { nodeDgram } from "../../program/deferred-libraries.ts";
import type { DatagramHandlers } from "./datagram-reader.ts";
import type { DatagramSocket } from "./datagram-socket.ts";

/** After this many turns of the event loop without a datagram, the kernel has no more. */
const QUIET_TURNS = 3;
const TURNS_MAX = 100;

/** Opens a socket at an IP address in digits. Throws an error that says the reason. */
export async function openPortableUdpSocket(
  ip: string,
  wantedPort: number,
  wantedBytes: number,
  { onDatagram, onFault }: DatagramHandlers,
): Promise<DatagramSocket> {
  const isV6 = ip.includes(":");
  const socket = nodeDgram().createSocket(isV6 ? "udp6" : "udp4");
  const { promise: bound, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  socket.bind({ address: ip, port: wantedPort, exclusive: true }, resolve);
  await bound;
  socket.off("error", reject);
  socket.on("error", onFault);
  let received = 0;
  socket.on("message", (bytes) => {
    received++;
    onDatagram(bytes, 0, bytes.length);
  });
  socket.setRecvBufferSize(wantedBytes);
  const { port } = socket.address();
  return {
    url: `udp://${isV6 ? `[${ip}]` : ip}:${port}`,
    bufferBytes: socket.getRecvBufferSize(),
    droppedByKernel: () => 0,
    async readRest() {
      for (let [quiet, turns] = [0, 0]; quiet < QUIET_TURNS && turns < TURNS_MAX; turns++) {
        const before = received;
        await Bun.sleep(1);
        quiet = received === before ? quiet + 1 : 0;
      }
    },
    close: () => void socket.close(),
  };
}
