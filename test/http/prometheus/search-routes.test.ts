/** Prometheus's search API with the real gateway: what it finds, in which order, in which lines, and its errors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";

const NOW_MS = Date.UTC(2026, 0, 5, 12);
const DAY_MS = 86_400_000;

let gateway: TestGateway;

const gauge = (metric_name: string, tags: Record<string, string>, more: object = {}) => ({
  "@timestamp": NOW_MS - 60_000,
  metric_name,
  type: "gauge",
  value: 1,
  tags,
  ...more,
});

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--retention-days=7");
  const events = [
    gauge("go_goroutines", { job: "prometheus", instance: "a:1" }, { help: "Number of goroutines." }),
    gauge("go_gc_heap_goal_bytes", { job: "prometheus", instance: "a:1" }, { unit: "bytes" }),
    gauge("up", { job: "prometheus", instance: "a:1" }),
    gauge("up", { job: "node", instance: "b:1" }),
    gauge("old_metric", { job: "old", last_year: "x" }, { "@timestamp": NOW_MS - 3 * DAY_MS }),
    { ...gauge("task.ms", { job: "node" }), type: undefined, value: 5 },
  ];
  const pushed = await gateway.fetch("/api/v1/push", { method: "POST", body: JSON.stringify(events) });
  expect(pushed.status).toBe(200);
});
afterAll(() => gateway.close());

type Parameters = Record<string, string | readonly string[]>;

function encode(parameters: Parameters): string {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const each of [value].flat()) encoded.append(name, each);
  return encoded.toString();
}

async function lines(what: string, parameters: Parameters = {}) {
  const answer = await gateway.fetch(`/api/v1/search/${what}?${encode(parameters)}`);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(text);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** The names of an answer with one batch. */
async function names(what: string, parameters: Parameters = {}) {
  const [{ results }, ...rest] = await lines(what, parameters);
  expect(rest).toEqual([{ status: "success", has_more: false }]);
  return results.map(({ name }: { name: string }) => name);
}

const OWN = ["go_gc_heap_goal_bytes", "go_goroutines", "task_ms", "task_ms_bucket", "task_ms_count"];

describe("metric_names", () => {
  test("are all names of the day without a search, by name, and no others", async () => {
    expect(await names("metric_names")).toEqual([...OWN, "task_ms_sum", "up"]);
  });

  test("of earlier days are found with their times", async () => {
    const start = String((NOW_MS - 4 * DAY_MS) / 1000);
    expect(await names("metric_names", { start, "search[]": "old" })).toEqual(["old_metric"]);
    expect(await names("metric_names", { start, end: start })).toEqual([]);
  });

  test("have scores: 1 for a beginning, less for a subsequence", async () => {
    const [{ results }] = await lines("metric_names", {
      "search[]": "go",
      sort_by: "score",
      include_score: "true",
    });
    expect(results).toEqual([
      { name: "go_gc_heap_goal_bytes", score: 1 },
      { name: "go_goroutines", score: 1 },
    ]);
    const [{ results: gr }] = await lines("metric_names", { "search[]": "gr", include_score: "1" });
    // "g" of "goroutines" and "r" after one other; 3 characters before, 7 after, of 13.
    expect(gr).toEqual([
      { name: "go_goroutines", score: expect.closeTo((2 - 3 / 13 - 1 / 13 - 7 / 26) / 4, 12) },
    ]);
  });

  test("have type, help and unit on request, also the parts of a histogram", async () => {
    const [{ results }] = await lines("metric_names", {
      "search[]": ["go_goro", "go_gc", "task_ms_co"],
      include_metadata: "true",
    });
    expect(results).toEqual([
      { name: "go_gc_heap_goal_bytes", type: "gauge", unit: "bytes" },
      { name: "go_goroutines", type: "gauge", help: "Number of goroutines." },
      { name: "task_ms_count", type: "histogram" },
    ]);
  });

  test("are limited, and the last line says that there are more", async () => {
    expect(await lines("metric_names", { limit: "2" })).toEqual([
      { results: [{ name: "go_gc_heap_goal_bytes" }, { name: "go_goroutines" }] },
      { status: "success", has_more: true },
    ]);
  });

  test("come in batches", async () => {
    const found = await lines("metric_names", { batch_size: "3" });
    expect(found.slice(0, -1).map(({ results }) => results.length)).toEqual([3, 3, 1]);
  });

  test("are one empty batch if none matches", async () => {
    expect(await lines("metric_names", { "search[]": "xyz" })).toEqual([
      { results: [] },
      { status: "success", has_more: false },
    ]);
  });

  test("of several selectors are joined, each once", async () => {
    expect(await names("metric_names", { "match[]": ["up", '{instance="a:1"}'] })).toEqual([
      "go_gc_heap_goal_bytes",
      "go_goroutines",
      "up",
    ]);
  });

  test("descend, and ignore case on request", async () => {
    const parameters = { "search[]": "GO_", case_sensitive: "false", sort_by: "alpha", sort_dir: "dsc" };
    expect(await names("metric_names", parameters)).toEqual(["go_goroutines", "go_gc_heap_goal_bytes"]);
  });

  test("are found with a mistake by both algorithms", async () => {
    const typo = { "search[]": "go_goroutins", fuzz_threshold: "80" };
    expect(await names("metric_names", typo)).toEqual(["go_goroutines"]);
    expect(await names("metric_names", { ...typo, fuzz_alg: "jarowinkler", fuzz_threshold: "95" })).toEqual([
      "go_goroutines",
    ]);
  });

  test("are answered to a form that is POSTed, and unknown parameters are ignored as upstream", async () => {
    const answer = await gateway.fetch("/api/v1/search/metric_names?include_cardinality=true", {
      method: "POST",
      body: new URLSearchParams({ "search[]": "up" }),
    });
    expect(await answer.text()).toBe('{"results":[{"name":"up"}]}\n{"status":"success","has_more":false}\n');
  });
});

