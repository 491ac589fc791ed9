/**
 * Serves an application on one or several addresses, and stops without cutting off requests.
 *
 * `stop` first closes the listeners and idle connections, then waits for the requests in progress, and closes the
 * remaining connections after a timeout.
 *
 * With TLS, it ends in front of Bun's server, which is then on a port of loopback of its own. Unix sockets have no TLS.
 */
import { chmodSync, rmSync, statSync } from "node:fs";
import { type ListenerTls, TlsFront } from "../web-config/tls-front.ts";
import { TlsRelay } from "../web-config/tls-relay.ts";
import type { ClientSocket } from "../access/gate.ts";
import type { App } from "./app.ts";
import { describeFault } from "../log/line.ts";
import type { Log } from "../log/log.ts";
import { isStream } from "./stream.ts";

/** An address to listen on: TCP (port 0 chooses a free one), or the path of a Unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number; readonly path?: undefined }
  | { readonly path: string };

export interface Listener {
  /** The URLs of the listeners, in the order of the addresses: `http://127.0.0.1:9091`, `unix:/run/weir.sock`. */
  readonly urls: readonly string[];
  /**
   * Stops. Resolves when every connection is closed, to the number of requests that were cut off because they were
   * not done after `timeoutMs`.
   */
  stop(timeoutMs: number): Promise<number>;
}

/** The gateway cannot listen on an address. The message names the address and the reason. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/**
 * When no request was in progress for this time, the remaining connections are closed. Their last answer has been
 * sent.
 */
const QUIET_MS = 250;
const POLL_MS = 25;
/** After a forced close, Bun may still wait for a handler that ignores its abort signal. */
const FORCED_WAIT_MS = 250;

interface ListenOptions {
  readonly log: Log;
  /**
   * Seconds that a connection may be idle, and that a client may take to read an answer; 240 by default. Bun allows
   * 255. Clients such as Prometheus close idle connections after 90 s, so they never use one that was closed here.
   */
  readonly idleTimeoutS?: number;
  /** Mode of Unix sockets; by default the umask decides. Connecting to a socket requires write permission. */
  readonly socketMode?: number;
  /** The flag that sets the addresses, for errors; `--listen` by default. */
  readonly flag?: string;
  /** Undefined for HTTP without TLS. */
  readonly tls?: ListenerTls;
}

/** A server on one address. */
interface Opened {
  readonly url: string;
  readonly server: Bun.Server<undefined>;
  /** Accepts no more connections, and resolves when those that exist are closed. Cuts them if `force` is true. */
  stop(force: boolean): Promise<void>;
}

/** Listens on all of the addresses, or on none and throws `ListenError`. */
export async function listen(
  app: App,
  addresses: readonly Address[],
  { log, idleTimeoutS = 240, socketMode, flag = "--listen", tls }: ListenOptions,
): Promise<Listener> {
  const servers: Opened[] = [];
  const sockets = new WeakMap<Bun.Server<undefined>, ClientSocket>();

  const options = {
    // Otherwise error pages show sources and stacks.
    development: false,
    // Bun answers a body that is too large with an empty answer. Ours (src/http/body.ts) says why. Bun reads no
    // further than a handler does, so this costs no memory.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(
      request: Request,
      server: Bun.Server<undefined>,
      socket: ClientSocket = sockets.getOrInsertComputed(server, socketOf),
    ): Promise<Response> {
      // Bun's idle timeout would cut off handlers that wait and bodies that arrive slowly. Both have their own
      // deadlines here.
      server.timeout(request, 0);
      const response = await app.fetch(request, socket);
      // Otherwise the connection would have no timeout from here on, with or without another request.
      if (!isStream(response)) server.timeout(request, idleTimeoutS);
      return response;
    },
    error(error: unknown): Response {
      log("request_failed", { error: describeFault(error) });
      return new Response(null, { status: 500 });
    },
  };

  const closeAll = (force: boolean) => Promise.all(servers.map((server) => server.stop(force)));

  try {
    for (const address of addresses) {
      const isTls = tls !== undefined && address.path === undefined;
      servers.push(
        await (isTls ? openTls(address, options, flag, tls) : open(address, options, flag, socketMode)),
      );
    }
  } catch (error) {
    await closeAll(true);
    throw error;
  }

  return {
    urls: servers.map(({ url }) => url),
    async stop(timeoutMs) {
      const closed = closeAll(false);
      const pending = () => servers.reduce((sum, { server }) => sum + server.pendingRequests, 0);
      // A client that was answered before its body was read may continue to send it. That is not a request to wait
      // for.
      let quietMs = 0;
      for (const endMs = Date.now() + timeoutMs; Date.now() < endMs && quietMs < QUIET_MS; ) {
        if (await within(closed, POLL_MS)) return 0;
        quietMs = pending() === 0 ? quietMs + POLL_MS : 0;
      }
      const left = pending();
      await within(closeAll(true), FORCED_WAIT_MS);
      return left;
    },
  };
}

