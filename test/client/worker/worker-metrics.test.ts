/** The rules of workers, one line each, and against the events of workers that were written before there was a client. */
import { describe, expect, test } from "bun:test";
import {
  createWorkerMetrics,
  type FetchFunction,
  type JobOutcome,
  requestTags,
  type WorkerRequest,
} from "../../../src/client/worker/worker.ts";
import type { SampleTags } from "../../../src/client/index.ts";
import { SPECIALS, workerEvents } from "../../fixtures/worker-events.ts";

type Recorded = readonly [
  kind: string,
  name: string,
  value: number | undefined,
  tags: SampleTags | undefined,
];

/** A client that only remembers. */
function remembering() {
  const recorded: Recorded[] = [];
  const weir = {
    pushUrl: "http://127.0.0.1:9091/api/v1/push",
    observe: (...sample: [string, number, SampleTags?]) =>
      void recorded.push(["observe", sample[0], sample[1], sample[2]]),
    increment: (name: string, by?: number, tags?: SampleTags) =>
      void recorded.push(["increment", name, by, tags]),
    set: (name: string, value: number, tags?: SampleTags) => void recorded.push(["set", name, value, tags]),
  };
  return { recorded, metrics: createWorkerMetrics(weir) };
}

describe("the tags of a request", () => {
  const request: WorkerRequest = {
    operation: "target_request",
    url: "https://api.code.example/repos/issues",
    method: "GET",
    status: 200,
    durationMs: 12.5,
    taskId: "1704067200_abc123",
  };
  /** `undefined` stands for a tag that must be absent. */
  const rule = (given: Partial<WorkerRequest>, want: Record<string, string | undefined>) => {
    const tags: Record<string, string | undefined> = requestTags({ ...request, ...given });
    expect({ given, ...Object.fromEntries(Object.keys(want).map((tag) => [tag, tags[tag]])) }).toEqual({
      given,
      ...want,
    });
  };

  test("are all there for a request to a target", () => {
    expect(requestTags(request)).toEqual({
      task_id: "1704067200_abc123",
      operation: "target_request",
      url: "https://api.code.example/repos/issues",
      domain: "api.code.example",
      method: "GET",
      status_code: "200",
      success: "true",
    });
  });

  test("url has no query, fragment or credentials", () => {
    rule({ url: "https://a.example/x?secret=1&b=2" }, { url: "https://a.example/x", domain: "a.example" });
    rule({ url: "https://a.example/x#part?no" }, { url: "https://a.example/x" });
    rule(
      { url: "https://user:pass@a.example:8443/x?y" },
      { url: "https://a.example:8443/x", domain: "a.example" },
    );
    rule({ url: "https://a.example?x=1" }, { url: "https://a.example", domain: "a.example" });
    rule({ url: new URL("https://a.example/x?y=1") }, { url: "https://a.example/x" });
    rule({ url: "https://a.example/x@y?z" }, { url: "https://a.example/x@y" });
  });

  test("url and domain are unknown if the URL is missing or invalid", () => {
    for (const url of [
      undefined,
      null,
      "",
      "not a url",
      "/api/get-task",
      "https://",
      "mailto:a@b.example",
      {},
    ])
      rule({ url }, { url: "unknown", domain: "unknown" });
  });

  test("status_code is the status, and unknown after a network error or a timeout", () => {
    rule({ status: 204 }, { status_code: "204" });
    rule({ status: "404" }, { status_code: "404" });
    rule({ status: undefined, error: new TypeError("fetch failed") }, { status_code: "unknown" });
    rule({ status: undefined, error: "timeout" }, { status_code: "unknown" });
    rule({ status: undefined }, { status_code: "unknown" });
    for (const status of [0, -1, Number.NaN, 99, 1_000, 200.5, "", "OK"])
      rule({ status }, { status_code: "unknown" });
    rule(
      { status: 200, error: new Error("the body broke off") },
      { status_code: "unknown", success: "false" },
    );
  });

  test("success of a request to a target is true below 400", () => {
    for (const status of [200, 201, 204, 301, 399])
      rule({ status }, { success: "true", has_task: undefined });
    for (const status of [400, 404, 429, 500, 599])
      rule({ status }, { success: "false", error_type: undefined });
    rule({ status: undefined, error: "timeout" }, { success: "false" });
  });

  test("has_task of get_task is true for 200 and false for 204", () => {
    const get = { operation: "get_task" } as const;
    rule({ ...get, status: 200 }, { has_task: "true", success: undefined });
    rule({ ...get, status: 204 }, { has_task: "false", success: undefined });
    rule({ ...get, status: 200, hasTask: false }, { has_task: "false" });
    rule({ ...get, status: 500 }, { has_task: undefined, success: "false" });
    rule({ ...get, error: "timeout" }, { has_task: undefined, success: undefined });
    rule({ operation: "target_request", status: 200, hasTask: true }, { has_task: undefined });
  });

  test("error_type of a failed upload_result says what kind of failure it was", () => {
    const upload = (status: number | undefined, type: string | undefined) =>
      rule({ operation: "upload_result", status }, { error_type: type });
    upload(429, "rate_limit");
    upload(408, "timeout");
    upload(504, "timeout");
    upload(500, "server_error");
    upload(503, "server_error");
    upload(599, "server_error");
    upload(400, "client_error");
    upload(403, "client_error");
    upload(499, "client_error");
    upload(200, undefined);
    upload(399, undefined);
    upload(undefined, undefined);
    rule({ operation: "upload_file", status: 500 }, { error_type: undefined, success: "false" });
    rule({ operation: "target_request", status: 429 }, { error_type: undefined });
  });

  test("task_id is none without a task", () => {
    for (const taskId of [undefined, null, ""]) rule({ taskId }, { task_id: "none" });
    rule({ taskId: "1_a" }, { task_id: "1_a" });
  });

  test("method is upper case, and unknown if it is missing", () => {
    rule({ method: "post" }, { method: "POST" });
    rule({ method: "" }, { method: "unknown" });
  });
});

