/**
 * What a route accepts and answers, beside what it declares itself: parameters, bodies, and answers that are not JSON. A test asks
 * each route with these examples, and compares the answers with these types. Paths that are not here have no parameters that a
 * program needs, and answer with JSON.
 */

/** A parameter of the address, and of a form where the route has POST. */
export interface ParameterDetail {
  readonly name: string;
  readonly what: string;
  readonly required?: boolean;
  readonly repeatable?: boolean;
  readonly type?: "string" | "integer";
  readonly of?: readonly string[];
  readonly example?: string;
}

export interface OperationDetail {
  readonly parameters?: readonly ParameterDetail[];
  /** Bodies by content type, each with an example. */
  readonly bodies?: Readonly<Record<string, string>>;
  /** The status of success. The default is 200. */
  readonly status?: 200 | 202 | 204 | 302;
  /** The types of the answer. The default is JSON. Empty if there is no body. */
  readonly types?: readonly string[];
}

const query: ParameterDetail = {
  name: "query",
  what: "an expression in PromQL",
  required: true,
  example: "up",
};
const match: ParameterDetail = { name: "match[]", what: "a selector of series", repeatable: true };
const TIME = "RFC 3339, or seconds since 1970";
const time = (name: string, what: string, example?: string): ParameterDetail => ({
  ...{ name, what: `${what}: ${TIME}` },
  ...(example === undefined ? {} : { required: true, example }),
});
const limit: ParameterDetail = { name: "limit", what: "the most that is returned", type: "integer" };
const timeout: ParameterDetail = { name: "timeout", what: "the time limit, such as 10s" };
const range = [time("start", "the start of the range"), time("end", "the end of the range")];
const table: ParameterDetail = {
  name: "format",
  what: "the format of the answer; also by the header Accept",
  of: ["table", "json", "ndjson", "csv", "lines", "parquet"],
};
const TABLE_TYPES = [
  "application/json",
  "text/plain",
  "text/csv",
  "application/x-ndjson",
  "application/vnd.apache.parquet",
];
const rangeQuery = [
  query,
  time("start", "the first step", "2024-10-04T11:00:00Z"),
  time("end", "the last step", "2024-10-04T12:00:00Z"),
  { name: "step", what: "the time between two steps, such as 30s", required: true, example: "60s" },
  timeout,
  limit,
];
const EXPOSITION_TYPES = ["text/plain", "application/openmetrics-text", "application/vnd.google.protobuf"];
const TEXT_BODY = "queue_depth 4\n";
const groupBody: OperationDetail = { bodies: { "text/plain": TEXT_BODY }, types: [] };
const page: OperationDetail = { types: ["text/html"] };

const PAGE_PATHS = [
  ...[
    "/",
    "/explore",
    "/tasks",
    "/groups",
    "/alerts",
    "/rejected",
    "/tokens",
    "/queries",
    "/settings",
    "/dashboards",
  ],
  ...["/d/:name", "/d/:name/:title"],
];

/** By the path, or by the method and the path where methods differ. */
export const OPERATION_DETAILS: Readonly<Record<string, OperationDetail>> = {
  ...Object.fromEntries(PAGE_PATHS.map((path) => [path, page])),
  "/graph": { status: 302, types: [] },
  "/ping": { status: 204, types: [] },
  "/metrics": { types: EXPOSITION_TYPES },
  "/prometheus": { types: EXPOSITION_TYPES },
  "/federate": {
    parameters: [{ ...match, required: true, example: '{__name__=~".+"}' }],
    types: EXPOSITION_TYPES,
  },
  "/api/v1/push": {
    bodies: {
      "application/json":
        '[{"metric_name":"http.request.duration_ms","value":234.56,"tags":{"task_id":"t1","operation":"get_task"}}]',
    },
  },
  "/api/v1/write": { bodies: { "application/x-protobuf": "" }, status: 204, types: [] },
  "PUT /metrics/job/*": groupBody,
  "POST /metrics/job/*": groupBody,
  "/api/v1/import/prometheus": { bodies: { "text/plain": TEXT_BODY }, status: 204, types: [] },
  "/write": { bodies: { "text/plain": "queue,host=a depth=4\n" }, status: 204, types: [] },
  "/api/v2/write": { bodies: { "text/plain": "queue,host=a depth=4\n" }, status: 204, types: [] },
  "/v1/metrics": {
    bodies: { "application/json": '{"resourceMetrics":[]}', "application/x-protobuf": "" },
    types: ["application/json", "application/x-protobuf"],
  },
  "/api/v1/query": { parameters: [query, time("time", "the time of the evaluation"), timeout, limit] },
  "/api/v1/query_range": { parameters: rangeQuery },
  "/api/metrics/query_range": { parameters: rangeQuery },
  "/api/v1/fleet/query": { parameters: [query, time("time", "the time of the evaluation"), timeout, limit] },
  "/api/v1/fleet/query_range": { parameters: rangeQuery },
  "GET /api/v1/fleet/sql": {
    parameters: [
      { name: "q", what: "a SELECT statement", required: true, example: "SELECT 1 AS one" },
      limit,
    ],
  },
  "/api/v1/format_query": { parameters: [query] },
  "/api/v1/parse_query": { parameters: [query] },
  "/api/v1/query_exemplars": { parameters: [query, ...range] },
  "/api/v1/series": { parameters: [{ ...match, required: true, example: "up" }, ...range, limit] },
  "/api/v1/labels": { parameters: [match, ...range, limit] },
  "/api/v1/label/:name/values": { parameters: [match, ...range, limit] },
  "/api/v1/metadata": { parameters: [{ name: "metric", what: "only this metric" }, limit] },
  "/api/v1/search/metric_names": { types: ["application/x-ndjson"] },
  "/api/v1/search/label_names": { types: ["application/x-ndjson"] },
  "/api/v1/search/label_values": {
    parameters: [
      { name: "label", what: "the label whose values are searched", required: true, example: "job" },
    ],
    types: ["application/x-ndjson"],
  },
  "GET /api/v1/sql": {
    parameters: [
      { name: "q", what: "a SELECT statement", required: true, example: "SELECT 1 AS one" },
      table,
      limit,
    ],
    types: TABLE_TYPES,
  },
  "POST /api/v1/sql": {
    parameters: [table, limit],
    bodies: {
      "text/plain": "SELECT 1 AS one",
      "application/json": '{"sql":"SELECT $n AS n","params":{"n":1},"limit":10,"timeoutMs":1000}',
    },
    types: TABLE_TYPES,
  },
  "/api/v1/sql/functions": {
    parameters: [{ name: "match", what: "a pattern such as regexp*" }, table],
    types: TABLE_TYPES,
  },
  "/api/v1/tables": {
    parameters: [{ name: "match", what: "a pattern such as http*" }, table],
    types: TABLE_TYPES,
  },
  "/api/v1/summaries/:name": {
    parameters: [
      { name: "from", what: "the start of the range, such as -24h" },
      { name: "to", what: "the end of the range" },
      table,
      limit,
    ],
    types: TABLE_TYPES,
  },
  "GET /api/v1/export": {
    parameters: [
      { name: "from", what: "the start of the range, such as -24h" },
      { name: "to", what: "the end of the range" },
      { name: "metric", what: "only this metric" },
    ],
    types: ["application/x-ndjson"],
  },
};

/** Names of the variable parts of paths that lead to something in a new gateway. Others answer 404 there. */
export const PATH_EXAMPLES: Readonly<Record<string, string>> = {
  "/api/v1/summaries/:name": "workers",
  "/api/v1/dashboards/:name": "gateway",
  "/api/v1/label/:name/values": "job",
};
