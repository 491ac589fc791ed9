/** Receives Graphite's lines at each address over TCP and, at the same port, over UDP. */
import { listenError } from "../../http/server.ts";
import type { Counters } from "../../model/counters.ts";
import { quote } from "../../model/errors.ts";
import type { Service } from "../../model/service.ts";
import type { DatagramAddress } from "../../wire/sockets/datagram-socket.ts";
import { type LineServer, openLineServer } from "../../wire/sockets/line-server.ts";
import { DatagramService } from "../datagram-service.ts";
import type { TextIntake } from "../text-intake.ts";
import { type GraphiteDecoder, LINE_BYTES_MAX, longLine } from "./graphite.ts";
import { GRAPHITE } from "./graphite-protocol.ts";

interface GraphiteServiceOptions {
  readonly addresses: readonly DatagramAddress[];
  readonly intake: TextIntake;
  readonly decoder: GraphiteDecoder;
  readonly connectionsMax: number;
  readonly idleMs: number;
  readonly bufferBytes: number;
  readonly stopTimeoutMs: number;
  readonly counters: Counters;
}

/** Of the time in which the gateway stops, for reading connections. */
const SHARE_OF_STOP = 1 / 8;

export class GraphiteService implements Service {
  readonly #options: GraphiteServiceOptions;
  readonly #servers: LineServer[] = [];
  #datagrams: DatagramService | undefined;

  constructor(options: GraphiteServiceOptions) {
    this.#options = options;
  }

  get urls(): readonly string[] {
    const tcp = this.#servers.map(({ hostname, port }) => {
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      return `tcp://${host}:${port}`;
    });
    return [...tcp, ...(this.#datagrams?.urls ?? [])];
  }

  async start(onFault: (error: unknown) => void): Promise<void> {
    const { addresses, intake, bufferBytes, counters } = this.#options;
    intake.start(onFault);
    const bound: DatagramAddress[] = [];
    for (const address of addresses) {
      if (address.path !== undefined)
        throw new Error(`Cannot receive Graphite on unix:${address.path}: expected HOST:PORT.`);
      const server = this.#listen(address.hostname, address.port);
      this.#servers.push(server);
      bound.push({ hostname: address.hostname, port: server.port });
    }
    const protocol = GRAPHITE.name;
    this.#datagrams = new DatagramService({ protocol, addresses: bound, intake, bufferBytes, counters });
    await this.#datagrams.start(onFault);
  }

  async stop(): Promise<void> {
    const timeoutMs = SHARE_OF_STOP * this.#options.stopTimeoutMs;
    await Promise.all(this.#servers.map((server) => server.stop(timeoutMs)));
    this.#servers.length = 0;
    await this.#datagrams?.stop();
    this.#datagrams = undefined;
    await this.#options.intake.stop();
  }

  #listen(hostname: string, port: number): LineServer {
    const { intake, decoder, connectionsMax, idleMs, counters } = this.#options;
    const reject = (cause: string, reason: string, start: Uint8Array) => {
      decoder.rejectLine(cause, reason, start);
      intake.runSoon();
    };
    try {
      return openLineServer(
        hostname,
        port,
        { lineBytesMax: LINE_BYTES_MAX, connectionsMax, idleMs },
        {
          onLines: (bytes, from, length) => intake.add(bytes, from, length),
          room: () => intake.room,
          onLongLine: (start) => reject("line", longLine(), start),
          onCutLine(rest) {
            const text = quote(Buffer.from(rest.subarray(0, 1_000)).toString());
            reject("syntax", `the connection ended after ${text}, expected the end of the line`, rest);
          },
          isOtherProtocol,
          onClosed: (cause) => counters.connectionsClosed.inc({ protocol: GRAPHITE.name, cause }),
        },
      );
    } catch (error) {
      throw listenError({ hostname, port }, error, "--graphite-listen");
    }
  }
}

/**
 * Whether a connection begins like HTTP or TLS, so that a browser has opened it. A web page can send requests to any port,
 * and can write lines into their bodies, and into the beginning of TLS. No path of Graphite is followed by a slash.
 */
function isOtherProtocol(start: Uint8Array): boolean {
  return start[0] === TLS_HANDSHAKE || /^[A-Z]+ \//.test(Buffer.from(start).toString("latin1"));
}

const TLS_HANDSHAKE = 0x16;