test("an upload is inline up to 512 bytes, and direct above", () => {
  const { recorded, metrics } = remembering();
  for (const bytes of [0, 512, 513, 1_548_672]) metrics.recordUpload({ bytes, taskId: "1_a" });
  expect(recorded.map(([, name, value, tags]) => [name, value, tags?.upload_type, tags?.task_id])).toEqual([
    ["upload.size_bytes", 0, "inline", "1_a"],
    ["upload.size_bytes", 512, "inline", "1_a"],
    ["upload.size_bytes", 513, "direct", "1_a"],
    ["upload.size_bytes", 1_548_672, "direct", "1_a"],
  ]);
});

test("a task has its target's status as http_status", () => {
  const { recorded, metrics } = remembering();
  const task = { taskId: "1_a", method: "GET", url: "https://api.code.example/x?y", durationMs: 2_345.89 };
  metrics.recordTask({ ...task, httpStatus: 404 });
  metrics.recordTask({ ...task, url: "nowhere" });
  const tags = { task_id: "1_a", method: "GET", domain: "api.code.example", http_status: "404" };
  expect(recorded).toEqual([
    ["observe", "task.processing_duration_ms", 2_345.89, tags],
    [
      "observe",
      "task.processing_duration_ms",
      2_345.89,
      { ...tags, domain: "unknown", http_status: "unknown" },
    ],
  ]);
});

test("the same facts give the tags that workers have written", () => {
  const { recorded, metrics } = remembering();
  // One round of all special cases.
  const events = [
    ...workerEvents({ startMs: Date.UTC(2024, 0, 1), days: 1, worker: 0, tasksPerDay: SPECIALS.length * 8 }),
  ];
  expect(events.length).toBeGreaterThan(1_500);
  for (const { metric_name, value, tags } of events) {
    const { task_id: taskId = "", method = "", url, domain, status_code, http_status } = tags;
    const of = (status: string | undefined) => (status === "unknown" ? undefined : status);
    if (metric_name === "upload.size_bytes") metrics.recordUpload({ bytes: value, taskId });
    else if (metric_name === "task.processing_duration_ms")
      metrics.recordTask({
        taskId,
        method,
        url: domain === "unknown" ? "unknown" : `https://${domain}/path?query`,
        httpStatus: of(http_status),
        durationMs: value,
      });
    else
      metrics.recordRequest({
        operation: tags.operation!,
        url: `${url}?query=1`,
        method,
        status: of(status_code),
        durationMs: value,
        taskId: taskId === "none" ? undefined : taskId,
      });
  }
  expect(recorded.map(([, name, value, tags]) => ({ metric_name: name, value, tags }))).toEqual(
    events.map(({ metric_name, value, tags }) => ({ metric_name, value, tags: { ...tags } })),
  );
});