test("label_names are found with the labels that PromQL shows", async () => {
  expect(await names("label_names")).toEqual(["__name__", "instance", "job", "le"]);
  expect(await names("label_names", { "search[]": "ob" })).toEqual(["job"]);
  expect(await names("label_names", { "match[]": "task_ms" })).toEqual(["__name__", "job"]);
});

describe("label_values", () => {
  test("are those of a label, also of the name and of buckets", async () => {
    expect(await names("label_values", { label: "job" })).toEqual(["node", "prometheus"]);
    expect(await names("label_values", { label: "__name__", "search[]": "up" })).toEqual(["up"]);
    expect(await names("label_values", { label: "le", "search[]": "Inf" })).toEqual(["+Inf"]);
    expect(await names("label_values", { label: "job", "match[]": "go_goroutines" })).toEqual(["prometheus"]);
    expect(await names("label_values", { label: "none" })).toEqual([]);
  });
});

describe("an error", () => {
  test.each<[string, Parameters, string]>([
    ["label_values", {}, 'missing required parameter "label"'],
    ["metric_names", { sort_by: "cardinality" }, '"cardinality" must be "alpha" or "score"'],
    ["metric_names", { sort_by: "score" }, "sort_by=score requires search[] to be set"],
    ["metric_names", { sort_dir: "asc" }, "only valid when sort_by is set"],
    [
      "metric_names",
      { sort_by: "score", "search[]": "a", sort_dir: "asc" },
      "not supported for sort_by=score",
    ],
    ["label_names", { sort_by: "alpha", sort_dir: "up" }, '"up" must be "asc" or "dsc"'],
    ["metric_names", { fuzz_threshold: "101" }, '"101" must be 0-100'],
    ["metric_names", { fuzz_alg: "levenshtein" }, "must be one of subsequence, jarowinkler"],
    ["metric_names", { case_sensitive: "maybe" }, '"maybe" must be boolean'],
    ["metric_names", { include_metadata: "maybe" }, '"maybe" must be boolean'],
    ["metric_names", { limit: "0" }, '"0" must be a positive integer'],
    ["metric_names", { limit: "-1" }, '"-1" must be a positive integer'],
    ["metric_names", { limit: "10001" }, "exceeds the configured maximum of 10000"],
    ["metric_names", { batch_size: "0" }, '"0" must be a positive integer'],
    ["metric_names", { start: "7200", end: "3600" }, "end timestamp must not be before start timestamp"],
    ["metric_names", { "match[]": "{" }, 'invalid parameter "match[]"'],
    ["metric_names", { "search[]": "x".repeat(257) }, "has more than 256 characters"],
    ["metric_names", { "search[]": ["x", "y", "z"].map((term) => term.repeat(171)) }, "have 513 characters"],
    ["metric_names", { "search[]": Array.from({ length: 17 }, () => "x") }, "17 terms were sent, at most 16"],
  ])("of %p with %p is a sentence in the form of the API", async (what, parameters, message) => {
    const answer = await gateway.fetch(`/api/v1/search/${what}?${encode(parameters)}`);
    expect(answer.status).toBe(400);
    const body = (await answer.json()) as { status: string; errorType: string; error: string };
    expect(body).toMatchObject({ status: "error", errorType: "bad_data" });
    expect(body.error).toContain(message);
  });
});
