/**
 * The HTTP application combines the declared routes. These rules apply to all of them:
 *
 * - A failure is JSON (src/http/error-answers.ts), or has the form that its route declares, with the right status: 404
 *   for an unknown path, 405 with `Allow` for a known path and an unsupported method.
 * - Every route with GET supports HEAD, and every path supports OPTIONS.
 * - A path that begins with several slashes is treated as if it had one. A base address that ends in a slash makes
 *   such paths. GET is redirected, as Prometheus does. Other methods are answered, because many clients lose the
 *   body on a redirect.
 * - The guard decides about the page and the token of a request before the handler runs, here and nowhere else. A path
 *   that does not exist and a method that is not supported need no token: the routes are no secret.
 * - Every answer has a content type and is counted by the pattern of its route.
 */
import { Memoirist } from "memoirist";
import { type Caller, UNBOUND } from "../access/access.ts";
import type { Arrival, ClientSocket, RequestGate } from "../access/gate.ts";
import type { Counters } from "../model/counters.ts";
import { quote, RequestError } from "../model/errors.ts";
import type { Observations, Tally } from "../model/metrics/tallies.ts";
import { askedQueryOf } from "./asked-query.ts";
import { errorResponse } from "./error-answers.ts";
import { describeFault } from "../log/line.ts";
import type { Log } from "../log/log.ts";
import type { MinuteSummary } from "../log/minute-summary.ts";
import {
  type ErrorAnswer,
  type Route,
  isVariable,
  type RouteParameters,
  type Routes,
  RouteTable,
  trimSlash,
} from "./routes.ts";
import { isStream, whenSent } from "./stream.ts";
import { hintsOf, unknownPath } from "./unknown-path.ts";
import { pathOf } from "./url-text.ts";

/** The interface between the server and the application. */
export interface App {
  /**
   * Answers a request. Never throws and never rejects.
   *
   * @param socket undefined if the request did not arrive by a socket
   */
  fetch(request: Request, socket?: ClientSocket): Promise<Response>;
  /** Every route, as it was declared. */
  readonly routes: readonly Route[];
}

/** What is logged of requests beside faults. */
export interface RequestLogging {
  /** Counts slow queries and rejected pushes. */
  readonly summary?: Pick<MinuteSummary, "noteQuery" | "noteRequest">;
  /** Queries that take longer are slow. 0 means that none is. */
  readonly slowQueryMs?: number;
  /** Whether each request is logged. */
  readonly logsRequests?: boolean;
}

interface AppOptions extends RequestLogging {
  readonly log: Log;
  readonly counters: Counters;
  /** Decides about each request. Without it, every route is open. */
  readonly guard?: RequestGate;
  /** How unknown paths are answered. The default is JSON. */
  readonly answerError?: ErrorAnswer;
}

/** The path exists, but does not support the method. */
class MethodNotAllowed extends RequestError {
  override readonly status = 405;
  override readonly code = "method_not_allowed";
}

type AnswerRoute = (request: Request, parameters: RouteParameters) => Promise<Response>;

/** Permissions of the routes that answer questions. */
const QUERIES: ReadonlySet<Route["permission"]> = new Set(["read", "sql", "scrape"]);

/** Long enough for a group with several labels. */
const PATH_CHARACTERS_MAX = 500;
const USER_AGENT_CHARACTERS_MAX = 200;

