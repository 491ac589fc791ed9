/**
 * A listener for unary gRPC methods, over HTTP/2 with or without TLS
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 *
 * - A connection may have `STREAMS_MAX` requests in progress. Their messages share the memory for bodies with the other
 *   listeners. A connection without traffic is closed after `IDLE_MS`; clients connect again by themselves.
 * - `stop` accepts no new connections and requests, and waits for the requests in progress, at most half of
 *   `stopTimeoutMs`.
 */
import { chmodSync, rmSync } from "node:fs";
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ClientSocket, RequestGate } from "../../../access/gate.ts";
import type { BodyLimits } from "../../../http/body.ts";
import type { RequestLogging } from "../../../http/app.ts";
import { describeFault } from "../../../log/line.ts";
import type { Log } from "../../../log/log.ts";
import { type Address, listenError, nameOf, removeStaleSocket } from "../../../http/server.ts";
import type { Counters } from "../../../model/counters.ts";
import { NotFound, quote, type RequestError, Unsupported } from "../../../model/errors.ts";
import type { Service } from "../../../model/service.ts";
import { nodeHttp2 } from "../../../program/deferred-libraries.ts";
import { type ListenerTls, TlsFront } from "../../../web-config/tls-front.ts";
import { answerCall, type GrpcMethod, metadataText } from "./grpc-call.ts";

/** Enough for a collector with many queues. gRPC clients wait, or connect again, when they reach it. */
const STREAMS_MAX = 128;
/** As for the connections of HTTP/1.1: `idleTimeoutS` of `listen`. */
const IDLE_MS = 240_000;

/** The names of the codes that are answered (https://grpc.io/docs/guides/status-codes/), for counters. */
const CODE_NAMES: Readonly<Record<number, string>> = {
  0: "OK",
  1: "CANCELLED",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  16: "UNAUTHENTICATED",
};

interface GrpcServiceOptions {
  /** Methods by path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  readonly addresses: readonly Address[];
  /** The flag that sets the addresses, for errors. */
  readonly flag: string;
  /** What a client that speaks no gRPC should do, a sentence. */
  readonly advice: string;
  readonly limits: BodyLimits;
  /**
   * Decides about each request, by its metadata. Every method is a push. Names of the
   * gateway are not checked: browsers use HTTP/2 with TLS only, where the certificate has the names.
   */
  readonly guard: RequestGate;
  readonly log: Log;
  readonly requestLogging: Pick<RequestLogging, "summary">;
  readonly counters: Pick<Counters, "grpcRequests">;
  readonly socketMode: number | undefined;
  /** Undefined for HTTP/2 without TLS. Unix sockets never have it. */
  readonly tls?: ListenerTls;
  readonly stopTimeoutMs: number;
  /** How long a connection may have no traffic; `IDLE_MS` by default. */
  readonly idleMs?: number;
}

interface OpenServer {
  readonly address: Address;
  readonly server: Http2Server;
  /** What accepts its connections if they have TLS. */
  readonly front: TlsFront | undefined;
}

export class GrpcService implements Service {
  readonly #options: GrpcServiceOptions;
  readonly #servers: OpenServer[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #calls = new Set<Promise<void>>();
  #warned = false;

  constructor(options: GrpcServiceOptions) {
    this.#options = options;
  }

