/**
 * All routes of the gateway: the table of src/http/README.md, and the methods that each path answers. With
 * WRITE_ROUTES=1 in the environment, the table is written instead of compared.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VIEW_PATHS } from "../../src/http/page/page-routes.ts";
import type { Route } from "../../src/http/routes.ts";
import { openTestGateway, type TestGateway } from "../gateway.ts";

const README = join(import.meta.dir, "..", "..", "src", "http", "README.md");
const TABLE = /(?<=<!-- routes -->\n)[\s\S]*?(?=<!-- \/routes -->)/;
/** The usual methods of HTTP, and one that no route has. Bun makes a Request with an unknown method a GET. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "MKCOL"];

let gateway: TestGateway;
let routes: readonly Route[];
beforeAll(async () => {
  gateway = await openTestGateway();
  routes = gateway.app.routes;
});
afterAll(() => gateway.close());

/** What the table says about a route and a token with labels. */
const BOUND = { adds: "adds them", narrows: "own series", same: "the same" } as const;

/** A row of the table: the methods of a path that need the same permission and do the same. */
const rowOf = (
  [{ path, permission, summary, bound }, ...others]: readonly Route[],
  methods: readonly string[],
) => {
  expect(others.every((other) => other.path === path)).toBe(true);
  const shown = path.replaceAll(/:(\w+)/g, (_, name: string) => name.toUpperCase());
  return `| ${methods.map((method) => `\`${method}\``).join(", ")} | \`${shown}\` | ${permission} | ${bound === undefined ? "403" : BOUND[bound]} | ${summary} |\n`;
};

describe("the table of routes in src/http/README.md", () => {
  test("lists each route with its permission and summary", () => {
    // By path, so that the order in which the gateway opens the families does not matter.
    const alike = Map.groupBy(
      routes.toSorted((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path))),
      ({ path, permission, summary, bound }) => `${path}\n${permission}\n${summary}\n${bound}`,
    );
    const rows = [...alike.values()].map((each) =>
      rowOf(
        each,
        each.map(({ method }) => method),
      ),
    );
    const table = `| methods | path | permission | token with labels | what it does |\n|---|---|---|---|---|\n${rows.join("")}`;
    const document = readFileSync(README, "utf8");
    if (process.env.WRITE_ROUTES)
      writeFileSync(
        README,
        document.replace(TABLE, () => table),
      );
    expect(TABLE.exec(readFileSync(README, "utf8"))?.[0]).toBe(table);
  });

  test("has no method and path twice", () => {
    const keys = routes.map(({ method, path }) => `${method} ${path}`);
    expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
  });

  test("describes each route by a verb in the third person, without a full stop", () => {
    const wrong = routes.filter(({ summary }) => !/^(?:[a-z]+s|does) .*[^.\s]$/.test(summary));
    expect(wrong.map(({ summary }) => summary)).toEqual([]);
  });
});

describe("permissions", () => {
  test("only the health routes and the page need no permission", () => {
    const open = routes.filter(({ permission }) => permission === "none").map(({ path }) => path);
    const page = [...VIEW_PATHS, "/assets/:name", "/graph", "/api/v1/session"];
    expect(open.filter((path) => !page.includes(path)).toSorted()).toEqual(
      [
        "/-/healthy",
        "/-/ready",
        "/api/metrics/health",
        "/api/v1/openapi.json",
        "/health",
        "/healthz",
        "/ping",
        "/ready",
        "/readyz",
      ].toSorted(),
    );
  });

  test("a token that only reads or scrapes changes nothing", () => {
    const readers = ["read", "sql", "scrape", "none"];
    const changing = routes.filter(
      ({ method, permission }) => ["PUT", "DELETE", "PATCH"].includes(method) && readers.includes(permission),
    );
    // It removes a cookie of the caller's own browser.
    expect(changing.map(({ path }) => path)).toEqual(["/api/v1/session"]);
    // POST with a form is a query that is too long for a URL.
    const posting = routes.filter(
      ({ method, permission, path }) =>
        method === "POST" &&
        readers.includes(permission) &&
        // It ends a query of the same token.
        path !== "/api/v1/status/active_queries/:id/cancel",
    );
    const pairs = posting.map(({ path }) =>
      routes.some((each) => each.path === path && each.method === "GET"),
    );
    expect(pairs).toEqual(posting.map(() => true));
  });

  test("a route adds the labels of a token only to what it stores, and narrows or needs no token otherwise", () => {
    const wrong = routes.filter(({ permission, bound }) => {
      if (permission === "none") return bound !== "same";
      return bound === "adds" && permission !== "push";
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("routes below admin need admin", () => {
    const below = routes.filter(({ path }) => path.startsWith("/api/v1/admin/"));
    expect(below.length).toBeGreaterThan(0);
    expect(new Set(below.map(({ permission }) => permission))).toEqual(new Set(["admin"]));
  });
});

describe("each path", () => {
  /** The paths of the table in the document, with their methods and those that the gateway adds. */
  const documented = () => {
    const methodsOf = new Map<string, Set<string>>();
    const rows = (TABLE.exec(readFileSync(README, "utf8"))?.[0] ?? "").matchAll(
      /^\| (`[^|]+) \| `([^`]+)`/gm,
    );
    for (const [, methods = "", path = ""] of rows) {
      const known = methodsOf.get(path) ?? new Set(["OPTIONS"]);
      for (const [, method = ""] of methods.matchAll(/`(\w+)`/g)) known.add(method);
      if (known.has("GET")) known.add("HEAD");
      methodsOf.set(path, known);
    }
    return methodsOf;
  };
  /** A path that a row describes: `/api/v1/label/NAME/values` as it is, `/metrics/job/*` as `/metrics/job/a`. */
  const ask = (method: string, path: string) => gateway.fetch(`${path.replace("*", "a")}`, { method });

  test("answers the methods of the table, and lists them in Allow for all others", async () => {
    const paths = documented();
    expect(paths.size).toBe(new Set(routes.map(({ path }) => path)).size);
    for (const [path, methods] of paths) {
      const allow = [...methods].sort().join(", ");
      for (const method of METHODS) {
        const what = `${method} ${path}`;
        for (const trailing of ["", "/"]) {
          const response = await ask(method, path + trailing);
          const text = await response.text();
          if (method === "OPTIONS") {
            expect([what, response.status, response.headers.get("allow"), text]).toEqual([
              what,
              204,
              allow,
              "",
            ]);
          } else if (methods.has(method)) {
            expect(text, what).not.toContain("There is no route");
            expect([what, response.status === 405]).toEqual([what, false]);
            expect(response.headers.has("allow"), what).toBe(false);
          } else {
            expect([what, response.status, response.headers.get("allow")]).toEqual([what, 405, allow]);
            // A protocol has a form of its own for it.
            expect(text, what).toContain("does not support");
          }
        }
      }
    }
  });

  test("answers HEAD with the status and the content type of GET", async () => {
    for (const [path, methods] of documented()) {
      if (!methods.has("GET")) continue;
      const [get, head] = [await ask("GET", path), await ask("HEAD", path)];
      await get.body?.cancel();
      await head.body?.cancel();
      const shown = ({ status, headers }: Response) => [path, status, headers.get("content-type")];
      expect(shown(head)).toEqual(shown(get));
    }
  });
});
