/**
 * Accepts TLS connections on an address, each with the certificate of that moment, and passes on their sockets when the
 * handshake is done and the client's certificate is as expected.
 *
 * Bun.serve keeps the certificate with which it started (Bun 1.4.5, also with `server.reload`), so TLS ends here.
 */
import type { AddressInfo, Server, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { nodeNet, nodeTls } from "../program/deferred-libraries.ts";
import type { TlsVersion } from "./certificates.ts";
import { certificateRequest, clientFault } from "./client-certificates.ts";

/** What a handshake may take. Clients on slow networks take a second. */
const HANDSHAKE_MS = 10_000;

/** The first byte of a client that begins a handshake (RFC 8446, section 5.1). */
const HANDSHAKE_RECORD = 22;
/** As clear as an answer can be to a client of HTTP, whatever its version. */
const NO_TLS =
  "HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n" +
  "This address serves TLS only: use https.\n";

/** Why a connection was closed before it was passed on. */
export type TlsFaultCause = "no_tls" | "client_certificate" | "timeout" | "other";

/** The TLS of a listener. */
export interface ListenerTls {
  /** The certificate and the rules for the next connection. */
  readonly version: () => TlsVersion;
  /** Whether HTTP/2 is offered, where that is a choice. */
  readonly http2: boolean;
  /** Gets each connection that was closed in its handshake, with the reason in the words of the TLS library. */
  readonly onFault: (cause: TlsFaultCause, reason: string) => void;
}

interface TlsFrontOptions extends Omit<ListenerTls, "http2"> {
  /** The protocols that clients may choose from (ALPN), the preferred first. */
  readonly protocols: readonly string[];
  readonly onConnection: (socket: TLSSocket) => void;
  /** The default is `HANDSHAKE_MS`. */
  readonly handshakeMs?: number;
}

export class TlsFront {
  readonly #options: TlsFrontOptions;
  readonly #sockets = new Set<Socket>();
  readonly #handshakes = new Set<Socket>();
  readonly #server: Server;

  constructor(options: TlsFrontOptions) {
    this.#options = options;
    this.#server = nodeNet().createServer({ noDelay: true }, (raw) => this.#accept(raw));
  }

  /** Resolves when the address accepts connections. Throws the error of the system if it cannot. */
  async listen(address: { readonly hostname: string; readonly port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen({ host: address.hostname, port: address.port }, resolve);
    try {
      await promise;
    } finally {
      this.#server.off("error", reject);
    }
    this.#server.on("error", (error) => this.#options.onFault("other", error.message));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Accepts no more connections, and cuts those whose handshake is not done. The others go on. Resolves when all are
   * closed.
   */
  close(): Promise<void> {
    const cut = [...this.#handshakes];
    this.#handshakes.clear();
    for (const socket of cut) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Cuts all connections. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(raw: Socket): void {
    const { onFault, handshakeMs = HANDSHAKE_MS } = this.#options;
    this.#sockets.add(raw);
    this.#handshakes.add(raw);
    const timer = setTimeout(() => {
      done();
      onFault("timeout", `the handshake was not done after ${handshakeMs} ms`);
      raw.destroy();
    }, handshakeMs);
    const done = () => {
      clearTimeout(timer);
      this.#handshakes.delete(raw);
    };
    raw.once("close", () => {
      done();
      this.#sockets.delete(raw);
    });
    raw.on("error", () => undefined);
    raw.once("readable", () => {
      const first = raw.read() as Buffer | null;
      if (first === null) return;
      if (first[0] === HANDSHAKE_RECORD) {
        raw.unshift(first);
        this.#shakeHands(raw, done);
        return;
      }
      done();
      onFault("no_tls", "the client sent no TLS");
      raw.end(NO_TLS);
      // A reset while a body arrives would discard the answer.
      raw.resume();
      setTimeout(() => raw.destroy(), handshakeMs).unref();
    });
  }

  #shakeHands(raw: Socket, done: () => void): void {
    const { version: current, protocols, onConnection, onFault } = this.#options;
    const version = current();
    const socket = new (nodeTls().TLSSocket)(raw, {
      isServer: true,
      secureContext: version.context,
      ...certificateRequest(version),
      ALPNProtocols: [...protocols],
    });
    let isDone = false;
    socket.once("close", () => raw.destroy());
    socket.on("error", (error: Error & { code?: string }) => {
      // Later faults are those of a connection, such as a reset. A connection that the gateway cut is no fault.
      if (!isDone && this.#handshakes.has(raw)) onFault(causeOf(error.code ?? "", socket), error.message);
      isDone = true;
      socket.destroy();
    });
    socket.once("secure", () => {
      done();
      isDone = true;
      const fault = clientFault(socket, version);
      if (fault === undefined) {
        onConnection(socket);
        return;
      }
      onFault("client_certificate", fault);
      socket.destroy();
    });
  }
}

function causeOf(code: string, { authorizationError }: TLSSocket): TlsFaultCause {
  if (/CERT|SIGNATURE|ISSUER|VERIFY/.test(code) || authorizationError) return "client_certificate";
  return "other";
}
