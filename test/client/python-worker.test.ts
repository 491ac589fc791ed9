/** The rules of workers in Python, from the table that both clients share; and what records requests and jobs by itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { PYTHON, PYTHON_NOTE, PythonProcess, sqlRows } from "./python-process.ts";
import cases from "./worker-cases.json";

type Case = readonly [Readonly<Record<string, unknown>>, Readonly<Record<string, string | null>>];

/** A Python with a module: that of PATH, or that of the system's packages. */
const pythonWith = (module: string): string | undefined =>
  [PYTHON, "/usr/bin/python3"]
    .filter((path) => path !== undefined && existsSync(path))
    .find((path) => Bun.spawnSync([path!, "-c", `import ${module}`]).success);
const note = (module: string) =>
  pythonWith(module) === undefined ? ` (skipped: the Python module ${module} is not installed)` : "";

/** Keeps what is recorded instead of sending it. */
const REMEMBERING = `
class Remembering:
    def __init__(self): self.samples = []
    def observe(self, name, value, tags): self.samples.append(["observe", name, value, tags])
    def increment(self, name, by, tags): self.samples.append(["increment", name, by, tags])
    def set(self, name, value, tags): self.samples.append(["set", name, value, tags])
weir = Remembering()
metrics = WorkerMetrics(weir)
def recorded():
    samples, weir.samples = weir.samples, []
    return samples
`;

