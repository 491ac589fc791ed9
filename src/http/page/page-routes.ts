/**
 * The page for people. Its paths all answer with the same small index, which loads hashed assets, and everything that it
 * shows comes from the API. So none of it needs a token: the page asks for one if the API does.
 *
 * The Content-Security-Policy allows scripts, styles and requests of this gateway only. The editor adds a style sheet at run
 * time, which a random nonce in the index and in the header allows.
 */
import { plainText } from "../error-answers.ts";
import { preferredEncoding } from "../negotiation.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { ASSET_ENCODINGS, type Asset, type PageFiles } from "./page-files.ts";

/** Clients of InfluxDB 1 use this path, too, so its receiver mounts it. */
const QUERY_PATH = "/query";
const OWN_PATHS = [
  ...["/", "/explore", "/tasks", "/groups", "/alerts", "/rejected", "/tokens", "/queries"],
  // Links of Grafana have the title of a dashboard behind its name.
  ...["/settings", "/dashboards", "/d/:name", "/d/:name/:title"],
];
/** The paths of the views (src/ui/page-views.ts). */
export const VIEW_PATHS: readonly string[] = [QUERY_PATH, ...OWN_PATHS];

/** An asset with another content has another name. */
const FOREVER = "public, max-age=31536000, immutable";

/** The index of the page, which is the same at each path but for its nonce. */
export function pageAnswer(files: Pick<PageFiles, "index">): Response {
  const index = files.index();
  if (index === undefined) return notBuilt();
  const nonce = crypto.randomUUID().replaceAll("-", "");
  return new Response(index.replaceAll("{{nonce}}", nonce), {
    headers: {
      "content-type": "text/html; charset=utf-8",
      // Another answer has another nonce.
      "cache-control": "no-store",
      "content-security-policy": policyOf(nonce),
    },
  });
}

export const pageRoutes = ({ files }: { readonly files: Pick<PageFiles, "index" | "asset"> }) => {
  const asset = (request: Request, { name = "" }) => {
    const found = files.asset(name);
    return found === undefined
      ? plainText(404, `there is no asset ${name}`)
      : assetAnswer(request, name, found);
  };
  const routes = new Routes();
  for (const path of OWN_PATHS)
    routes.on("GET", path, "none", "returns the page for people", () => pageAnswer(files));
  return routes
    .on("GET", "/assets/:name", "none", "returns a script, a style sheet or the icon of the page", asset)
    .on("GET", "/graph", "none", "redirects links to Prometheus's page to the view of queries", graph);
};

function assetAnswer(request: Request, name: string, { type, bytes, encoded }: Asset): Response {
  const encoding = preferredEncoding(
    request.headers.get("accept-encoding"),
    ASSET_ENCODINGS.filter((each) => encoded[each] !== undefined),
  );
  const etag = `"${name}${encoding === undefined ? "" : `-${encoding}`}"`;
  const headers: Record<string, string> = {
    "content-type": type,
    "cache-control": FOREVER,
    vary: "Accept-Encoding",
    etag,
  };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  if (encoding === undefined) return new Response(bytes, { headers });
  return new Response(encoded[encoding], { headers: { ...headers, "content-encoding": encoding } });
}

/** Links of alerts and of Grafana: `/graph?g0.expr=up&g0.tab=1`. */
function graph(request: Request): Response {
  const expr = queryOf(request.url).get("g0.expr");
  const location = expr === null ? "/query" : `/query?${new URLSearchParams({ expr })}`;
  return new Response(null, { status: 302, headers: { location } });
}

/** A clone whose page is being built, or was never built. */
function notBuilt(): Response {
  const text =
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Weir</title>' +
    "<p>The page is not built yet. <code>scripts/serve</code> and <code>scripts/build-page</code> build it within a " +
    'second or two. The API works: see <a href="/metrics">/metrics</a>.</p></html>';
  return new Response(text, {
    status: 503,
    headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store", "retry-after": "2" },
  });
}

function policyOf(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self' data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