  get urls(): readonly string[] {
    return this.#servers.map(({ server, front, address }) => {
      if (address.path !== undefined) return nameOf(address);
      if (front !== undefined) return `grpcs://${nameOf({ hostname: address.hostname, port: front.port })}`;
      const { port } = server.address() as AddressInfo;
      return `grpc://${nameOf({ hostname: address.hostname, port })}`;
    });
  }

  async start(onFault: (error: unknown) => void): Promise<void> {
    for (const address of this.#options.addresses) {
      const opened = await this.#listen(address);
      opened.server.on("error", onFault);
      this.#servers.push(opened);
    }
  }

  async stop(): Promise<void> {
    const closing = this.#servers.map(
      ({ server, front }) => front?.close() ?? new Promise<void>((resolve) => server.close(() => resolve())),
    );
    for (const session of this.#sessions) session.close();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, this.#options.stopTimeoutMs / 2);
    const ended = async () => {
      while (this.#calls.size > 0) await Promise.all(this.#calls);
      await Promise.all(closing);
    };
    await Promise.race([ended(), late.promise]);
    clearTimeout(timer);
    if (this.#calls.size > 0) this.#options.log("requests_cut_off", { requests: this.#calls.size });
    for (const session of this.#sessions) session.destroy();
    for (const { address, front } of this.#servers.splice(0)) {
      front?.destroy();
      if (address.path !== undefined) rmSync(address.path, { force: true });
    }
  }

  async #listen(address: Address): Promise<OpenServer> {
    const { flag, socketMode, tls } = this.#options;
    if (address.path !== undefined) await removeStaleSocket(address.path, flag);
    const server = nodeHttp2().createServer({ settings: { maxConcurrentStreams: STREAMS_MAX } });
    server.on("session", (session) => this.#open(session));
    server.on("stream", (stream, headers) => this.#answer(stream as ServerHttp2Stream, headers));
    server.on("sessionError", (error) => this.#warn(error));
    if (tls !== undefined && address.path === undefined) {
      const front = new TlsFront({
        ...tls,
        protocols: ["h2"],
        onConnection: (socket) => server.emit("connection", socket),
      });
      await front.listen(address).catch((error) => {
        throw listenError(address, error, flag);
      });
      return { address, server, front };
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen(
      address.path === undefined ? { host: address.hostname, port: address.port } : { path: address.path },
      resolve,
    );
    try {
      await promise;
    } catch (error) {
      throw listenError(address, error, flag);
    } finally {
      server.off("error", reject);
    }
    if (address.path !== undefined && socketMode !== undefined) chmodSync(address.path, socketMode);
    return { address, server, front: undefined };
  }

  #open(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.on("error", () => undefined);
    const { idleMs = IDLE_MS, limits } = this.#options;
    session.setTimeout(idleMs, () => {
      session.close();
      setTimeout(() => session.destroy(), limits.timeoutMs).unref();
    });
  }

  #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const type = headers["content-type"] ?? "";
    if (headers[":method"] !== "POST" || !/^application\/grpc(?:$|[+;])/.test(type)) {
      this.#reject(stream, headers[":method"] === "POST" ? 415 : 405);
      return;
    }
    const path = headers[":path"] ?? "";
    const { methods, limits, guard, log, counters } = this.#options;
    const known = methods.get(path);
    const isProtobuf = /^application\/grpc(?:$|;|\+proto(?:$|;))/.test(type);
    const method = isProtobuf ? (known ?? unknownMethod(path)) : unknownFormat(type);
    // A client can invent paths, so counters and the log have only known ones.
    const name = known === undefined ? "other" : path;
    const onBug = (error: unknown) =>
      log("request_failed", { method: "POST", path: name, error: describeFault(error) });
    const get = (name: string) => (name === "host" ? null : (metadataText(headers[name]) ?? null));
    const carrier = { url: path, method: "POST", headers: { get } };
    const route = { permission: "push", bound: "adds" } as const;
    const admit = async <T>(run: () => Promise<T>) => {
      const arrival = guard.receive(carrier, peerOf(stream));
      await guard.prepare(carrier, route, arrival);
      return await guard.admit(carrier, route, run, arrival);
    };
    const onRejected = ({ status, code, message }: RequestError) =>
      this.#options.requestLogging.summary?.noteRequest({ route: name, status, reason: code, message });
    const call = answerCall({ stream, headers, method, limits, admit, onRejected, onBug }).then((code) => {
      counters.grpcRequests.inc({ method: name, code: CODE_NAMES[code] ?? code });
      this.#calls.delete(call);
    });
    this.#calls.add(call);
  }

  /** Answers a request that is not gRPC. */
  #reject(stream: ServerHttp2Stream, status: number): void {
    stream.on("error", () => undefined);
    // It does not wait for the rest of a body.
    stream.once("finish", () => stream.close());
    stream.respond({ ":status": status, "content-type": "text/plain; charset=utf-8" });
    stream.end(`This address serves gRPC only. ${this.#options.advice}\n`);
  }

  /** Logs one line, because a client that sends HTTP/1.1 here sends it again and again. A lost connection is no fault. */
  #warn(error: NodeJS.ErrnoException): void {
    if (this.#warned || !error.code?.startsWith("ERR_HTTP2")) return;
    this.#warned = true;
    this.#options.log("grpc_connection_failed", {
      error: error.message,
      advice: this.#options.advice,
    });
  }
}

function peerOf(stream: ServerHttp2Stream): ClientSocket {
  const { localPort, remoteAddress: address } = stream.session?.socket ?? {};
  return { port: localPort, requestIP: () => (address === undefined ? null : { address }) };
}

function unknownFormat(type: string): GrpcMethod {
  const expected = "expected application/grpc or application/grpc+proto";
  return () => Promise.reject(new Unsupported(`content-type ${quote(type)} is not supported, ${expected}.`));
}

function unknownMethod(path: string): GrpcMethod {
  return () => Promise.reject(new NotFound(`The method ${quote(path)} is unknown.`));
}
