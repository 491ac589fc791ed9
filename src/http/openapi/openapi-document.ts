/**
 * The description of the API in OpenAPI 3.1, made of the routes: paths, methods, summaries and permissions. operation-details.ts adds
 * parameters, bodies and types of answers. Its schemas say the types of parameters only; README.md of each protocol describes the
 * bodies.
 */
import type { Route } from "../routes.ts";
import {
  OPERATION_DETAILS,
  type OperationDetail,
  type ParameterDetail,
  PATH_EXAMPLES,
} from "./operation-details.ts";

type Json = Readonly<Record<string, unknown>>;

/** @param routes every route of the gateway */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const byPath = Map.groupBy(routes, ({ path }) => templateOf(path));
  const paths = [...byPath]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, each]) => [path, pathItem(each)]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Weir",
      version,
      description:
        "A push gateway for metrics with its own store. Each path with GET also supports HEAD, and each path OPTIONS. The scope of a " +
        "token is in x-weir-permission; a gateway without tokens needs none.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "a token of `weir token create`" },
        basic: { type: "http", scheme: "basic", description: "a token as the password, with any user" },
      },
      schemas: { Error: ERROR },
    },
  };
}

/** The errors of all routes without a form of their own. */
const ERROR = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: { code: { type: "string" }, message: { type: "string" }, field: { type: "string" } },
      required: ["code", "message"],
    },
  },
};

/** `/a/:name/*` as `/a/{name}/{path}`. The rest of a path contains slashes, which OpenAPI cannot say. */
function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{path}");
}

function pathItem(routes: readonly Route[]): Json {
  const [{ path }] = routes as [Route];
  const variables = [...templateOf(path).matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
    ...(PATH_EXAMPLES[path] === undefined ? {} : { example: PATH_EXAMPLES[path] }),
  }));
  const operations = routes.map((route) => [route.method.toLowerCase(), operation(route)]);
  return { ...(variables.length === 0 ? {} : { parameters: variables }), ...Object.fromEntries(operations) };
}

function operation(route: Route): Json {
  const { method, path, summary, permission, answerError } = route;
  const detail = OPERATION_DETAILS[`${method} ${path}`] ?? OPERATION_DETAILS[path] ?? {};
  const { parameters = [] } = detail;
  // A query that is too long for an address is sent as a form.
  const isForm = method === "POST" && parameters.length > 0 && detail.bodies === undefined;
  return {
    operationId: `${method.toLowerCase()} ${path.replace("/-/", "/gateway/")}`
      .replaceAll(/[^A-Za-z0-9]+/g, "_")
      .replace(/_$/, ""),
    summary,
    tags: [tagOf(path)],
    "x-weir-permission": permission,
    security: permission === "none" ? [] : [{ bearer: [] }, { basic: [] }],
    ...(parameters.length === 0 || isForm ? {} : { parameters: parameters.map(parameterOf) }),
    ...(isForm || detail.bodies !== undefined ? { requestBody: bodyOf(detail, isForm) } : {}),
    responses: {
      [String(detail.status ?? 200)]: success(detail),
      default: {
        description: "an error",
        // A protocol with a form of its own says it in its document.
        ...(answerError === undefined
          ? { content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } } }
          : {}),
      },
    },
  };
}

function success({ types = ["application/json"], status = 200 }: OperationDetail): Json {
  const description = status === 204 ? "done" : status === 302 ? "another address" : "the answer";
  if (types.length === 0) return { description };
  return { description, content: Object.fromEntries(types.map((type) => [type, {}])) };
}

function parameterOf(detail: ParameterDetail): Json {
  const { name, what, required, example } = detail;
  return {
    ...{ name, in: "query", description: what, schema: schemaOf(detail) },
    ...(required === true ? { required } : {}),
    ...(example === undefined ? {} : { example }),
  };
}

function schemaOf({ type = "string", of, repeatable }: ParameterDetail): Json {
  const one = of === undefined ? { type } : { type, enum: of };
  return repeatable === true ? { type: "array", items: one } : one;
}

function bodyOf({ parameters = [], bodies = {} }: OperationDetail, isForm: boolean): Json {
  if (!isForm) {
    const content = Object.entries(bodies).map(([type, example]) => [
      type,
      example === "" ? {} : { example },
    ]);
    return { required: true, content: Object.fromEntries(content) };
  }
  const schema = {
    type: "object",
    properties: Object.fromEntries(
      parameters.map((each) => [each.name, { ...schemaOf(each), description: each.what }]),
    ),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  };
  return { content: { "application/x-www-form-urlencoded": { schema } } };
}

/** The first part of a path that says what it is about. */
function tagOf(path: string): string {
  const [first = "", second = "", third = ""] = path.split("/").filter(Boolean);
  if (first === "api" && /^v\d$/.test(second)) return third || "api";
  if (first === "v1") return "opentelemetry";
  return first === "-" ? "lifecycle" : first || "page";
}
