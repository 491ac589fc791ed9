/**
 * Which routes there are: what answers 404 and 405, fills `Allow`, and names a request in counters.
 *
 * Built from the application's own routes, so that no second list has to be kept. Patterns are those of
 * Elysia: `/a/b`, `/a/:name/b` and `/a/*`; one trailing slash makes no difference, as there.
 */

/** A route as the application has it; method `ALL` is any. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

/** What the table knows about a path. */
export interface RouteMatch {
  /** The pattern, for counters; undefined where no route has this path, whatever the method. */
  readonly pattern: string | undefined;
  /** The methods that the path answers to: those of its routes, with HEAD beside GET, and OPTIONS. */
  readonly allow: readonly string[];
}

interface Entry {
  readonly pattern: string;
  readonly methods: Set<string>;
}

const NO_MATCH: RouteMatch = { pattern: undefined, allow: [] };

export class RouteTable {
  readonly #fixed = new Map<string, Entry>();
  readonly #variable: { readonly entry: Entry; readonly expression: RegExp }[] = [];

  constructor(routes: Iterable<Route>) {
    const entries = new Map<string, Entry>();
    for (const { method, path } of routes) {
      const pattern = trimSlash(path);
      let entry = entries.get(pattern);
      if (entry === undefined) {
        entry = { pattern, methods: new Set() };
        entries.set(pattern, entry);
        if (/[:*]/.test(pattern)) this.#variable.push({ entry, expression: expressionOf(pattern) });
        else this.#fixed.set(pattern, entry);
      }
      entry.methods.add(method.toUpperCase());
    }
  }

  /** What a request's path, as it stands in the URL, may be asked with. */
  match(path: string, method: string): RouteMatch {
    const trimmed = trimSlash(path);
    const fixed = this.#fixed.get(trimmed);
    // The common case needs no list of methods, and no further pattern.
    if (fixed?.methods.has(method)) return { pattern: fixed.pattern, allow: [method] };
    const entries = fixed === undefined ? [] : [fixed];
    for (const { entry, expression } of this.#variable) {
      if (!expression.test(trimmed)) continue;
      if (entries.length === 0 && entry.methods.has(method))
        return { pattern: entry.pattern, allow: [method] };
      entries.push(entry);
    }
    if (entries.length === 0) return NO_MATCH;
    const methods = new Set(entries.flatMap((entry) => [...entry.methods]));
    if (methods.has("ALL")) methods.add(method);
    if (methods.has("GET")) methods.add("HEAD");
    methods.add("OPTIONS").delete("ALL");
    const asked = method === "HEAD" ? "GET" : method;
    const best = entries.find((entry) => entry.methods.has(asked) || entry.methods.has("ALL")) ?? entries[0];
    return { pattern: best.pattern, allow: [...methods].sort() };
  }
}

function trimSlash(path: string): string {
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
