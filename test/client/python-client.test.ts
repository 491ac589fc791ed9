/** The Python client records, batches and sends: real Python processes push to the real gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { makeCertificate } from "../web-config/certificate-maker.ts";
import { Front, PYTHON, PYTHON_NOTE, PythonProcess, sqlRows } from "./python-process.ts";

describe.skipIf(PYTHON === undefined)(`the Python client${PYTHON_NOTE}`, () => {
  let gateway: GatewayProcess;
  let front: Front;
  beforeAll(async () => {
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    front = new Front(() => gateway.url);
  });
  afterAll(async () => {
    await front.close();
    await gateway.stop("SIGKILL");
  });
  const rows = (statement: string) => sqlRows(gateway.url, statement);

  test("stores observations, increments, gauges and times, with the labels of the client", async () => {
    const python = new PythonProcess();
    const result = await python.run(`
weir = Weir(${JSON.stringify(gateway.url)}, labels={"job": "scanner"}, worker="_1")
weir.observe("py.resize_ms", 12.5, {"format": "png", "ok": True, "code": 200, "none": None})
weir.observe("py.resize_ms", 7, {"format": "jpg", "job": "other"})
weir.increment("py_jobs")
weir.increment("py_jobs", 3)
weir.set("py_level", 4)
weir.set("py_level", 2.5)
with weir.time("py_block_ms"): pass
with weir.time("py_block_seconds"): time.sleep(0.002)
@weir.time("py_function_ms", {"kind": "plain"})
def double(x):
    "doubles"
    return 2 * x
@weir.time("py_function_ms", {"kind": "async"})
async def triple(x): return 3 * x
import asyncio
result = [double(4), double.__doc__, asyncio.run(triple(3)), weir.flush(), weir.stats()]
`);
    expect(result).toEqual([
      8,
      "doubles",
      9,
      true,
      expect.objectContaining({
        recorded: 10,
        stored: 10,
        rejected: 0,
        in_memory: 0,
        requests: 1,
        away: false,
        last_problem: null,
      }),
    ]);
    const resize = "SELECT value, format, job, instance, ok, code FROM py_resize_ms ORDER BY value";
    expect(await rows(resize)).toEqual([
      [7, "jpg", "other", "_1", null, null],
      [12.5, "png", "scanner", "_1", "true", "200"],
    ]);
    expect(await rows("SELECT sum(value) FROM py_jobs")).toEqual([[4]]);
    // Both values of the gauge are stored, in the order of the calls.
    expect(await rows("SELECT value FROM py_level ORDER BY ts")).toEqual([[4], [2.5]]);
    expect(await rows("SELECT count(*) FROM py_block_ms WHERE value >= 0")).toEqual([[1]]);
    expect(await rows("SELECT count(*) FROM py_block_seconds WHERE value BETWEEN 0.002 AND 2")).toEqual([
      [1],
    ]);
    expect(await rows("SELECT kind FROM py_function_ms ORDER BY kind")).toEqual([["async"], ["plain"]]);
    expect((await python.end()).errors).toBe("");
  });

  test("sends a batch at 1,000 samples, and a part of one after the interval, without a call", async () => {
    const python = new PythonProcess();
    await python.run(`weir = Weir(${JSON.stringify(gateway.url)}, flush_interval_seconds=3000)
for i in range(1999): weir.observe("py_full_ms", i)`);
    await until(
      "the first batch",
      async () => (await rows("SELECT count(*) FROM py_full_ms"))[0]![0] === 1000,
    );
    expect(await python.run("result = weir.stats()['in_memory']")).toBe(999);
    await python.run(`other = Weir(${JSON.stringify(gateway.url)}, flush_interval_seconds=0.05)
other.observe("py_part_ms", 5)`);
    await until("the part", async () => (await rows("SELECT value FROM py_part_ms"))[0]![0] === 5);
    await python.end();
  });

  test("pushes its own counters with the next batch", async () => {
    const python = new PythonProcess();
    await python.run(`weir = Weir(${JSON.stringify(gateway.url)}, labels={"job": "own"}, on_problem=lambda *_: None)
weir.observe("py_own_ms", 1); weir.observe("py_own_ms", float("nan")); weir.flush()
weir.observe("py_own_ms", 2); weir.flush()`);
    expect(await rows("SELECT input, value FROM weir_client_invalid_input_total WHERE job = 'own'")).toEqual([
      ["value", 1],
    ]);
    const stored = "SELECT outcome, sum(value) FROM weir_client_samples_total WHERE job = 'own' GROUP BY 1";
    expect(await rows(stored)).toEqual([["stored", 1]]);
    await python.end();
  });

  test("counts and reports invalid input once per kind, records the rest, and never raises", async () => {
    const python = new PythonProcess();
    const result = await python.run(`
problems = []
weir = Weir(${JSON.stringify(gateway.url)}, on_problem=lambda kind, message: problems.append([kind, message]))
class Bad:
    def __float__(self): raise OSError("no")
    def __repr__(self): raise OSError("no")
    def keys(self): raise OSError("no")
for value in ["5", None, True, float("inf"), 10**400, Bad(), [1], b"1"]: weir.observe("py_bad_ms", value)
for name in ["", "x" * 256, None, 5, b"py"]: weir.observe(name, 1)
for tags in [5, "ab", [("a", "b")], Bad()]: weir.observe("py_bad_ms", 1, tags)
weir.observe("py_bad_ms", 2, {"good": "yes", "list": [1], "nan": float("nan"), 5: "five", "": "empty", "bad": Bad()})
weir.observe("py_bad_ms", 3, {"long": "é" * 1025})
weir.observe("py_bad_ms", 4, {f"t{i}": i for i in range(70)})
weir.observe("py_bad_ms", 5, {"path": "a\\udcffb", "quote": '"\\n\\\\'})
import decimal, uuid
weir.observe("py_bad_ms", decimal.Decimal("6.5"), {"task_id": uuid.UUID(int=7)})
flushed = weir.flush()
weir.close(); weir.close()
weir.observe("py_bad_ms", 8)
result = [problems, weir.stats()["invalid"], weir.stats()["recorded"], flushed]`);
    const [problems, invalid, recorded, flushed] = result as [string[][], unknown, number, boolean];
    expect(invalid).toEqual({
      name: 5,
      value: 8,
      tags: 4,
      tag_value: 5,
      tag_too_long: 1,
      tag_count: 1,
      closed: 1,
    });
    expect([recorded, flushed]).toEqual([9, true]);
    expect(problems.map(([kind]) => kind)).toEqual([
      "invalid_value",
      "invalid_name",
      "invalid_tags",
      "invalid_tag_value",
      "invalid_tag_too_long",
      "invalid_tag_count",
      "invalid_closed",
    ]);
    expect(problems[0]![1]).toBe(
      'a sample of "py_bad_ms" was not recorded: its value is "5", expected a finite number',
    );
    expect(
      await rows(
        "SELECT value, good, length(long), t63, path, quote, task_id FROM py_bad_ms WHERE value > 1 ORDER BY value",
      ),
    ).toEqual([
      [2, "yes", null, null, null, null, null],
      [3, null, 1024, null, null, null, null],
      [4, null, null, "63", null, null, null],
      [5, null, null, null, "a?b", '"\n\\', null],
      [6.5, null, null, null, null, null, "00000000-0000-0000-0000-000000000007"],
    ]);
    await python.end();
  });

  test("reports options that it cannot use, and goes on", async () => {
    const python = new PythonProcess();
    const result = await python.run(`
result = []
for options in [
    {"url": "ftp://h"}, {"url": None}, {"url": "http://u:p@h"}, {"url": "http://h:99999"}, {"url": "http://h/a b"},
    {"url": "http://h", "batch_samples": -1}, {"url": "http://h", "spool": 5}, {"url": "http://h", "token": "a b"},
    {"url": "http://h", "labels": "x"}, {"url": "http://h", "colour": "red"},
]:
    weir = Weir(**options, signals=False, on_problem=lambda kind, message: result.append(message))
    weir.increment("x")
weir = Weir("https://h:8443/base/", signals=False)
result.append(weir.push_url)`);
    expect(result).toEqual([
      ...['"ftp://h"', "None", '"http://u:p@h"', '"http://h:99999"', '"http://h/a b"'].map(
        (url) =>
          `the option url is ${url}, expected an address such as http://127.0.0.1:9091; samples are not sent and not stored`,
      ),
      "the option batch_samples is -1, expected a positive number",
      "the option spool is 5, expected a folder",
      "the option token is not a text of printable characters; no token is sent",
      'the tags of "labels" are "x", expected a dictionary',
      'the option colour is "red", expected no such option',
      "https://h:8443/base/api/v1/push",
    ]);
    await python.kill("SIGKILL");
  });

  test("does not blame the gateway for samples that have no address to go to", async () => {
    const python = new PythonProcess();
    const result = await python.run(`
import tempfile
result = []
for spool in [None, tempfile.mkdtemp()]:
    messages = []
    weir = Weir("localhost:9091", spool=spool, signals=False, on_problem=lambda kind, message: messages.append(message))
    weir.observe("x", 1)
    weir.close()
    result.append([messages[1:], weir.stats()["lost"]["refused"], weir.stats()["set_aside"]])`);
    expect(result).toEqual([
      [[], 1, 0],
      [["the spool keeps 1 samples aside: no address (option url)"], 0, 1],
    ]);
    await python.kill("SIGKILL");
  });

  test("loses and doubles nothing with many threads", async () => {
    const python = new PythonProcess();
    const stats = await python.run(`
weir = Weir(${JSON.stringify(gateway.url)}, close_timeout_seconds=60)
def work(k):
    for i in range(2500): weir.observe("py_threads_ms", i, {"thread": k}); weir.set("py_threads_level", i, {"thread": k})
threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
weir.flush()
result = [weir.stats()[name] for name in ("recorded", "stored", "in_memory")]`);
    expect(stats).toEqual([40_000, 40_000, 0]);
    expect(await rows("SELECT count(*), sum(value) FROM py_threads_ms")).toEqual([[20_000, 8 * 3_123_750]]);
    expect(await rows("SELECT count(*), sum(value) FROM py_threads_level")).toEqual([
      [20_000, 8 * 3_123_750],
    ]);
    await python.end();
  });

  test("sends with the token, gzip and a key, and retries an answer that was lost with the same key", async () => {
    const python = new PythonProcess();
    front.seen.length = 0;
    let requests = 0;
    front.rule = () => (++requests <= 2 ? "lose answer" : "pass");
    await python.run(`weir = Weir(${JSON.stringify(front.url)}, token="secret", backoff_seconds=0.01, on_problem=print)
for i in range(10): weir.observe("py_lost_answer_ms", i)
weir.flush()`);
    await until("the answer", async () => (await python.run("result = weir.stats()['stored']")) === 10);
    expect(await rows("SELECT count(*), sum(value) FROM py_lost_answer_ms")).toEqual([[10, 45]]);
    expect(front.seen.slice(0, 3).map(({ status }) => status)).toEqual(["lost", "lost", 200]);
    expect(new Set(front.seen.slice(0, 3).map(({ key }) => key)).size).toBe(1);
    const { headers } = front.seen[0]!;
    expect(["authorization", "content-encoding", "content-type"].map((name) => headers.get(name))).toEqual([
      "Bearer secret",
      "gzip",
      "application/x-ndjson",
    ]);
    const ending = await python.end();
    // The problem is reported once, and the token never.
    expect(ending.errors).toBe(
      `gateway_away the gateway at ${front.url}/api/v1/push is away: it answered 502: {\n`,
    );
    front.rule = () => "pass";
  });

  test("waits as Retry-After says, and not for longer than 10 minutes", async () => {
    const python = new PythonProcess();
    const delays = await python.run(`
module.random.random = lambda: 0.5
settings = dict(module.DEFAULTS)
parse = lambda text: module._parse_retry_after(text, 1_700_000_000)
result = [
    [module._retry_delay(settings, failures, None) for failures in (1, 2, 3, 7, 500)],
    [module._retry_delay(settings, 1, after) for after in (0, 30, 86_400)],
    [parse(text) for text in ("0", " 120 ", "-1", "soon", "", None, "Tue, 14 Nov 2023 22:13:30 GMT",
     "Tue, 14 Nov 2023 22:13:00 GMT")],
]`);
    expect(delays).toEqual([
      [0.5, 1, 2, 30, 30],
      [0.5, 30.5, 600.5],
      [0, 120, null, null, null, null, 10, 0],
    ]);
    front.seen.length = 0;
    front.rule = () => new Response("{}", { status: 429, headers: { "Retry-After": "86400" } });
    await python.run(`weir = Weir(${JSON.stringify(front.url)}, backoff_seconds=0.001, on_problem=lambda *_: None)
weir.increment("py_429"); weir.flush()
for i in range(3000): weir.increment("py_429")
result = weir.flush()`);
    // Neither a full batch nor flush() asks before the pause is over.
    expect(front.seen.map(({ status }) => status)).toEqual([429]);
    expect(await python.run("result = [weir.stats()['in_memory'], weir.stats()['away']]")).toEqual([
      3001,
      true,
    ]);
    front.rule = () => "pass";
    await python.kill("SIGKILL");
  });

  test("retries 503 and 429 without Retry-After, and stores the batch once", async () => {
    const python = new PythonProcess();
    front.seen.length = 0;
    let requests = 0;
    front.rule = () => (++requests <= 4 ? new Response("", { status: requests % 2 ? 503 : 429 }) : "pass");
    await python.run(`weir = Weir(${JSON.stringify(front.url)}, backoff_seconds=0.01, on_problem=lambda *_: None)
weir.increment("py_503", 7); weir.flush()`);
    await until("the answer", async () => (await python.run("result = weir.stats()['stored']")) === 1);
    expect(await rows("SELECT sum(value) FROM py_503")).toEqual([[7]]);
    expect(front.seen.slice(0, 5).map(({ status }) => status)).toEqual([503, 429, 503, 429, 200]);
    expect(await python.run("result = weir.stats()['requests_failed']")).toBe(4);
    front.rule = () => "pass";
    await python.end();
  });

  test("does not retry a refused batch: the spool keeps it aside, and memory drops it", async () => {
    const python = new PythonProcess();
    const spool = temporaryFolder();
    front.seen.length = 0;
    front.rule = () =>
      Response.json({ error: { code: "unauthorized", message: "no such token" } }, { status: 401 });
    const result = await python.run(`
problems = []
options = {"on_problem": lambda kind, message: problems.append(message), "backoff_seconds": 0.001}
options["flush_interval_seconds"] = 3_600
weir = Weir(${JSON.stringify(front.url)}, spool=${JSON.stringify(spool)}, worker="_1", **options)
weir.increment("py_401"); weir.increment("py_401"); weir.flush(); weir.flush()
bare = Weir(${JSON.stringify(front.url)}, **options)
bare.increment("py_401"); bare.flush()
result = [problems, weir.stats()["set_aside"], bare.stats()["lost"]["refused"], weir.stats()["spooled"]["samples"]]`);
    expect(result).toEqual([
      [
        "the gateway refused 2 samples, which the spool keeps aside: 401: no such token",
        "the gateway refused 1 samples: 401: no such token",
        "1 samples were dropped: the gateway answered 401: no such token",
      ],
      2,
      1,
      0,
    ]);
    expect(front.seen.map(({ status }) => status)).toEqual([401, 401]);
    expect(readdirSync(`${spool}/_1`)).toEqual([
      expect.stringMatching(/^\d{13}-2-\d+-[0-9a-f-]{36}\.ndjson\.gz\.refused-401$/),
    ]);
    front.rule = () => "pass";
    await python.end();
  });

  test("pushes its own counters again after they were refused, and keeps no file of them aside", async () => {
    const python = new PythonProcess();
    const spool = temporaryFolder();
    front.seen.length = 0;
    front.rule = () => Response.json({ error: { message: "no such token" } }, { status: 401 });
    await python.run(`
weir = Weir(${JSON.stringify(front.url)}, spool=${JSON.stringify(spool)}, flush_interval_seconds=0.02, labels={"who": "refused"}, on_problem=lambda kind, message: None)
weir.increment("py_refused")`);
    // The second and the third have the counters alone.
    await until("a third request", () => front.seen.length >= 3);
    front.rule = () => "pass";
    const counter =
      "SELECT sum(value) FROM weir_client_samples_total WHERE outcome = 'set_aside' AND who = 'refused'";
    await until("the counter", async () => (await rows(counter))[0]![0] === 1);
    expect(readdirSync(`${spool}/worker`)).toEqual([
      expect.stringMatching(/^\d{13}-1-\d+-[0-9a-f-]{36}\.ndjson\.gz\.refused-401$/),
    ]);
    await python.end();
  });

  test("sends over TLS, and only to a gateway whose certificate it trusts", async () => {
    const folder = temporaryFolder();
    const ca = makeCertificate({ name: "ca" });
    const { cert, key } = makeCertificate({ name: "gateway", issuer: ca });
    writeFileSync(`${folder}/ca.pem`, ca.cert);
    writeFileSync(`${folder}/tls.crt`, cert);
    writeFileSync(`${folder}/tls.key`, key, { mode: 0o600 });
    const args = ["--no-sampler", "--tls-cert", `${folder}/tls.crt`, "--tls-key", `${folder}/tls.key`];
    const secure = await GatewayProcess.start({ data: `${folder}/data`, args });
    expect(secure.url).toStartWith("https://");
    const python = new PythonProcess();
    const result = await python.run<[boolean, number, boolean, [string, string]]>(`
import ssl
context = ssl.create_default_context(cafile=${JSON.stringify(`${folder}/ca.pem`)})
# Python 3.13 expects extensions that the certificates of these tests lack.
context.verify_flags &= ~ssl.VERIFY_X509_STRICT
weir = Weir(${JSON.stringify(secure.url)}, ssl_context=context)
weir.observe("py_tls_ms", 1)
wary = Weir(${JSON.stringify(secure.url)}, signals=False, on_problem=lambda *_: None)
wary.observe("py_tls_ms", 1)
result = [weir.flush(), weir.stats()["stored"], wary.flush(), wary.stats()["last_problem"]]`);
    expect(result.slice(0, 3)).toEqual([true, 1, false]);
    expect(result[3][1]).toContain("CERTIFICATE_VERIFY_FAILED");
    await python.end();
    await secure.stop("SIGKILL");
  });

  test("counts samples that the gateway rejects one by one, and does not send them again", async () => {
    const python = new PythonProcess();
    const result = await python.run(`
problems = []
weir = Weir(${JSON.stringify(gateway.url)}, on_problem=lambda kind, message: problems.append(kind))
weir.increment("py_negative", 2); weir.increment("py_negative", -1); weir.flush()
result = [problems, weir.stats()["stored"], weir.stats()["rejected"], weir.stats()["in_memory"]]`);
    expect(result).toEqual([["rejected"], 1, 1, 0]);
    expect(await rows("SELECT sum(value) FROM py_negative")).toEqual([[2]]);
    await python.end();
  });
});