/** Methods that counters name. Any other is `other`, because a client can invent names. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);

/** Combines the declared routes. A handler rejects a request by throwing a class of src/model/errors.ts. */
export function createApp(
  declared: readonly Routes[],
  { log, counters, guard, answerError, summary, slowQueryMs = 0, logsRequests = false }: AppOptions,
): App {
  const routes = declared.flatMap(({ list }) => list);
  /** What the guard found about the requests that it must know more about. Most have no entry. */
  const arrivals = new WeakMap<Request, Arrival>();
  /** By method and path. Most paths have no part that varies. */
  const fixed = new Map<string, Map<string, AnswerRoute>>();
  const variable = new Memoirist<AnswerRoute>({ onParam: decoded });
  for (const route of routes) {
    const { method, path, handle, answerError, permission } = route;
    const noteEnd = (request: Request, begin: number, outcome: string) => {
      if (slowQueryMs === 0 || !QUERIES.has(permission)) return;
      const ms = performance.now() - begin;
      if (ms >= slowQueryMs) summary?.noteQuery({ route: path, outcome, ms, text: askedQueryOf(request) });
    };
    const answerRoute = async (request: Request, parameters: RouteParameters) => {
      const begin = performance.now();
      if (permission !== "none") counters.demand.begin();
      try {
        const run = (caller: Caller) => handle(request, parameters, caller);
        const prepared = guard?.prepare(request, route, arrivals.get(request));
        if (prepared !== undefined) await prepared;
        const response = await (guard === undefined
          ? run(UNBOUND)
          : guard.admit(request, route, run, arrivals.get(request)));
        noteEnd(request, begin, "ok");
        return response;
      } catch (error) {
        noteEnd(request, begin, error instanceof RequestError ? error.code : "failed");
        const response = errorResponse(error, request, log, answerError);
        if (permission === "push" && error instanceof RequestError) {
          const { code, message } = error;
          // The protocol of the route may answer with another status than the error has.
          summary?.noteRequest({ route: path, status: response.status, reason: code, message });
        }
        return response;
      }
    };
    // One trailing slash makes no difference.
    const trimmed = trimSlash(path);
    if (isVariable(path)) {
      variable.add(method, trimmed, answerRoute);
      variable.add(method, `${trimmed}/`, answerRoute);
    } else fixed.getOrInsertComputed(method, () => new Map()).set(trimmed, answerRoute);
  }
  const table = new RouteTable(routes);
  const answered = new AnsweredRequests(counters);

  const answer = async (
    request: Request,
    allow: readonly string[],
    arrival: Arrival | undefined,
  ): Promise<Response> => {
    const { method } = request;
    if (allow.length === 0) throw await unknownPath(request, routes);
    if (!allow.includes(method)) {
      const sentence = `${quote(pathOf(request.url))} does not support ${quote(method)}; it supports ${allow.join(", ")}.`;
      throw new MethodNotAllowed([sentence, ...(await hintsOf(request))].join(" "));
    }
    if (method === "OPTIONS")
      return new Response(null, { status: 204, headers: { allow: allow.join(", ") } });
    // For HEAD, Bun sends the headers of the answer to GET, cancels its body, and states the length that it would
    // have.
    const handled = method === "HEAD" ? new Request(request, { method: "GET" }) : request;
    if (arrival !== undefined) arrivals.set(handled, arrival);
    const path = pathOf(handled.url);
    const answerFixed = fixed.get(handled.method)?.get(trimSlash(path));
    if (answerFixed !== undefined) return await answerFixed(handled, {});
    const found = variable.find(handled.method, path);
    if (found === null) throw await unknownPath(request, routes);
    return await found.store(handled, found.params);
  };

  return {
    routes,
    async fetch(received, socket) {
      counters.work.begin();
      const begin = performance.now();
      const whole = withWholeUrl(received);
      const path = pathOf(whole.url);
      const clean = path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
      const isRedirected = clean !== path && (whole.method === "GET" || whole.method === "HEAD");
      const request =
        path.startsWith("//") && !isRedirected ? withPath(whole, path.replace(/^\/+/, "/")) : whole;
      const asked = isRedirected ? clean : request === whole ? path : pathOf(request.url);
      const match = table.match(asked, request.method);
      const { pattern, allow } = match;
      let response: Response;
      let arrival: Arrival | undefined;
      let isReceived = false;
      try {
        arrival = guard?.receive(received, socket);
        isReceived = true;
        response =
          isRedirected && allow.length > 0
            ? redirect(whole, path, clean)
            : await answer(request, allow, arrival);
      } catch (error) {
        const form = pattern === undefined ? answerError : match.answerError;
        response = errorResponse(error, request, log, form);
        if (!isReceived && error instanceof RequestError) {
          const { code, message } = error;
          summary?.noteRequest({ route: pattern ?? "none", status: response.status, reason: code, message });
        }
        if (error instanceof MethodNotAllowed) response.headers.set("allow", allow.join(", "));
      }
      if (!response.headers.has("content-type") && response.status !== 204 && response.status !== 304) {
        response.headers.set("content-type", "text/plain; charset=utf-8");
      }
      guard?.finish(response.headers, received, arrival);
      if (isStream(response)) {
        // A failure after the beginning of an answer has no status.
        response = whenSent(response, (error) => {
          if (error === undefined || error instanceof RequestError) return;
          log("request_failed", { method: request.method, path, error: describeFault(error) });
        });
      }
      const route = pattern ?? "none";
      const method = METHODS.has(request.method) ? request.method : "other";
      const durationMs = performance.now() - begin;
      answered.count(route, method, response.status, durationMs / 1000);
      if (logsRequests) {
        log("request", {
          method,
          path: path.slice(0, PATH_CHARACTERS_MAX),
          route,
          status: response.status,
          durationMs: Math.round(durationMs * 1000) / 1000,
          remote: socket?.requestIP?.(received)?.address,
          userAgent: request.headers.get("user-agent")?.slice(0, USER_AGENT_CHARACTERS_MAX),
        });
      }
      return response;
    },
  };
}

/** Counts answers by route, method and status, of which there are few. */
class AnsweredRequests {
  readonly #counters: Counters;
  readonly #routes = new Map<
    string,
    { readonly seconds: Observations; readonly methods: Map<string, Tally[]> }
  >();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  count(route: string, method: string, status: number, seconds: number): void {
    let counts = this.#routes.get(route);
    if (counts === undefined) {
      counts = { seconds: this.#counters.httpSeconds.of({ route }), methods: new Map() };
      this.#routes.set(route, counts);
    }
    counts.seconds.observe(seconds);
    // By status.
    const statuses = counts.methods.getOrInsertComputed(method, () => []);
    statuses[status] ??= this.#counters.httpRequests.tally({ route, method, status });
    statuses[status].add(1);
  }
}

/** 301 to the same address with a clean path, as Prometheus and Pushgateway answer a path that is not clean. */
function redirect(request: Request, path: string, clean: string): Response {
  const { url } = request;
  const after = url.slice(url.indexOf(path, url.indexOf("://") + 3) + path.length);
  return new Response(null, { status: 301, headers: { location: `${clean}${after}` } });
}

/** The same request with another path. */
function withPath(request: Request, path: string): Request {
  const { url } = request;
  const before = pathOf(url);
  const at = url.indexOf(before, url.indexOf("://") + 3);
  return new Request(`${url.slice(0, at)}${path}${url.slice(at + before.length)}`, request);
}

/** The request with a whole URL. Without a Host (HTTP/1.0), Bun's URL is only the path. The Host header does not change. */
function withWholeUrl(request: Request): Request {
  const { url } = request;
  return url.startsWith("/") ? new Request(`http://localhost${url}`, request) : request;
}

/** A part of a path without its percent-encoding. Handlers reject one that is not encoded correctly: null. */
function decoded(part: string): string | null {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