describe("an instrumented fetch", () => {
  test("returns the same answer, unread, and records the request", async () => {
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => new Response(`got ${await request.text()}`, { status: 201 }),
    });
    const { recorded, metrics } = remembering();
    let sent: Response | undefined;
    const original = async (...args: Parameters<typeof fetch>) => {
      sent = await fetch(...args);
      return sent;
    };
    const instrumented = metrics.instrumentFetch(original, { taskId: () => "1_a" });
    const url = `${server.url.origin}/path?query=1`;
    const answer = await instrumented(url, { method: "put", body: "a body" });
    expect(answer).toBe(sent!);
    expect(answer.bodyUsed).toBe(false);
    expect(await answer.text()).toBe("got a body");
    await instrumented(new Request(url, { method: "DELETE" }));
    await instrumented(new URL(url));
    expect(recorded.map(([, name, , tags]) => [name, tags?.method, tags?.status_code])).toEqual([
      ["http.request.duration_ms", "PUT", "201"],
      ["http.request.duration_ms", "DELETE", "201"],
      ["http.request.duration_ms", "GET", "201"],
    ]);
    expect(recorded[0]![3]).toEqual({
      task_id: "1_a",
      operation: "target_request",
      url: `${server.url.origin}/path`,
      domain: "127.0.0.1",
      method: "PUT",
      status_code: "201",
      success: "true",
    });
  });

  test("passes on the same error, and records that there was no answer", async () => {
    const { recorded, metrics } = remembering();
    const failures = [new TypeError("fetch failed"), undefined, "a reason"];
    for (const failure of failures) {
      const fails: FetchFunction = () => Promise.reject(failure);
      const instrumented = metrics.instrumentFetch(fails);
      const result = await instrumented("https://a.example/").then(
        () => "an answer",
        (error: unknown) => [error],
      );
      expect(result).toEqual([failure]);
    }
    expect(recorded.map(([, , , tags]) => [tags?.status_code, tags?.success])).toEqual(
      failures.map(() => ["unknown", "false"]),
    );
  });

  test("keeps the properties of fetch, and passes all parameters on", async () => {
    const { metrics } = remembering();
    const calls: unknown[][] = [];
    const original = Object.assign(
      (...args: unknown[]) => {
        calls.push(args);
        return Promise.resolve(new Response());
      },
      { preconnect: () => "preconnected" },
    );
    const instrumented = metrics.instrumentFetch(original);
    expect(instrumented.preconnect()).toBe("preconnected");
    const init = { method: "GET" };
    await instrumented("https://a.example/", init, "a third parameter");
    expect(calls).toEqual([["https://a.example/", init, "a third parameter"]]);
    expect(calls[0]![1]).toBe(init);
  });

  test("takes the operation from a function, and survives functions that throw", async () => {
    const { recorded, metrics } = remembering();
    const ok: FetchFunction = () => Promise.resolve(new Response(null, { status: 204 }));
    const operation = (url: string, method: string) =>
      url.endsWith("/get-task") && method === "GET" ? "get_task" : "target_request";
    await metrics.instrumentFetch(ok, { operation })("https://a.example/get-task");
    const broken = () => {
      throw new Error("the worker's function has a fault");
    };
    await metrics.instrumentFetch(ok, { operation: broken, taskId: broken })("https://a.example/x");
    expect(recorded.map(([, , , tags]) => [tags?.operation, tags?.has_task, tags?.task_id])).toEqual([
      ["get_task", "false", "none"],
      ["unknown", undefined, "none"],
    ]);
  });

  test("does not record the client's own requests", async () => {
    const { recorded, metrics } = remembering();
    const ok: FetchFunction = () => Promise.resolve(new Response());
    const instrumented = metrics.instrumentFetch(ok);
    await instrumented("http://127.0.0.1:9091/api/v1/push", { method: "POST" });
    expect(recorded).toEqual([]);
  });
});

