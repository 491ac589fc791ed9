/**
 * What clients of InfluxDB ask before they write: `/ping`, and the statements of `/query` that create or list databases.
 * The gateway has one store. It accepts any name of a database, and creates nothing. Any other statement is an error
 * that points to SQL and PromQL.
 */
import { type BodyLimits, readBody, routeBodyLimits } from "../../http/body.ts";
import { errorHeaders, jsonResponse } from "../../http/error-answers.ts";
import { contentTypeOf, preferredType } from "../../http/negotiation.ts";
import { Routes } from "../../http/routes.ts";
import { queryOf } from "../../http/url-text.ts";
import { quote } from "../../model/errors.ts";
import { V1_CREDENTIALS } from "./influx-protocol.ts";

/** Clients compare numbers, and InfluxDB 1.8 is the last version with `/write` and `/query` that most of them know. */
const VERSION = "1.8.10-weir";
const HEADERS = { "x-influxdb-version": VERSION, "x-influxdb-build": "weir" };

/** Listed if a request names no database. */
const DATABASE = "weir";

const NAME = String.raw`(?:"(?:[^"\\]|\\.)+"|[A-Za-z_][\w.-]*)`;
const SHOW_DATABASES = /^SHOW\s+DATABASES$/i;
const CREATE_DATABASE = new RegExp(String.raw`^CREATE\s+DATABASE\s+${NAME}(?:\s+WITH\s.*)?$`, "is");
/** A statement, up to a semicolon outside of quotation marks. */
const STATEMENT = /(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^;"'])+/gs;
const QUERY_CHARACTERS_MAX = 16_384;
/** Clients of InfluxDB accept JSON, or anything. */
const TYPES = ["application/json", "text/html"];
/** A form has a query and a few parameters. */
const FORM_BYTES_MAX = 131_072;

interface InfluxQueryDependencies {
  readonly limits: BodyLimits;
  /** The page for people, whose view of queries has the same path. */
  readonly page: () => Response;
}

export const influxQueryRoutes = ({ limits, page }: InfluxQueryDependencies) => {
  const formLimits = routeBodyLimits(limits, FORM_BYTES_MAX);
  const query = async (request: Request) => {
    const search = queryOf(request.url);
    if (request.method === "POST" && contentTypeOf(request).type === "application/x-www-form-urlencoded") {
      const form = new URLSearchParams(new TextDecoder().decode(await readBody(request, formLimits)));
      for (const [name, value] of form) search.set(name, value);
    }
    return answer(search.get("q"), search.get("db"));
  };

  /** Answers are the same for everybody, so that a browser needs no token for the page. */
  const queryOrPage = (request: Request) => {
    const isAsked = queryOf(request.url).has("q");
    if (!isAsked && preferredType(request.headers.get("accept"), TYPES) === "text/html") return page();
    return query(request);
  };

  return new Routes((error) => failed(error.status, error.message, errorHeaders(error)), {
    credentials: V1_CREDENTIALS,
    bound: "same",
  })
    .on("GET", "/ping", "none", "answers clients of InfluxDB that look for a server", ping)
    .on(
      "GET",
      "/query",
      "none",
      "answers clients of InfluxDB that list databases, and returns the page for people without q",
      queryOrPage,
    )
    .on("POST", "/query", "push", "answers clients of InfluxDB that list or create databases", query);
};

function ping(request: Request): Response {
  const verbose = queryOf(request.url).get("verbose");
  if (verbose === null || verbose === "false" || verbose === "0")
    return new Response(null, { status: 204, headers: HEADERS });
  return jsonResponse(200, { version: VERSION }, HEADERS);
}

function answer(query: string | null, database: string | null): Response {
  if (query === null || query.trim() === "") return failed(400, 'missing required parameter "q"');
  if (query.length > QUERY_CHARACTERS_MAX)
    return failed(
      413,
      `the query has ${query.length} characters, at most ${QUERY_CHARACTERS_MAX} are accepted`,
    );
  const statements = (query.match(STATEMENT) ?? [query]).map((each) => each.trim()).filter(Boolean);
  const results: object[] = [];
  for (const statement of statements) {
    const found = resultOf(statement, database);
    if (found === undefined) {
      return failed(
        400,
        `error parsing query: InfluxQL is not supported, got ${quote(statement)}; ` +
          "send SQL to /api/v1/sql or PromQL to /api/v1/query",
      );
    }
    results.push({ statement_id: results.length, ...found });
  }
  return jsonResponse(200, { results }, HEADERS);
}

/** The result of a statement that clients send before they write; undefined for any other. */
function resultOf(statement: string, database: string | null): object | undefined {
  if (CREATE_DATABASE.test(statement)) return {};
  if (!SHOW_DATABASES.test(statement)) return undefined;
  const name = database === null || database === "" ? DATABASE : database;
  return { series: [{ name: "databases", columns: ["name"], values: [[name]] }] };
}

function failed(status: number, message: string, headers: Record<string, string> = {}): Response {
  return jsonResponse(status, { error: message }, { ...HEADERS, ...headers });
}
