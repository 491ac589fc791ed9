/**
 * Routes as data: what a family declares, and the table that decides between 404 and 405, fills `Allow`, and names
 * the route of a request in counters. A test keeps the table of routes in README.md equal to them.
 *
 * The table is built from the application's own routes, so no second list has to be maintained. Patterns are `/a/b`,
 * `/a/:name/b` and `/a/*`. One trailing slash makes no difference.
 */
import type { BoundUse, Caller, Guarded } from "../access/access.ts";
import type { RequestError } from "../model/errors.ts";

/** Values of the variable parts of a pattern, by name, percent-decoded; `*` for the rest of the path. */
export type RouteParameters = Readonly<Record<string, string>>;

/** Answers an error of a request in the form of a protocol. */
export type ErrorAnswer = (error: RequestError, request: Request) => Response;

type Handler = (
  request: Request,
  parameters: RouteParameters,
  caller: Caller,
) => Response | Promise<Response>;

/** Who may use a route: the scope, or the scope and what the route does for a token with labels. */
type Allowed = Guarded["permission"] | { readonly scope: Guarded["permission"]; readonly bound: BoundUse };

/** A method on a path, with the data for documents and permissions. */
export interface Route extends Guarded {
  readonly method: string;
  readonly path: string;
  /** What the route does: a verb in the third person and its object, in lower case and without a full stop. */
  readonly summary: string;
  readonly handle: Handler;
  /**
   * Answers the errors that the handler throws, internal faults, and methods that the path does not support. The default
   * is JSON.
   */
  readonly answerError?: ErrorAnswer;
}

/** The routes of a family, in the order in which they are declared. */
export class Routes {
  readonly list: Route[] = [];

  readonly #answerError: ErrorAnswer | undefined;
  readonly #guarded: Omit<Guarded, "permission">;

  /**
   * @param answerError how errors of these routes are answered, see `Route`
   * @param guarded what else these routes say about their callers. Its `bound` applies to the scope `push` only, so that
   *   each route that reads declares its own
   */
  constructor(answerError?: ErrorAnswer, guarded: Omit<Guarded, "permission"> = {}) {
    this.#answerError = answerError;
    this.#guarded = guarded;
  }

  /** Declares a handler for one or several methods of a path. */
  on(
    methods: string | readonly string[],
    path: string,
    allowed: Allowed,
    summary: string,
    handle: Handler,
    answerError = this.#answerError,
  ): this {
    const { credentials, identifies, isNoQuery, bound: ofPushes } = this.#guarded;
    const { scope: permission, bound } =
      typeof allowed === "object"
        ? allowed
        : { scope: allowed, bound: allowed === "push" ? ofPushes : allowed === "none" ? "same" : undefined };
    for (const method of [methods].flat())
      this.list.push({
        credentials,
        identifies,
        isNoQuery,
        bound,
        method,
        path,
        permission,
        summary,
        handle,
        answerError,
      });
    return this;
  }
}

/** The result for a path. */
interface RouteMatch {
  /** The pattern, for counters. Undefined if no route has this path with any method. */
  readonly pattern: string | undefined;
  /** The methods that the path supports: those of its routes, HEAD with GET, and OPTIONS. */
  readonly allow: readonly string[];
  /** How errors of the path are answered, if not as JSON. */
  readonly answerError?: ErrorAnswer;
}

interface Entry {
  readonly pattern: string;
  /** The methods, and how each answers errors. */
  readonly methods: Map<string, ErrorAnswer | undefined>;
  /** How the path answers errors of other methods. */
  readonly answerError: ErrorAnswer | undefined;
}

const NO_MATCH: RouteMatch = { pattern: undefined, allow: [] };

export class RouteTable {
  readonly #fixed = new Map<string, Entry>();
  readonly #variable: { readonly entry: Entry; readonly expression: RegExp }[] = [];

  constructor(routes: Iterable<Pick<Route, "method" | "path" | "answerError">>) {
    const entries = new Map<string, Entry>();
    for (const { method, path, answerError } of routes) {
      const pattern = trimSlash(path);
      let entry = entries.get(pattern);
      if (entry === undefined) {
        entry = { pattern, methods: new Map(), answerError };
        entries.set(pattern, entry);
        if (isVariable(pattern)) this.#variable.push({ entry, expression: expressionOf(pattern) });
        else this.#fixed.set(pattern, entry);
      }
      entry.methods.set(method.toUpperCase(), answerError);
    }
  }

  /** The pattern and the methods for a path as it is written in the URL. */
  match(path: string, method: string): RouteMatch {
    const trimmed = trimSlash(path);
    const fixed = this.#fixed.get(trimmed);
    // The common case needs no list of methods and no further pattern.
    if (fixed?.methods.has(method))
      return { pattern: fixed.pattern, allow: [method], answerError: fixed.methods.get(method) };
    const entries = fixed === undefined ? [] : [fixed];
    for (const { entry, expression } of this.#variable) {
      if (!expression.test(trimmed)) continue;
      if (entries.length === 0 && entry.methods.has(method))
        return { pattern: entry.pattern, allow: [method], answerError: entry.methods.get(method) };
      entries.push(entry);
    }
    if (entries.length === 0) return NO_MATCH;
    const methods = new Set(entries.flatMap((entry) => [...entry.methods.keys()]));
    if (methods.has("GET")) methods.add("HEAD");
    methods.add("OPTIONS");
    const asked = method === "HEAD" ? "GET" : method;
    const best = entries.find((entry) => entry.methods.has(asked)) ?? entries[0];
    const answerError = best.methods.has(asked) ? best.methods.get(asked) : best.answerError;
    return { pattern: best.pattern, allow: [...methods].sort(), answerError };
  }
}

/** Whether a declared path has a part that varies: `:name`, or `*`. */
export function isVariable(path: string): boolean {
  return /[:*]/.test(path);
}

/** A path without a slash at its end. */
export function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function expressionOf(pattern: string): RegExp {
  const source = pattern
    .split("/")
    .map((segment) => {
      if (segment === "*") return ".*";
      return segment.startsWith(":") ? "[^/]+" : segment.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    })
    .join("/");
  return new RegExp(`^${source}$`);
}