/** The socket of a server. Its port is kept, because Bun asks the system for it each time. */
function socketOf(server: Bun.Server<undefined>): ClientSocket {
  return { port: server.port, requestIP: (request) => server.requestIP(request) };
}

type ServeOptions = Pick<Bun.Serve.Options<undefined>, "development" | "maxRequestBodySize" | "error"> & {
  fetch(request: Request, server: Bun.Server<undefined>, socket?: ClientSocket): Promise<Response>;
};

async function open(
  address: Address,
  options: ServeOptions,
  flag: string,
  socketMode: number | undefined,
): Promise<Opened> {
  if (address.path !== undefined) await removeStaleSocket(address.path, flag);
  try {
    // Without `reusePort: false`, Bun 1.4 shares the port with other processes that do the same, if `development` is
    // off. Each process then gets a part of the requests.
    const server =
      address.path === undefined
        ? Bun.serve({ ...options, hostname: address.hostname, port: address.port, reusePort: false })
        : Bun.serve({ ...options, unix: address.path });
    if (address.path !== undefined && socketMode !== undefined) chmodSync(address.path, socketMode);
    const url =
      address.path === undefined
        ? `http://${nameOf({ ...address, port: server.port ?? address.port })}`
        : nameOf(address);
    return { url, server, stop: (force) => server.stop(force) };
  } catch (error) {
    throw listenError(address, error, flag);
  }
}

/** Serves HTTPS: the front decrypts, and Bun's server gets plain connections from it alone. */
async function openTls(
  address: Extract<Address, { port: number }>,
  options: ServeOptions,
  flag: string,
  { version, http2, onFault }: ListenerTls,
): Promise<Opened> {
  const relay = new TlsRelay();
  const clientOf = (request: Request) => relay.clientOf(server.requestIP(request)?.port);
  const server: Bun.Server<undefined> = Bun.serve({
    ...options,
    async fetch(request: Request) {
      if (clientOf(request) === undefined)
        return new Response(null, { status: 403, headers: { connection: "close" } });
      return await options.fetch(request, server, socket);
    },
    hostname: "127.0.0.1",
    port: 0,
    reusePort: false,
    http2,
  });
  const front = new TlsFront({
    version,
    protocols: http2 ? ["h2", "http/1.1"] : ["http/1.1"],
    onConnection: (socket) => relay.join(socket, server.port!),
    onFault,
  });
  const socket: ClientSocket = {
    port: server.port,
    isTls: true,
    requestIP(request) {
      const address = clientOf(request)?.remoteAddress;
      return address === undefined ? null : { address };
    },
  };
  try {
    await front.listen(address);
  } catch (error) {
    await server.stop(true);
    throw listenError(address, error, flag);
  }
  return {
    url: `https://${nameOf({ ...address, port: front.port })}`,
    server,
    async stop(force) {
      const closed = front.close();
      await server.stop(force);
      if (force) front.destroy();
      await closed;
    },
  };
}

/**
 * The error for an address that the system did not allow to listen on.
 *
 * @param flag the flag that sets the address, for advice: `--listen`
 */
export function listenError(address: Address, error: unknown, flag: string): ListenError {
  return new ListenError(`Cannot listen on ${nameOf(address)}: ${reasonOf(error, flag)}.`);
}

function inUse(flag: string): string {
  return `another process listens there; stop it, or give ${flag} another address`;
}

/**
 * Prepares the path of a Unix socket: a killed process leaves its socket behind, and Bun reports any existing file as an
 * address in use.
 *
 * @throws ListenError if the path is not a socket, or another process listens there
 */
export async function removeStaleSocket(path: string, flag: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ListenError(`Cannot listen on unix:${path}: the path exists and is not a socket.`);
  const answered = await Bun.connect({ unix: path, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  if (answered) throw new ListenError(`Cannot listen on unix:${path}: ${inUse(flag)}.`);
  rmSync(path, { force: true });
}

/** An address as people write it: `127.0.0.1:9091`, `[::1]:9091`, `unix:/run/weir.sock`. */
export function nameOf(address: Address): string {
  if (address.path !== undefined) return `unix:${address.path}`;
  return `${address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname}:${address.port}`;
}

function reasonOf(error: unknown, flag: string): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case "EADDRINUSE":
      return inUse(flag);
    case "EACCES":
      return "permission denied";
    case "EADDRNOTAVAIL":
    case "ENOTCONN":
      return "this machine has no such address";
    default:
      return message ?? String(error);
  }
}

/** Whether the promise settles in time. */
async function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
