/**
 * The answer to a request for an unknown path: it names the route that was probably meant, by its spelling and by the
 * format of the body. Only a few kilobytes of the body are read, and nothing is stored.
 */
import { NotFound, quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import { bodyHint, HEAD_BYTES } from "./body-hint.ts";
import type { Route } from "./routes.ts";
import { pathOf } from "./url-text.ts";

/** A longer path is no misspelt route. */
const COMPARED_MAX = 200;

/** A client that sends nothing is answered without a hint. */
const HEAD_WAIT_MS = 1_000;

/** The error for a path that none of the routes has. A route that does not answer the request's method is not named. */
export async function unknownPath(
  request: Request,
  routes: readonly Pick<Route, "method" | "path">[],
): Promise<NotFound> {
  const path = pathOf(request.url);
  // The comparison takes time for each character of both.
  const meant =
    path.length > COMPARED_MAX ? undefined : nearestRoute(path, patternsFor(request.method, routes));
  const instead = meant === undefined ? "src/http/README.md lists all routes" : `did you mean ${meant}?`;
  const sentence = `There is no route ${quote(path)}; ${instead}${meant === undefined ? "." : ""}`;
  return new NotFound([sentence, ...(await hintsOf(request))].join(" "));
}

/** The patterns of the routes that answer a method. GET answers HEAD too, and every path answers OPTIONS. */
function patternsFor(method: string, routes: readonly Pick<Route, "method" | "path">[]): string[] {
  const asked = method === "HEAD" ? "GET" : method;
  return routes.filter((route) => asked === "OPTIONS" || route.method === asked).map((route) => route.path);
}

/** A sentence about the format of a request's body and its route. Empty if the format is not recognised. */
export async function hintsOf(request: Request): Promise<string[]> {
  if (request.body === null || request.bodyUsed || request.headers.has("content-encoding")) return [];
  const hint = bodyHint(await readHead(request.body));
  return hint === undefined ? [] : [hint];
}

/** The first bytes of a body, as far as they arrive in time. The rest is not read. */
async function readHead(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = body.getReader();
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), HEAD_WAIT_MS);
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    while (length < HEAD_BYTES) {
      const read = await Promise.race([reader.read(), late.promise]);
      if (read === undefined || read.done) break;
      chunks.push(read.value);
      length += read.value.length;
    }
  } catch {
    // A client that disconnected is answered like any other, although nobody reads the answer.
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  return Buffer.concat(chunks).subarray(0, HEAD_BYTES);
}

/** The most routes of one folder that an answer lists: those of `/api/metrics`, not those of `/api/v1`. */
const SIBLINGS_MAX = 5;

/** A pattern such as `/d/:name` has too little that is fixed to be meant by a path that is spelled in another way. */
const FIXED_MIN = 4;

/**
 * The route that was probably meant, as documents write it (`/api/v1/label/NAME/values`): the one that ends with the
 * path (`/push`), or the nearest by spelling. If that one is in another folder, the routes below the path or beside it,
 * unless they are many.
 */
function nearestRoute(path: string, patterns: Iterable<string>): string | undefined {
  const asked = path.replace(/\/+$/, "");
  const segments = asked.split("/");
  const byFilled = new Map<string, string>();
  for (const pattern of patterns) {
    // Variable parts of a pattern match anything, so only the fixed ones are compared.
    const parts = pattern.split("/");
    const fixed = parts.filter((part) => part !== "*" && !part.startsWith(":"));
    if (fixed.length < parts.length && fixed.join("/").length < FIXED_MIN) continue;
    const filled = parts.map((part, at) =>
      part === "*" ? segments.slice(at).join("/") : part.startsWith(":") ? (segments[at] ?? part) : part,
    );
    if (!byFilled.has(filled.join("/"))) byFilled.set(filled.join("/"), pattern);
  }
  const ending = [...byFilled.keys()].find((filled) => asked.length > 1 && filled.endsWith(asked));
  const best = ending ?? nearest(asked, byFilled.keys(), Math.floor(asked.length / 3));
  const folder = `${segments.slice(0, -1).join("/")}/`;
  if (ending === undefined && (best === undefined || !isIn(folder, best))) {
    // Routes below the path, or else beside it. All routes are below the root, which says nothing.
    for (const each of [`${asked}/`, folder]) {
      const routes =
        each.split("/").length < 3 ? [] : [...byFilled.keys()].filter((filled) => isIn(each, filled));
      if (routes.length > 0 && routes.length <= SIBLINGS_MAX)
        return listed(routes.map((filled) => written(byFilled.get(filled) ?? filled)));
    }
  }
  return best === undefined ? undefined : written(byFilled.get(best) ?? best);
}

/** Whether a path is directly in a folder, which ends with a slash. */
function isIn(folder: string, path: string): boolean {
  return path.startsWith(folder) && !path.slice(folder.length).includes("/");
}

/** `a`, `a or b`, `a, b or c`. */
function listed(routes: readonly string[]): string {
  const last = routes.at(-1)!;
  return routes.length === 1 ? last : `${routes.slice(0, -1).join(", ")} or ${last}`;
}

function written(pattern: string): string {
  if (pattern.startsWith("/metrics/job")) return `${pattern.replace("/*", "")}/NAME`;
  return pattern.replaceAll(/:(\w+)/g, (_, name: string) => name.toUpperCase()).replace("/*", "/…");
}