describe.skipIf(PYTHON === undefined)(`the metrics of workers in Python${PYTHON_NOTE}`, () => {
  let python: PythonProcess;
  beforeAll(async () => {
    python = new PythonProcess();
    await python.run(REMEMBERING);
  });
  afterAll(() => python.kill("SIGKILL"));

  /** As keywords: durationMs is duration_ms. */
  const keywords = (facts: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.entries(facts).map(([name, value]) => [
        name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        value,
      ]),
    );
  const tagsOf = async (method: string, facts: Readonly<Record<string, unknown>>) => {
    const json = JSON.stringify(JSON.stringify(keywords(facts)));
    const [[, , , tags] = []] = await python.run<[string, string, number, Record<string, string>][]>(
      `metrics.${method}(**json.loads(${json})); result = recorded()`,
    );
    return tags!;
  };
  const check = (
    method: string,
    groups: Readonly<Record<string, unknown>>,
    common: Readonly<Record<string, unknown>>,
  ) => {
    for (const [title, group] of Object.entries(groups))
      test(title, async () => {
        for (const [facts, want] of group as readonly Case[]) {
          const tags = await tagsOf(method, { ...common, ...facts });
          const got = Object.fromEntries(Object.keys(want).map((tag) => [tag, tags[tag] ?? null]));
          expect({ facts, ...got }).toEqual({ facts, ...want });
        }
      });
  };
  check("record_request", cases.requests, cases.request);
  check("record_task", cases.tasks, {});
  check("record_upload", cases.uploads, {});

  test("have the names and the values that they are given", async () => {
    expect(
      await python.run(`
metrics.record_request(operation="a", duration_ms=1.5)
metrics.record_task(duration_ms=2.5)
metrics.record_upload(bytes=3)
result = [sample[:3] for sample in recorded()]`),
    ).toEqual([
      ["observe", "http.request.duration_ms", 1.5],
      ["observe", "task.processing_duration_ms", 2.5],
      ["observe", "upload.size_bytes", 3],
    ]);
  });

  test("never raise, whatever they are given", async () => {
    await python.run(`
class Bad:
    def __str__(self): raise OSError("no")
    def __eq__(self, other): return False
for value in [None, Bad(), [], {}, 5, "", b"x", float("nan"), 10**400, "\\udcff"]:
    metrics.record_request(operation=value, url=value, method=value, status=value, duration_ms=value, task_id=value,
        has_task=value, colour=value)
    metrics.record_task(method=value, url=value, http_status=value, duration_ms=value, task_id=value)
    metrics.record_upload(bytes=value, task_id=value)
    metrics.start_job(service=value, priority=value, worker_id=value, queued_at=value).fail(value)
metrics.record_request()
recorded()`);
  });

  test("a job counts its start and its end, how many run, its wait, its duration and its output", async () => {
    const samples = await python.run<[string, string, number, object][]>(`
import datetime
with metrics.job(service="resize", priority=2, worker_id="w-1", queued_at=time.time() - 60) as job:
    other = metrics.start_job(service="resize", priority=2, worker_id="w-1",
        queued_at=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1))
    job.output_bytes = 1234
other.fail(); other.complete()
result = recorded()`);
    const tags = { service: "resize", priority: "2", worker_id: "w-1" };
    expect(samples).toEqual([
      ["increment", "jobs_processed_total", 1, { ...tags, status: "started" }],
      ["set", "jobs_active", 1, tags],
      ["observe", "job_queue_wait_seconds", expect.any(Number), tags],
      ["increment", "jobs_processed_total", 1, { ...tags, status: "started" }],
      ["set", "jobs_active", 2, tags],
      // Its clock is ahead of this one.
      ["observe", "job_queue_wait_seconds", 0, tags],
      ["increment", "jobs_processed_total", 1, { ...tags, status: "completed" }],
      ["observe", "job_duration_seconds", expect.any(Number), { ...tags, status: "completed" }],
      ["set", "jobs_active", 1, tags],
      ["observe", "job_output_size_bytes", 1234, tags],
      ["increment", "jobs_processed_total", 1, { ...tags, status: "failed" }],
      ["observe", "job_duration_seconds", expect.any(Number), { ...tags, status: "failed" }],
      ["set", "jobs_active", 0, tags],
    ]);
    expect(samples[2]![2]).toBeGreaterThanOrEqual(60);
    expect(samples[2]![2]).toBeLessThan(3_600);
  });

  test("a job that raises has failed, and its error passes through", async () => {
    expect(
      await python.run(`
result = []
for error in [ValueError("Timeout"), TimeoutError(), MemoryError(), ConnectionResetError(), KeyError("x")]:
    try:
        with metrics.job(): raise error
    except BaseException as caught:
        result.append(caught is error)
    result.append([sample[3] for sample in recorded() if sample[1] == "errors_total"])`),
    ).toEqual(
      [
        ["timeout", "ValueError"],
        ["timeout", "TimeoutError"],
        ["memory", "MemoryError"],
        ["connection", "ConnectionResetError"],
        ["unknown", "KeyError"],
      ].flatMap(([error_type, error_name]) => [
        true,
        [{ service: "unknown", priority: "unknown", worker_id: "unknown", error_type, error_name }],
      ]),
    );
    const messages = Object.keys(cases.jobErrors);
    const types = await python.run(
      `result = [module._error_type(Exception(message)) for message in ${JSON.stringify(messages)}]`,
    );
    expect(types).toEqual(Object.values(cases.jobErrors));
  });

  describe("record the requests of", () => {
    let server: Bun.Server<undefined>;
    beforeAll(() => {
      server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: (request) => {
          const { pathname } = new URL(request.url);
          if (pathname === "/moved") return Response.redirect("/ok", 302);
          return new Response("body", { status: pathname === "/missing" ? 404 : 200 });
        },
      });
    });
    afterAll(() => server.stop(true));
    const address = () => `http://127.0.0.1:${server.port}`;
    const samples = async (code: string, program = python) => {
      await program.run(`base = ${JSON.stringify(address())}\nrecorded()\n${code}`);
      const all =
        await program.run<[string, string, number, Record<string, string>][]>("result = recorded()");
      return all.map(([, , , tags]) => [
        tags.operation,
        tags.method,
        tags.url!.replace(address(), ""),
        tags.status_code,
        tags.task_id,
      ]);
    };

    test("urllib, errors and redirects included", async () => {
      expect(
        await samples(`
import urllib.request, urllib.error
opener = metrics.urllib_opener(task_id=lambda: "7_x")
assert opener.open(base + "/ok?secret=1").read() == b"body"
opener.open(base + "/moved")
opener.open(base + "/ok", data=b"x")
opener.open(urllib.request.Request(base + "/ok", method="PUT"), b"x")
opener.open(urllib.request.Request(base + "/ok"), b"x")
for url in [base + "/missing", "http://127.0.0.1:1/"]:
    try: opener.open(url)
    except urllib.error.URLError: pass
urllib.request.install_opener(metrics.urllib_opener(operation=lambda url, method: method + url[-3:]))
urllib.request.urlopen(base + "/ok", timeout=30).close()
urllib.request.install_opener(None)`),
      ).toEqual([
        ["target_request", "GET", "/ok", "200", "7_x"],
        ["target_request", "GET", "/moved", "200", "7_x"],
        ["target_request", "POST", "/ok", "200", "7_x"],
        ["target_request", "PUT", "/ok", "200", "7_x"],
        ["target_request", "POST", "/ok", "200", "7_x"],
        ["target_request", "GET", "/missing", "404", "7_x"],
        ["target_request", "GET", "http://127.0.0.1:1/", "unknown", "7_x"],
        ["GET/ok", "GET", "/ok", "200", "none"],
      ]);
    });

    /** As `samples`, in a process of a Python that has the module. */
    const samplesWith = async (module: string, code: string) => {
      const program = new PythonProcess(undefined, pythonWith(module));
      await program.run(REMEMBERING);
      return await samples(code, program).finally(() => program.kill("SIGKILL"));
    };

    const requests = pythonWith("requests");
    test.skipIf(requests === undefined)(`a session of requests${note("requests")}`, async () => {
      expect(
        await samplesWith(
          "requests",
          `
import requests
session = metrics.instrument_requests(requests.Session(), operation="get_task")
assert session.get(base + "/ok", params={"q": "1"}).text == "body"
session.post(base + "/missing")
session.get(base + "/moved")
try: session.get("http://127.0.0.1:1/")
except requests.ConnectionError: pass`,
        ),
      ).toEqual([
        ["get_task", "GET", "/ok", "200", "none"],
        ["get_task", "POST", "/missing", "404", "none"],
        ["get_task", "GET", "/moved", "200", "none"],
        ["get_task", "GET", "http://127.0.0.1:1/", "unknown", "none"],
      ]);
    });

    const httpx = pythonWith("httpx");
    test.skipIf(httpx === undefined)(`clients of httpx${note("httpx")}`, async () => {
      expect(
        await samplesWith(
          "httpx",
          `
import asyncio, httpx
def broken(url, method): raise OSError("no")
client = metrics.instrument_httpx(httpx.Client(), operation=broken)
assert client.get(base + "/ok").text == "body"
try: client.get("http://127.0.0.1:1/")
except httpx.ConnectError: pass
async def ask():
    async with metrics.instrument_httpx(httpx.AsyncClient(follow_redirects=True)) as client:
        await client.get(base + "/moved")
        try: await client.get("http://127.0.0.1:1/")
        except httpx.ConnectError: pass
asyncio.run(ask())`,
        ),
      ).toEqual([
        ["unknown", "GET", "/ok", "200", "none"],
        ["unknown", "GET", "http://127.0.0.1:1/", "unknown", "none"],
        ["target_request", "GET", "/moved", "200", "none"],
        ["target_request", "GET", "http://127.0.0.1:1/", "unknown", "none"],
      ]);
    });
  });

  test("reach the gateway, where the summaries of workers find them", async () => {
    const gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    const worker = new PythonProcess();
    await worker.run(`weir = Weir(${JSON.stringify(gateway.url)}, worker="_1")
metrics = WorkerMetrics(weir)
for status in (200, 204): metrics.record_request(operation="get_task", url="https://a.example/t?x=1", method="GET",
    status=status, duration_ms=status, task_id="1_a")
metrics.record_request(operation="upload_result", url="https://a.example/r", method="POST", status=429, duration_ms=5)
metrics.record_upload(bytes=342, task_id="1_a"); metrics.record_upload(bytes=600)
with metrics.job(service="resize"): pass
weir.flush()`);
    const rows = (statement: string) => sqlRows(gateway.url, statement);
    expect(
      await rows(
        "SELECT operation, url, has_task, success, error_type, task_id, instance, value FROM http_request_duration_ms ORDER BY value",
      ),
    ).toEqual([
      ["upload_result", "https://a.example/r", null, "false", "rate_limit", "none", "_1", 5],
      ["get_task", "https://a.example/t", "true", null, null, "1_a", "_1", 200],
      ["get_task", "https://a.example/t", "false", null, null, "1_a", "_1", 204],
    ]);
    expect(await rows("SELECT upload_type, sum(value) FROM upload_size_bytes GROUP BY 1 ORDER BY 1")).toEqual(
      [
        ["direct", 600],
        ["inline", 342],
      ],
    );
    expect(await rows("SELECT value FROM jobs_active ORDER BY ts")).toEqual([[1], [0]]);
    await worker.end();
    await gateway.stop("SIGKILL");
  });
});
