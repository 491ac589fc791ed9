/**
 * `POST /api/v1/sql` with `{"sql", "params"?, "limit"?, "timeoutMs"?}`, a form, or the bare statement as its body,
 * and `GET /api/v1/sql?q=` (or `sql=`): runs one read-only statement and answers in the format of `format=` or
 * `Accept`.
 *
 * A form has the parameters of the query string. curl declares every body of `-d` a form. A bare statement is
 * recognised because it does not begin with the name of a parameter.
 *
 * `GET /api/v1/sql/functions` lists the functions that a statement may call. `match=` selects some.
 *
 * Parameters are bound: an array for `$1` or `?`, an object for `$name`, and in a query string `param.name=text`.
 */

import type { Caller } from "../../access/access.ts";
import { BadInput, quote, Unsupported } from "../../model/errors.ts";
import type { Formats } from "../../query/formats/all.ts";
import { functionRows, listFunctions } from "../../query/sql/function-list.ts";
import type { QueryOptions, QueryResult } from "../../query/sql/sql-engine.ts";
import type { Parameters } from "../../store/store.ts";
import { parseExactJson } from "../../wire/json/exact-number.ts";
import { findJsonError } from "../../wire/json/json-error.ts";
import { noteAskedQuery } from "../asked-query.ts";
import { type BodyLimits, readBody, routeBodyLimits } from "../body.ts";
import { jsonResponse } from "../error-answers.ts";
import { contentTypeOf } from "../negotiation.ts";
import { readCount, rejectUnknown, unknownParameter } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { answer, chooseFormat, readLimits } from "./query-answer.ts";
import { readParameters, readTextParameters } from "./sql-parameters.ts";

interface SqlDependencies {
  readonly engine: { query(sql: string, options: QueryOptions): Promise<QueryResult> };
  readonly formats: Formats;
  readonly limits: BodyLimits;
}

/** The statement of a request, with its parameters and limits. */
interface Asked {
  readonly sql: string;
  readonly parameters?: Parameters;
  readonly limitRows?: number;
  readonly timeoutMs?: number;
}

const FIELDS = ["sql", "params", "limit", "timeoutMs"];
const QUERY = ["q", "sql", "format", "limit", "timeoutMs"];
/** The beginning of a form, with which no statement begins. */
const FORM = /^(?:q|sql|format|limit|timeoutMs|param\.[^=&]*)=/;
const PREFIX = "param.";
/** Statements are short. This leaves room for their parameters. */
const BODY_BYTES_MAX = 1_048_576;

/** A statement reads only the series of the caller. */
const OWN = { scope: "sql", bound: "narrows" } as const;
/** The list of functions depends on nothing that was pushed. */
const SAME = { scope: "sql", bound: "same" } as const;

export const sqlRoutes = ({ engine, formats, limits }: SqlDependencies) => {
  const bodyLimits = routeBodyLimits(limits, BODY_BYTES_MAX);
  const run = async (
    request: Request,
    { labels }: Caller,
    query: URLSearchParams,
    read: (query: URLSearchParams) => Asked,
  ) => {
    const format = chooseFormat(query.get("format"), request.headers.get("accept"));
    const { sql, ...options } = read(query);
    noteAskedQuery(request, sql);
    return await answer(
      await engine.query(sql, { ...options, labels, signal: request.signal }),
      format,
      formats,
    );
  };
  return new Routes()
    .on("GET", "/api/v1/sql/functions", SAME, "lists the functions that a statement may call", (request) =>
      functions(request, formats),
    )
    .on("GET", "/api/v1/sql", OWN, "runs a read-only SQL statement", (request, _, caller) =>
      run(request, caller, queryOf(request.url), fromQuery),
    )
    .on("POST", "/api/v1/sql", OWN, "runs a read-only SQL statement", async (request, _, caller) => {
      const query = queryOf(request.url);
      const { type } = contentTypeOf(request);
      if (type.startsWith("multipart/"))
        throw new Unsupported(
          `Content-Type ${quote(request.headers.get("content-type"))} is not supported; send the statement as text, as JSON, or as a form that is ` +
            "application/x-www-form-urlencoded (curl: --data-urlencode).",
        );
      const body = await readBody(request, bodyLimits);
      const text = textOf(body);
      if (type === "application/x-www-form-urlencoded" && FORM.test(text)) {
        for (const [name, value] of new URLSearchParams(text)) query.append(name, value);
        return await run(request, caller, query, fromQuery);
      }
      return await run(request, caller, query, () => fromBody(text, body, type, query));
    });
};

/** The functions that a statement may call: an object in JSON, rows in the other formats. */
async function functions(request: Request, formats: Formats): Promise<Response> {
  const query = queryOf(request.url);
  rejectUnknown(query, ["match", "format"]);
  const format = chooseFormat(query.get("format"), request.headers.get("accept"));
  const listed = listFunctions(query.get("match") ?? undefined);
  if (format === "json") return jsonResponse(200, { functions: listed });
  return await answer(functionRows(listed), format, formats);
}

function fromQuery(query: URLSearchParams): Asked {
  const [sql, more] = [...query.getAll("q"), ...query.getAll("sql")];
  if (sql === undefined)
    throw new BadInput("The query parameter q is missing; expected a SELECT statement as q= or sql=.", "q");
  if (more !== undefined) throw new BadInput("q and sql are given together; expected one statement.", "q");
  return { sql, ...readQuery(query, QUERY) };
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new BadInput("The body is not UTF-8.");
  }
}

function fromBody(text: string, body: Uint8Array, type: string, query: URLSearchParams): Asked {
  const outside = readQuery(query, QUERY.slice(2));
  // No statement begins with a brace, so JSON is recognised without a content type too.
  if (!/^application\/(.+\+)?json$/.test(type) && !text.trimStart().startsWith("{"))
    return { sql: text, ...outside };
  let value: unknown;
  try {
    value = parseExactJson(text);
  } catch {
    const problem = findJsonError(body, 0, body.length);
    const place =
      problem === undefined ? "it continues after its end" : `byte ${problem.position} ${problem.message}`;
    throw new BadInput(`The body is not JSON: ${place}.`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new BadInput(`The body is ${quote(value)}; expected an object with "sql".`);
  const fields = value as Record<string, unknown>;
  for (const field of Object.keys(fields)) {
    if (!FIELDS.includes(field))
      throw new BadInput(`The field ${quote(field)} is unknown; expected ${FIELDS.join(", ")}.`, field);
  }
  if (typeof fields.sql !== "string")
    throw new BadInput(`sql is ${quote(fields.sql)}; expected a SELECT statement as text.`, "sql");
  return {
    sql: fields.sql,
    parameters: readParameters(fields.params) ?? outside.parameters,
    limitRows: readCount(fields.limit, "limit") ?? outside.limitRows,
    timeoutMs: readCount(fields.timeoutMs, "timeoutMs") ?? outside.timeoutMs,
  };
}

function readQuery(query: URLSearchParams, known: readonly string[]): Omit<Asked, "sql"> {
  const given: Record<string, string> = {};
  for (const [name, value] of query) {
    if (name.startsWith(PREFIX)) given[name.slice(PREFIX.length)] = value;
    else if (!known.includes(name)) throw unknownParameter(name, [...known, `${PREFIX}NAME`]);
  }
  return {
    ...readLimits(query),
    parameters: Object.keys(given).length === 0 ? undefined : readTextParameters(given),
  };
}