describe("a job", () => {
  const job = { service: "render", priority: 5, workerId: "_1" };
  const tags = { service: "render", priority: "5", worker_id: "_1" };
  const ofNames = (recorded: readonly Recorded[]) =>
    recorded.map(([, name, value, { status, error_type } = {}]) =>
      [name, name.endsWith("_seconds") ? "s" : value, status, error_type].filter(
        (part) => part !== undefined,
      ),
    );

  test("that completes is counted at its start and its end, with its wait, duration and output", async () => {
    const { recorded, metrics } = remembering();
    const queuedAt = Date.now() - 1_500;
    const outcome = (output: string): JobOutcome => ({ outputBytes: output.length });
    expect(await metrics.runJob({ ...job, queuedAt }, () => "the output", outcome)).toBe("the output");
    expect(ofNames(recorded)).toEqual([
      ["jobs_processed_total", 1, "started"],
      ["jobs_active", 1],
      ["job_queue_wait_seconds", "s"],
      ["jobs_processed_total", 1, "completed"],
      ["job_duration_seconds", "s", "completed"],
      ["jobs_active", 0],
      ["job_output_size_bytes", 10],
    ]);
    expect(
      recorded.every(([, , , each]) => Object.entries(tags).every(([tag, text]) => each?.[tag] === text)),
    ).toBe(true);
    const wait = recorded.find(([, name]) => name === "job_queue_wait_seconds")![2]!;
    expect(wait).toBeGreaterThanOrEqual(1.5);
    expect(wait).toBeLessThan(60);
  });

  test("that throws is counted as failed with the kind of its error, and throws", async () => {
    const { recorded, metrics } = remembering();
    const failures: readonly (readonly [unknown, string, string])[] = [
      [new Error("Timeout of 5 s"), "timeout", "Error"],
      [new RangeError("out of memory"), "memory", "RangeError"],
      [new Error("network is unreachable"), "network", "Error"],
      [Object.assign(new Error("socket hang up"), { code: "ECONNRESET" }), "connection", "Error"],
      [new TypeError("x is not a function"), "unknown", "TypeError"],
      ["a text", "unknown", "unknown"],
      [null, "unknown", "unknown"],
    ];
    for (const [failure, type, name] of failures) {
      recorded.length = 0;
      const run = metrics.runJob(job, () => Promise.reject(failure));
      expect(await run.catch((error: unknown) => [error])).toEqual([failure]);
      expect(ofNames(recorded)).toEqual([
        ["jobs_processed_total", 1, "started"],
        ["jobs_active", 1],
        ["jobs_processed_total", 1, "failed"],
        ["job_duration_seconds", "s", "failed"],
        ["jobs_active", 0],
        ["errors_total", 1, type],
      ]);
      expect(recorded.at(-1)![3]).toEqual({ ...tags, error_type: type, error_name: name });
    }
  });

  test("that returns a failure is counted as failed, without an error", async () => {
    const { recorded, metrics } = remembering();
    await metrics.runJob(
      job,
      () => ({ ok: false }),
      ({ ok }) => ({ success: ok, outputBytes: 5 }),
    );
    expect(
      recorded.filter(([, name]) => name === "errors_total" || name === "job_output_size_bytes"),
    ).toEqual([]);
    expect(recorded.some(([, , , each]) => each?.status === "failed")).toBe(true);
  });

  test("jobs_active counts jobs with the same tags, and a job ends once", () => {
    const { recorded, metrics } = remembering();
    const [one, two] = [metrics.startJob(job), metrics.startJob(job)];
    const other = metrics.startJob({ service: "scan" });
    one.complete();
    one.complete();
    one.fail(new Error("too late"));
    two.fail();
    other.complete({ outputBytes: 3 });
    const active = recorded.filter(([, name]) => name === "jobs_active");
    expect(active.map(([, , value, each]) => [each?.service, value])).toEqual([
      ["render", 1],
      ["render", 2],
      ["scan", 1],
      ["render", 1],
      ["render", 0],
      ["scan", 0],
    ]);
    expect(recorded.filter(([, , , each]) => each?.status === "completed" && each).length).toBe(4);
  });

  test("of a queue whose clock is ahead has not waited", () => {
    const { recorded, metrics } = remembering();
    metrics.startJob({ ...job, queuedAt: Date.now() + 60_000 });
    expect(recorded.find(([, name]) => name === "job_queue_wait_seconds")![2]).toBe(0);
  });
});

test("no facts at all do not throw", () => {
  const { metrics, recorded } = remembering();
  // What a worker in JavaScript may do by mistake.
  const calls = [metrics.recordRequest, metrics.recordTask, metrics.recordUpload] as ((
    facts?: unknown,
  ) => void)[];
  for (const call of calls) for (const facts of [undefined, null, {}, "text"]) call(facts);
  expect(recorded.every(([, , value]) => value === undefined)).toBe(true);
});
