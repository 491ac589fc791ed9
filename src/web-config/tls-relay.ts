/**
 * Passes the bytes of a TLS connection, decrypted, to a plain server on a port of loopback, and its answers back.
 *
 * The server must not serve other connections to that port, because other users of the machine can make them too. It
 * recognises a relayed one by the port from which it comes.
 */
import type { TLSSocket } from "node:tls";
import { nodeNet } from "../program/deferred-libraries.ts";

/** How long a client may take to read the last bytes, after the server has closed the connection. */
const LAST_BYTES_MS = 60_000;

/** The connections that are relayed to one server, by the port that they come from. */
export class TlsRelay {
  readonly #clients = new Map<number, TLSSocket>();

  /** The client behind a connection. Undefined if it was not relayed. */
  clientOf(port: number | undefined): TLSSocket | undefined {
    return port === undefined ? undefined : this.#clients.get(port);
  }

  /** Relays a connection until one side closes it. */
  join(client: TLSSocket, serverPort: number): void {
    const server = nodeNet().connect({ host: "127.0.0.1", port: serverPort, noDelay: true });
    let from: number | undefined;
    // Before the port is free for others.
    const forget = () => {
      if (from !== undefined) this.#clients.delete(from);
      from = undefined;
    };
    server.once("connect", () => {
      if (client.destroyed) {
        server.destroy();
        return;
      }
      from = server.localPort!;
      this.#clients.set(from, client);
      client.pipe(server);
      server.pipe(client);
    });
    server.once("end", () => {
      forget();
      // What the server sent last is still written. A client that does not read it must not stay.
      client.setTimeout(LAST_BYTES_MS, () => client.destroy());
    });
    server.once("error", () => {
      forget();
      client.destroy();
    });
    server.once("close", forget);
    client.once("close", () => {
      forget();
      server.destroy();
    });
  }
}
