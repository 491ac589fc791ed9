/**
 * The sockets: serves an application on one or several addresses, and stops without cutting anybody off.
 *
 * `stop` first closes the doors and the connections that are idle, then waits for the requests under way, and
 * after its time closes what is left.
 */
import { chmodSync, rmSync, statSync } from "node:fs";
import type { App } from "./app.ts";
import type { Log } from "./log.ts";
import { isStream } from "./stream.ts";

/** Where to listen: a TCP address (port 0 takes a free one), or the path of a Unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number; readonly path?: undefined }
  | { readonly path: string };

export interface Listener {
  /** Where it listens, in the order of the addresses: `http://127.0.0.1:9091`, `unix:/run/weir.sock`. */
  readonly urls: readonly string[];
  /**
   * Stops. Resolves when every connection is closed, to the number of requests that were cut off because
   * they were not done after `timeoutMs`.
   */
  stop(timeoutMs: number): Promise<number>;
}

/** An address cannot be listened on; the message names it and says why. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** With no request under way for so long, what is still open is closed: its last answer has long been sent. */
const QUIET_MS = 250;
const POLL_MS = 25;
/** Once told to close, Bun may still wait for a handler that does not heed its signal. */
const FORCED_WAIT_MS = 250;

export interface ListenOptions {
  readonly log: Log;
  /**
   * Seconds that a connection may stay without a request, and that a client may take for an answer; 240 if
   * absent. Bun allows 255; clients such as Prometheus close theirs after 90, and so never find it closed.
   */
  readonly idleTimeoutS?: number;
  /** Mode of Unix sockets; what the umask leaves if absent. To connect to one takes the right to write. */
  readonly socketMode?: number;
}

/** Listens on all of the addresses, or on none and throws `ListenError`. */
export async function listen(
  app: App,
  addresses: readonly Address[],
  { log, idleTimeoutS = 240, socketMode }: ListenOptions,
): Promise<Listener> {
  const servers: Bun.Server<undefined>[] = [];

  const options = {
    // Its error pages show sources and stacks.
    development: false,
    // Bun turns larger bodies away with an empty answer. Ours (src/http/body.ts) says why, and Bun reads no
    // further than a handler does, so that this costs no memory.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request: Request, server: Bun.Server<undefined>): Promise<Response> {
      // Bun's own idle time cuts off handlers that wait and bodies that crawl; each has its deadline here.
      server.timeout(request, 0);
      const response = await app.fetch(request);
      // Else the connection would have no limit from here on, with or without a next request.
      if (!isStream(response)) server.timeout(request, idleTimeoutS);
      return response;
    },
    error(error: unknown): Response {
      log.error("a request failed outside of the application", { error: String(error) });
      return new Response(null, { status: 500 });
    },
  };

  const closeAll = (force: boolean) => Promise.all(servers.map((server) => server.stop(force)));

  try {
    for (const address of addresses) servers.push(await open(address, options, socketMode));
  } catch (error) {
    await closeAll(true);
    throw error;
  }

  return {
    urls: servers.map((server, i) => urlOf(addresses[i], server)),
    async stop(timeoutMs) {
      const closed = closeAll(false);
      const pending = () => servers.reduce((sum, server) => sum + server.pendingRequests, 0);
      // A client that was answered before its body was read may go on sending it: that is no request to wait for.
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

type ServeOptions = Pick<Bun.Serve.Options<undefined>, "development" | "maxRequestBodySize" | "error"> & {
  fetch(request: Request, server: Bun.Server<undefined>): Promise<Response>;
};

async function open(
  address: Address,
  options: ServeOptions,
  socketMode: number | undefined,
): Promise<Bun.Server<undefined>> {
  if (address.path !== undefined) await removeStaleSocket(address.path);
  try {
    // Bun 1.4 shares the port with whoever else asks for that, each with a part of the requests, where
    // `development` is off and this is not said.
    if (address.path === undefined)
      return Bun.serve({ ...options, hostname: address.hostname, port: address.port, reusePort: false });
    const server = Bun.serve({ ...options, unix: address.path });
    if (socketMode !== undefined) chmodSync(address.path, socketMode);
    return server;
  } catch (error) {
    throw new ListenError(`Cannot listen on ${nameOf(address)}: ${reasonOf(error)}.`);
  }
}

const IN_USE = "another process listens there; stop it, or give --listen another address";

/** A process that was killed leaves its socket behind, and Bun takes any file for an address in use. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ListenError(`Cannot listen on unix:${path}: there is a file that is no socket.`);
  const answered = await Bun.connect({ unix: path, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  if (answered) throw new ListenError(`Cannot listen on unix:${path}: ${IN_USE}.`);
  rmSync(path, { force: true });
}

function nameOf(address: Address): string {
  if (address.path !== undefined) return `unix:${address.path}`;
  return `${address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname}:${address.port}`;
}

function urlOf(address: Address, server: Bun.Server<undefined>): string {
  if (address.path !== undefined) return nameOf(address);
  return `http://${nameOf({ hostname: address.hostname, port: server.port ?? address.port })}`;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case "EADDRINUSE":
      return IN_USE;
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
