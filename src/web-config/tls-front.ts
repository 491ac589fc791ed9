/**
 * Accepts TLS connections on an address, each with the certificate of that moment, and passes on their sockets when the
 * handshake is done and the client's certificate is as expected.
 *
 * Bun.serve keeps the certificate with which it started (Bun 1.4.5, also with `server.reload`), so TLS ends here.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { TlsVersion } from "./certificates.ts";
import { certificateRequest, clientFault } from "./client-certificates.ts";

/** What a handshake may take. Clients on slow networks take a second. */
const HANDSHAKE_MS = 10_000;

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
    this.#server = createServer({ noDelay: true }, (raw) => this.#accept(raw));
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
    for (const socket of this.#handshakes) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Cuts all connections. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(raw: Socket): void {
    const { version: current, protocols, onConnection, onFault, handshakeMs = HANDSHAKE_MS } = this.#options;
    const version = current();
    this.#sockets.add(raw);
    this.#handshakes.add(raw);
    raw.once("close", () => {
      this.#sockets.delete(raw);
      this.#handshakes.delete(raw);
    });
    raw.on("error", () => undefined);
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: version.context,
      ...certificateRequest(version),
      ALPNProtocols: [...protocols],
    });
    const timer = setTimeout(() => {
      onFault("timeout", `the handshake was not done after ${handshakeMs} ms`);
      socket.destroy();
      raw.destroy();
    }, handshakeMs);
    let isDone = false;
    socket.once("close", () => {
      clearTimeout(timer);
      raw.destroy();
    });
    socket.on("error", (error: Error & { code?: string }) => {
      // Later faults are those of a connection, such as a reset.
      if (!isDone) onFault(causeOf(error.code ?? "", socket), error.message);
      isDone = true;
      socket.destroy();
    });
    socket.once("secure", () => {
      clearTimeout(timer);
      isDone = true;
      this.#handshakes.delete(raw);
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
  if (/HTTP_REQUEST|WRONG_VERSION_NUMBER/.test(code)) return "no_tls";
  if (/CERT|SIGNATURE|ISSUER|VERIFY/.test(code) || authorizationError) return "client_certificate";
  return "other";
}
