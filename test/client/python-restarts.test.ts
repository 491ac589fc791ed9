/** The Python client loses and doubles nothing while the gateway stops, hangs and restarts, and while its worker is killed. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { Front, type FrontRule, PYTHON, PYTHON_NOTE, PythonProcess, sqlRows } from "./python-process.ts";

const BATCH_NAME = /^\d{13}-\d+-\d+-[0-9a-f-]{36}\.ndjson\.gz$/;

describe.skipIf(PYTHON === undefined)(`the Python client${PYTHON_NOTE}`, () => {
  let gateway: GatewayProcess;
  let front: Front;
  const data = temporaryFolder();
  const start = async () => {
    gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
  };
  beforeAll(async () => {
    await start();
    front = new Front(() => gateway.url);
  });
  afterEach(() => {
    front.rule = () => "pass";
  });
  afterAll(async () => {
    await front.close();
    await gateway.stop("SIGKILL");
  });
  const rows = (statement: string) => sqlRows(gateway.url, statement);
  const client = (options = "") =>
    `weir = Weir(${JSON.stringify(front.url)}, backoff_seconds=0.01, backoff_max_seconds=0.1, on_problem=lambda *_: None${options})\n`;
  const stat = (python: PythonProcess, name: string) =>
    python.run<number>(`result = weir.stats()${name.replace(/\w+/g, '["$&"]').replaceAll(".", "")}`);

  describe("while the gateway is away", () => {
    test("spools, sends fresh samples first when it is back, and the backlog beside them", async () => {
      const python = new PythonProcess();
      const spool = temporaryFolder();
      await front.close();
      await gateway.stop("SIGKILL");
      await python.run(`${client(`, spool=${JSON.stringify(spool)}, worker="_7", batch_samples=10`)}
for i in range(1, 101): weir.observe("py_away_ms", i)
weir.flush()`);
      expect(await python.run("result = weir.stats()['spooled']")).toEqual({
        samples: 100,
        batches: 10,
        bytes: expect.any(Number),
      });
      const names = readdirSync(`${spool}/_7`);
      expect(names.filter((name) => BATCH_NAME.test(name))).toHaveLength(10);
      expect(statSync(`${spool}/_7`).mode & 0o077).toBe(0);
      await start();
      front.open();
      await python.run(`weir.observe("py_away_ms", 1000)`);
      await until("the backlog", async () => {
        await python.run("weir.flush()");
        return (await stat(python, "stored")) === 101;
      });
      expect(await rows("SELECT count(*), sum(value) FROM py_away_ms")).toEqual([[101, 6050]]);
      expect(readdirSync(`${spool}/_7`)).toEqual([]);
      expect(await stat(python, "lost.spool_full")).toBe(0);
      await python.end();
    });

    test("keeps the newest samples in memory without a spool, drops the oldest, and counts them", async () => {
      const python = new PythonProcess();
      front.rule = () => new Response("", { status: 503 });
      await python.run(`${client(", batch_samples=10, memory_samples_max=50")}
for i in range(1, 101): weir.observe("py_ring_ms", i)
weir.flush()`);
      expect(await stat(python, "in_memory")).toBe(50);
      expect(await stat(python, "lost.memory_full")).toBe(50);
      front.rule = () => "pass";
      await until("the ring", async () => {
        await python.run("weir.flush()");
        return (await stat(python, "stored")) === 50;
      });
      // The oldest ones that are left may have been in a request when the others were dropped.
      expect(await rows("SELECT count(*), count(*) FILTER (value > 60) FROM py_ring_ms")).toEqual([[50, 40]]);
      // Its own counters are sent with a later batch.
      const lost = "SELECT sum(value) FROM weir_client_samples_lost_total WHERE reason = 'memory_full'";
      await until("the counters", async () => {
        await python.run("weir.flush()");
        return Bun.deepEquals(await rows(lost).catch(() => []), [[50]]);
      });
      await python.end();
    });

    test("drops the oldest that wait for a request that hangs, before the newest", async () => {
      const python = new PythonProcess();
      front.rule = () => "hang";
      await python.run(`${client(", batch_samples=10, memory_samples_max=50, request_timeout_seconds=60")}
for i in range(1, 31): weir.observe("py_order_ms", i)`);
      // The first batch is in the request; the others wait for it.
      await until("the waiting batches", () =>
        python.run<boolean>("result = weir._posting is not None and len(weir._fresh) == 2"),
      );
      await python.run(`for i in range(31, 101): weir.observe("py_order_ms", i)`);
      expect(await stat(python, "in_memory")).toBe(50);
      expect(await stat(python, "lost.memory_full")).toBe(50);
      front.rule = () => "pass";
      await python.run("weir._gateway.interrupt()");
      await until("the rest", async () => {
        await python.run("weir.flush()");
        return (await stat(python, "stored")) === 50;
      });
      expect(
        await rows("SELECT min(value), count(*) FILTER (value > 60), count(*) FROM py_order_ms"),
      ).toEqual([[1, 40, 50]]);
      await python.end();
    });

    test("bounds memory by bytes", async () => {
      const python = new PythonProcess();
      front.rule = () => "hang";
      await python.run(`${client(", memory_bytes_max=1_000_000")}
text = "x" * 1000
for i in range(20_000): weir.observe("py_bytes_ms", i, {"text": text + str(i)})`);
      expect(await python.run("result = weir._in_memory()[1] <= 1_000_000")).toBe(true);
      expect((await stat(python, "in_memory")) + (await stat(python, "lost.memory_full"))).toBe(20_000);
      await python.kill("SIGKILL");
    });

    test("keeps samples in memory if the spool cannot be written", async () => {
      const python = new PythonProcess();
      const file = `${temporaryFolder()}/file`;
      writeFileSync(file, "");
      front.rule = () => new Response("", { status: 503 });
      await python.run(`${client(`, spool=${JSON.stringify(file)}`)}
weir.observe("py_unwritable_ms", 3); weir.flush()`);
      expect(await python.run("result = weir.stats()['in_memory']")).toBe(1);
      front.rule = () => "pass";
      await until("the sample", async () => {
        await python.run("weir.flush()");
        return (await stat(python, "stored")) === 1;
      });
      expect(await rows("SELECT value FROM py_unwritable_ms")).toEqual([[3]]);
      await python.end();
    });
  });

  describe("its spool", () => {
    test("is bounded by bytes: the oldest batches are dropped and counted", async () => {
      const python = new PythonProcess();
      const spool = temporaryFolder();
      front.rule = () => new Response("", { status: 503 });
      await python.run(`${client(`, spool=${JSON.stringify(spool)}, batch_samples=100, spool_bytes_max=5000`)}
import random
for i in range(2000): weir.observe("py_bound_ms", random.random(), {"task_id": str(i)}); i % 100 or weir.flush()
weir.flush()`);
      const folder = `${spool}/worker`;
      const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(`${folder}/${name}`).size, 0);
      expect(bytes).toBeLessThanOrEqual(5000);
      expect(bytes).toBeGreaterThan(2000);
      const spooled = await stat(python, "spooled.samples");
      expect(await stat(python, "lost.spool_full")).toBe(2000 - spooled);
      front.rule = () => "pass";
      await until("the rest", async () => {
        await python.run("weir.flush()");
        return (await stat(python, "stored")) === spooled;
      });
      expect(await rows("SELECT count(*), max(task_id::INT) FROM py_bound_ms")).toEqual([[spooled, 1999]]);
      await python.end();
    });

    test("drops batches that are too old, damaged ones, and temporary files of killed processes", async () => {
      const python = new PythonProcess();
      const spool = temporaryFolder();
      const folder = `${spool}/_2`;
      mkdirSync(folder);
      const key = (digit: number) => `${digit}0000000-0000-4000-8000-000000000000`;
      const old = Date.now() - 8 * 86_400_000;
      writeFileSync(`${folder}/${old}-3-2-${key(1)}.ndjson.gz`, "xx");
      writeFileSync(`${folder}/${Date.now() - 5_000}-4-9-${key(2)}.ndjson.gz`, "");
      writeFileSync(`${folder}/${Date.now()}-1-2-${key(3)}.ndjson.gz.tmp`, "xx");
      writeFileSync(`${folder}/${Date.now()}-1-2-${key(4)}.ndjson.gz.tmp`, "xx");
      utimesSync(`${folder}/${readdirSync(folder).find((name) => name.includes(key(3)))}`, 1, 1);
      // The clock of the files need not be that of the processes (`scripts/test --clock`).
      const now = new Date();
      utimesSync(`${folder}/${readdirSync(folder).find((name) => name.includes(key(4)))}`, now, now);
      writeFileSync(`${folder}/notes.txt`, "not ours");
      await python.run(`${client(`, spool=${JSON.stringify(spool)}, worker="_2"`)}
weir.observe("py_old_ms", 1); weir.flush()`);
      await until("the losses", async () => (await stat(python, "lost.spool_damaged")) === 4);
      expect(await stat(python, "lost.spool_expired")).toBe(3);
      expect(readdirSync(folder).toSorted()).toEqual([expect.stringContaining(key(4)), "notes.txt"]);
      await python.end();
    });

    test("of a worker with a strange index stays within the folder", async () => {
      const python = new PythonProcess();
      expect(
        await python.run(
          `result = [module._folder_name(name) for name in ("_1", "..", "", "a/../b", "x" * 300)]`,
        ),
      ).toEqual(["_1", "_..", "_", "a_.._b", "x".repeat(100)]);
      await python.end();
    });
  });

  describe("a worker that ends", () => {
    test("by kill -9: what is in the spool is sent by the next process, once", async () => {
      const first = new PythonProcess();
      const spool = temporaryFolder();
      // Stored by the gateway, but the worker does not know: its file is sent again.
      front.rule = () => "lose answer";
      await first.run(`${client(`, spool=${JSON.stringify(spool)}, worker="_3", batch_samples=10`)}
for i in range(1, 51): weir.observe("py_killed_ms", i)
weir.flush()`);
      expect(await stat(first, "spooled.samples")).toBe(50);
      await first.kill("SIGKILL");
      front.rule = () => "pass";
      const second = new PythonProcess();
      await second.run(`${client(`, spool=${JSON.stringify(spool)}, worker="_3"`)}
weir.observe("py_killed_ms", 1000)`);
      await until("the spool of the killed worker", async () => {
        await second.run("weir.flush()");
        return (await stat(second, "stored")) === 51;
      });
      expect(await rows("SELECT count(*), sum(value) FROM py_killed_ms")).toEqual([[51, 2275]]);
      await second.end();
    });

    test("by kill -9 while the gateway hangs: batches that wait for a second are in the spool", async () => {
      const first = new PythonProcess();
      const spool = temporaryFolder();
      front.rule = () => "hang";
      await first.run(`${client(`, spool=${JSON.stringify(spool)}, worker="_4", batch_samples=10`)}
for i in range(1, 81): weir.observe("py_hung_ms", i)`);
      await until("the spool", async () => (await stat(first, "spooled.samples")) === 80);
      await until("the spool", async () => (await stat(first, "in_memory")) === 0);
      await first.kill("SIGKILL");
      front.rule = () => "pass";
      const second = new PythonProcess();
      await second.run(
        `${client(`, spool=${JSON.stringify(spool)}, worker="_4"`)}\nweir.increment("py_hung_next")`,
      );
      await until("the spool of the killed worker", async () => {
        await second.run("weir.flush()");
        return (await stat(second, "stored")) === 81;
      });
      expect(await rows("SELECT count(*), sum(value) FROM py_hung_ms")).toEqual([[80, 3240]]);
      await second.end();
    });

    test("without close(): the end of the interpreter flushes", async () => {
      const python = new PythonProcess();
      await python.run(`${client()}\nfor i in range(5): weir.observe("py_exit_ms", i)`);
      expect(await python.end()).toEqual({ exitCode: 0, signal: null, errors: "" });
      expect(await rows("SELECT count(*), sum(value) FROM py_exit_ms")).toEqual([[5, 10]]);
    });

    test("with samples that atexit functions record", async () => {
      const python = new PythonProcess();
      await python.run(`${client()}
import atexit
atexit.register(lambda: weir.observe("py_atexit_ms", 5))`);
      await python.end();
      expect(await rows("SELECT value FROM py_atexit_ms")).toEqual([[5]]);
    });

    test("while the gateway hangs: the interpreter ends, and the spool has the samples", async () => {
      const python = new PythonProcess();
      const spool = temporaryFolder();
      front.rule = () => "hang";
      await python.run(`${client(`, spool=${JSON.stringify(spool)}, close_timeout_seconds=0.2`)}
for i in range(5): weir.observe("py_exit_hung_ms", i)`);
      expect(await python.end()).toEqual({ exitCode: 0, signal: null, errors: "" });
      expect(readdirSync(`${spool}/worker`)).toEqual([expect.stringMatching(/^\d{13}-5-/)]);
    });

    test("by SIGTERM: samples are sent, and the process dies by the signal", async () => {
      const python = new PythonProcess();
      await python.run(`${client()}\nfor i in range(5): weir.observe("py_term_ms", i)`);
      await python.begin("time.sleep(3000)");
      expect(await python.kill("SIGTERM")).toEqual({ exitCode: null, signal: "SIGTERM", errors: "" });
      expect(await rows("SELECT count(*), sum(value) FROM py_term_ms")).toEqual([[5, 10]]);
    });

    test("by SIGTERM in the middle of recording: nothing is lost, and nothing waits for ever", async () => {
      for (let round = 0; round < 3; round++) {
        const python = new PythonProcess();
        const shared = `${temporaryFolder()}/count`;
        writeFileSync(shared, new Uint8Array(8));
        await python.run(`${client()}
import mmap
count = mmap.mmap(os.open(${JSON.stringify(shared)}, os.O_RDWR), 8)
n = 0`);
        await python.begin(`
while True:
    weir.observe("py_middle_ms", 1, {"round": ${round}}); n += 1; count[:] = n.to_bytes(8, "little")`);
        const stored = async () =>
          Number((await rows(`SELECT count(*) FROM py_middle_ms WHERE round = '${round}'`))[0]![0]);
        await until("some batches", async () => (await stored()) >= 2_000);
        const { signal, errors } = await python.kill("SIGTERM");
        expect([signal, errors]).toEqual(["SIGTERM", ""]);
        const recorded = Number(new DataView(await Bun.file(shared).arrayBuffer()).getBigUint64(0, true));
        // The signal may come between a sample and its count.
        expect([0, 1]).toContain((await stored()) - recorded);
      }
    });

    test("by SIGTERM while the gateway hangs: the spool has the samples", async () => {
      const python = new PythonProcess();
      const spool = temporaryFolder();
      front.rule = () => "hang";
      await python.run(`${client(`, spool=${JSON.stringify(spool)}, close_timeout_seconds=0.2`)}
for i in range(5): weir.observe("py_term_hung_ms", i)`);
      await python.begin("time.sleep(3000)");
      expect((await python.kill("SIGTERM")).signal).toBe("SIGTERM");
      expect(readdirSync(`${spool}/worker`)).toEqual([expect.stringMatching(/^\d{13}-5-/)]);
    });

    test("by SIGTERM with a handler of its own: that decides, and the end of the interpreter flushes", async () => {
      const python = new PythonProcess();
      await python.run(`
signal.signal(signal.SIGTERM, lambda *_: (weir.observe("py_handler_ms", 2), sys.exit(7)))
${client()}
weir.observe("py_handler_ms", 1)`);
      await python.begin("try: time.sleep(3000)\nfinally: os.close(0)");
      expect(await python.kill("SIGTERM")).toMatchObject({ signal: null });
      expect(await rows("SELECT count(*), sum(value) FROM py_handler_ms")).toEqual([[2, 3]]);
    });

    test("ignores SIGTERM if the worker does", async () => {
      const python = new PythonProcess();
      await python.run(`
signal.signal(signal.SIGTERM, signal.SIG_IGN)
${client()}
os.kill(os.getpid(), signal.SIGTERM)`);
      expect(await python.run("result = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN")).toBe(true);
      await python.end();
    });
  });

  describe("forks", () => {
    test("os.fork: parent and child each send what they recorded, once", async () => {
      const python = new PythonProcess();
      await python.run(`${client()}
weir.observe("py_fork_ms", 1)
pids = []
for i in range(3):
    pid = os.fork()
    if pid == 0:
        weir.observe("py_fork_ms", 100)
        weir.close()
        os._exit(0 if weir.stats()["recorded"] == 1 else 1)
    pids.append(pid)
result = [os.waitpid(pid, 0)[1] for pid in pids]
weir.observe("py_fork_ms", 10)
weir.flush()`);
      expect(await rows("SELECT value, count(*) FROM py_fork_ms GROUP BY 1 ORDER BY 1")).toEqual([
        [1, 1],
        [10, 1],
        [100, 3],
      ]);
      await python.end();
    });

    test("a fork while other threads record does not hang the child", async () => {
      const python = new PythonProcess();
      const statuses = await python.run(`${client(", close_timeout_seconds=60")}
import warnings; warnings.simplefilter("ignore")
stop = False
def work():
    while not stop: weir.observe("py_fork_busy_ms", 1)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
result = []
for i in range(5):
    pid = os.fork()
    if pid == 0:
        weir.observe("py_fork_child_ms", i); weir.close(); os._exit(0)
    result.append(os.waitpid(pid, 0)[1])
stop = True
for thread in threads: thread.join()`);
      expect(statuses).toEqual(Array(5).fill(0));
      expect(await rows("SELECT count(*), sum(value) FROM py_fork_child_ms")).toEqual([[5, 10]]);
      await python.end();
    });

    test.each(["fork", "spawn", "forkserver"])(
      "multiprocessing by %s: children flush at their end",
      async (method) => {
        const folder = temporaryFolder();
        writeFileSync(
          `${folder}/many.py`,
          `import multiprocessing, sys
from weir import Weir
weir = Weir(sys.argv[1])
def work(i):
    weir.observe("py_many_${method}_ms", i)
if __name__ == "__main__":
    weir.observe("py_many_${method}_ms", 1000)
    context = multiprocessing.get_context("${method}")
    processes = [context.Process(target=work, args=(i,)) for i in range(3)]
    for process in processes: process.start()
    for process in processes: process.join()
    with context.Pool(2) as pool:
        pool.map(work, [10, 20])
        pool.close(); pool.join()
`,
        );
        const python = new PythonProcess(["-W", "ignore", `${folder}/many.py`, front.url]);
        expect(await python.ended()).toEqual({ exitCode: 0, signal: null, errors: "" });
        expect(await rows(`SELECT list(value ORDER BY value) FROM py_many_${method}_ms`)).toEqual([
          [[0, 1, 2, 10, 20, 1000]],
        ]);
      },
    );
  });

  test("counts and sums are equal after random failures of gateway, network and worker", async () => {
    const spool = temporaryFolder();
    let seed = runs().seed;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const rules: FrontRule[] = [
      () => "lose answer",
      () => (random(2) === 0 ? "lose answer" : "pass"),
      () => new Response("", { status: 429 }),
      () => new Response("", { status: 503, headers: { "Retry-After": "0" } }),
      () => "pass",
    ];
    const begin = async () => {
      const process = new PythonProcess();
      await process.run(client(`, spool=${JSON.stringify(spool)}, worker="_9", batch_samples=7`));
      return process;
    };
    let python = await begin();
    let next = 0;
    let stored = 0;
    for (let step = 0; step < 60; step++) {
      const action = random(12);
      if (action < 6) {
        const count = 1 + random(40);
        // flush() says that the gateway or the spool has everything: from then on nothing may be lost.
        const isSafe = await python.run<boolean>(`
for i in range(${next}, ${next + count}): weir.observe("py_random_ms", i, {"task_id": str(i)})
result = weir.flush()`);
        expect(isSafe).toBe(true);
        next += count;
      } else if (action < 9) front.rule = rules[random(rules.length)]!;
      else if (action < 11) {
        if (action === 9) await python.kill("SIGKILL");
        else await python.end();
        python = await begin();
      } else {
        await front.close();
        await gateway.stop(random(2) === 0 ? "SIGKILL" : "SIGTERM");
        if (random(2) === 0) {
          await python.run(`weir.observe("py_random_ms", ${next}, {"task_id": "${next}"}); weir.flush()`);
          next++;
        }
        await start();
        front.open();
      }
    }
    front.rule = () => "pass";
    await until("the backlog", async () => {
      await python.run("weir.flush()");
      stored = Number((await rows("SELECT count(*) FROM py_random_ms"))[0]![0]);
      return stored >= next && readdirSync(`${spool}/_9`).length === 0;
    });
    const want = [next, next, (next * (next - 1)) / 2];
    expect(await rows("SELECT count(*), count(DISTINCT task_id), sum(value) FROM py_random_ms")).toEqual([
      want,
    ]);
    await python.end();
  });
});
