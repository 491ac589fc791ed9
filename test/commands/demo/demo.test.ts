/**
 * `weir demo` as a process: its questions, run as it prints them, are answered with what its workers have sent; every
 * sample arrives; and nothing of it stays behind, however it ends.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SILENT, writeHistory } from "../../../src/commands/demo/history.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { weir } from "../weir.ts";

const ROOT = join(import.meta.dir, "../../..");
const SEED = 1;
const PYTHON_NOTE = Bun.which("python3") === null ? " (without worker 3: python3 is not installed)" : "";

/** A demo whose temporary folder is in a folder of the test. */
class DemoProcess {
  readonly temporary = temporaryFolder();
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  text = "";
  readonly #read: Promise<void>;

  constructor(args: readonly string[], path = process.env.PATH) {
    this.child = Bun.spawn([process.execPath, join(ROOT, "src/main.ts"), "demo", "--port", "0", ...args], {
      cwd: ROOT,
      env: { ...process.env, WEIR_URL: undefined, TMPDIR: this.temporary, PATH: path },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const read = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const bytes of stream) this.text += decoder.decode(bytes, { stream: true });
    };
    this.#read = Promise.all([read(this.child.stdout), read(this.child.stderr)]).then(() => undefined);
  }

  async prints(what: string | RegExp): Promise<void> {
    await until(`the demo to print ${what}`, () => {
      if (this.child.exitCode !== null)
        throw new Error(`the demo ended with ${this.child.exitCode}:\n${this.text}`);
      return typeof what === "string" ? this.text.includes(what) : what.test(this.text);
    });
  }

  async ended(): Promise<number | null> {
    await this.child.exited;
    await this.#read;
    return this.child.exitCode;
  }

  get url(): string {
    return /gateway +(http\S+)/.exec(this.text)![1]!;
  }

  /** The processes of the workers. */
  get pids(): number[] {
    return [...this.text.matchAll(/\(process (\d+)\)/g)].map(([, pid]) => Number(pid));
  }

  /** The question's command and its answer, without their indentation. */
  question(number: number): { readonly command: string; readonly answer: string } {
    const [, command = "", answer = ""] =
      new RegExp(`^${number}\\. .*\\n\\n([\\s\\S]*?)\\n\\n((?: {6}.*\\n)+)`, "m").exec(this.text) ?? [];
    const without = (text: string, columns: number) =>
      text.replaceAll(new RegExp(`^ {${columns}}`, "gm"), "");
    return { command: without(command, 2), answer: without(answer, 6) };
  }
}

/** The demos of this machine that have this folder as the temporary one, with their children. */
function processesOf(temporary: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return line.includes(temporary) ? [`${pid} ${line}`] : [];
      } catch {
        return [];
      }
    });
}

/** Rows of a printed table, without its head and its count. */
const rowsOf = (table: string): string[][] =>
  table
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^(-+ *)+$|^\(\d+ rows\)$/.test(line))
    .slice(1)
    .map((line) => line.trim().split(/ {2,}/));

/** The rows of the first question. */
const QUANTILE = /^ +\{domain="(.*)"\} +(\d+)$/gm;

/** A text without what differs from run to run: the address, times, and numbers that depend on them. */
const asIn = (text: string): string =>
  text
    .replaceAll(/ --url http:\S+/g, "")
    .replaceAll(/ \\\n +/g, " ")
    .replaceAll(/\b\d{10}_(?=[0-9a-z]{6}\b)/g, "TIME_")
    .replaceAll(QUANTILE, '{domain="$1"} NUMBER');

interface SentSample {
  readonly "@timestamp": number;
  readonly metric_name: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** What the workers have sent before the questions are asked, by worker, as the demo makes it. */
function sentHistory(workers: readonly string[]): Map<string, SentSample[]> {
  const folder = temporaryFolder();
  return new Map(
    workers.map((index) => {
      const { path } = writeHistory(folder, index, SEED, Date.now());
      const lines = readFileSync(path, "utf8").trim().split("\n");
      return [index, lines.map((line) => JSON.parse(line) as SentSample)];
    }),
  );
}

const workers = PYTHON_NOTE === "" ? ["1", "2", "3", "4"] : ["1", "2", "4"];

describe(`weir demo${PYTHON_NOTE}`, () => {
  let demo: DemoProcess;
  const sent = sentHistory(workers);
  const samples = [...sent.values()].flat();
  const of = (metric: string) => samples.filter(({ metric_name: name }) => name === metric);
  const requests = of("http.request.duration_ms");

  beforeAll(async () => {
    demo = new DemoProcess(["--seed", String(SEED), "--keep", "--program", "scripts/weir"]);
    await demo.prints("The workers go on working");
  });
  afterAll(async () => {
    demo.child.kill("SIGINT");
    await demo.ended();
  });

  test("prints lines of at most 80 columns, and how much history there is", () => {
    expect(demo.text.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(demo.text).toContain(
      `history    ${samples.length.toLocaleString("en-US")} samples of the last hour\n`,
    );
  });

  test("prints addresses that answer, the page first", async () => {
    const looked = /^LOOK AT\n([\s\S]*?)^ASK/m.exec(demo.text)![1]!;
    const addresses = [...looked.matchAll(/^ {2}(http\S+)$/gm)].map(([, address]) => address!);
    expect(addresses.map((address) => address.replace(demo.url, ""))).toEqual([
      "/",
      "/metrics",
      "/api/v1/tables?format=table",
    ]);
    const [page, metrics, tables] = await Promise.all(
      addresses.map(async (address) => (await fetch(address)).text()),
    );
    // A clone that never ran scripts/demo or scripts/serve has a page that says so.
    expect(page).toContain("<title>Weir</title>");
    expect(metrics).toContain('weir_samples_accepted_total{protocol="events"} ');
    expect(tables).toContain("task_processing_duration_ms");
  });

  test.skipIf(PYTHON_NOTE !== "")("prints what README.md shows", () => {
    const readme = readFileSync(join(ROOT, "README.md"), "utf8");
    const shown = readme.match(/^```\n( {2}history [\s\S]*?)^```$/m)![1]!;
    const printed = asIn(demo.text);
    const pieces = asIn(shown)
      .split("…")
      .map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    expect(printed).toMatch(new RegExp(pieces.join("[\\s\\S]*?")));
    // The quantiles depend on where the grid of 15 s lies.
    for (const [, series, value] of shown.matchAll(QUANTILE)) {
      const [, now] = new RegExp(`^ +{domain="${series}"} +(\\d+)$`, "m").exec(demo.text)!;
      expect(Math.abs(Number(now) / Number(value) - 1)).toBeLessThan(0.25);
    }
  });

  test("answers how slow each domain is, within the buckets of the histogram", () => {
    const newest = Math.max(...requests.map((each) => each["@timestamp"]));
    const targets = requests.filter(
      ({ tags, "@timestamp": atMs }) => tags.operation === "target_request" && atMs > newest - 30 * 60_000,
    );
    const bounds = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
    const rows = rowsOf(demo.question(1).answer);
    expect(rows.map(([series]) => /domain="(.*)"/.exec(series!)![1])).toEqual([
      "api.example.org",
      "git.example.net",
      "registry.example.com",
      "reports.example.org",
    ]);
    for (const [series, p95] of rows) {
      const domain = /domain="(.*)"/.exec(series!)![1]!;
      const durations = targets.filter(({ tags }) => tags.domain === domain).map(({ value }) => value);
      const exact = durations.toSorted((a, b) => a - b)[Math.floor(durations.length * 0.95)]!;
      const above = bounds.findIndex((bound) => exact <= bound);
      // The grid of 15 s may move a few requests into or out of the range, and so the quantile within its bucket.
      expect(Number(p95)).toBeGreaterThanOrEqual(bounds[above - 1]! * 0.9);
      expect(Number(p95)).toBeLessThanOrEqual(bounds[above]! * 1.1);
    }
  });

  test("answers how often each operation fails", () => {
    const byOperation = Map.groupBy(requests, ({ tags }) => tags.operation!);
    const want = [...byOperation]
      .map(([operation, all]) => ({
        operation,
        percent: (100 * all.filter(({ tags }) => tags.success === "false").length) / all.length,
      }))
      .toSorted((a, b) => b.percent - a.percent)
      .map(({ operation, percent }) => `${operation}: ${Number(percent.toPrecision(6))}% error rate\n`);
    expect(want).toHaveLength(4);
    expect(demo.question(2).answer).toBe(want.join(""));
  });

  test("answers which tasks were slow, with their ids", () => {
    const slowest = of("task.processing_duration_ms")
      .toSorted((a, b) => b.value - a.value)
      .slice(0, 5);
    expect(rowsOf(demo.question(3).answer)).toEqual(
      slowest.map(({ value, tags }) => [
        // The ids begin with the time at which a task was received.
        expect.stringMatching(new RegExp(`^\\d{10}_${tags.task_id!.split("_")[1]}$`)),
        tags.domain,
        tags.http_status,
        (value / 1_000).toFixed(1).replace(/\.0$/, ""),
      ]),
    );
  });

  test("answers which worker is silent", () => {
    const rows = rowsOf(demo.question(4).answer);
    const counts = [...sent].map(([index, own]) => [
      index,
      own.filter(({ metric_name: name }) => name === "http.request.duration_ms").length,
    ]);
    expect(rows.map(([worker, count]) => [worker, Number(count)]).toSorted()).toEqual(counts.toSorted());
    // A busy machine may take a minute to start.
    const minutesAgo = rows.map(([, , , minutes]) => Number(minutes));
    expect(rows[0]![0]).toBe(SILENT.index);
    expect([SILENT.minutes, SILENT.minutes + 1]).toContain(minutesAgo[0]!);
    for (const minutes of minutesAgo.slice(1)) expect(minutes).toBeLessThanOrEqual(1);
  });

  test("answers how much was uploaded", () => {
    const byType = Map.groupBy(of("upload.size_bytes"), ({ tags }) => tags.upload_type!);
    const sizes = (uploads: readonly SentSample[]) => [
      uploads.length,
      uploads.reduce((sum, { value }) => sum + value, 0),
    ];
    const rows = rowsOf(demo.question(5).answer).map(([type, , uploads, bytes]) => [
      type,
      Number(uploads),
      Number(bytes),
    ]);
    expect(rows).toEqual([
      ["direct", ...sizes(byType.get("direct")!)],
      ["inline", ...sizes(byType.get("inline")!)],
      ["(all)", ...sizes(of("upload.size_bytes"))],
    ]);
  });

  test("prints commands that run as they are", async () => {
    for (const number of [1, 2, 3, 4, 5]) {
      const { command, answer } = demo.question(number);
      expect(command).toStartWith("scripts/weir ");
      const path = `${dirname(process.execPath)}:${process.env.PATH}`;
      const env = { ...process.env, PATH: path, WEIR_URL: undefined };
      const run = Bun.spawnSync(["sh", "-euc", command], { cwd: ROOT, env });
      expect({ number, code: run.exitCode, errors: run.stderr.toString() }).toMatchObject({
        number,
        code: 0,
      });
      const firstWords = (text: string) => text.split("\n").map((line) => line.split(/[\s:]/)[0]);
      // The workers go on, so that the numbers change.
      if (number !== 3)
        expect(firstWords(run.stdout.toString()).toSorted()).toEqual(firstWords(answer).toSorted());
    }
  });

  test("shows the batch job on /metrics, beside the workers", async () => {
    await until("the batch job to push", async () =>
      /^backup_duration_seconds\{instance="db1",job="backup"\} \d+$/m.test(
        await (await fetch(`${demo.url}/metrics`)).text(),
      ),
    );
    for (const instance of workers.filter((index) => index !== SILENT.index))
      await until(`worker ${instance} to push`, async () =>
        new RegExp(`^http_request_duration_ms_count\\{.*instance="${instance}",job="scanner"`, "m").test(
          await (await fetch(`${demo.url}/metrics`)).text(),
        ),
      );
  });

  test("runs a second time beside the first, without python3, and ends by itself with every sample stored", async () => {
    const path = temporaryFolder();
    for (const tool of ["sh", "cat", "sleep", "rm"]) symlinkSync(Bun.which(tool)!, join(path, tool));
    const second = new DemoProcess(["--seconds", "2", "--seed", "7"], path);
    expect({ code: await second.ended(), text: second.text }).toMatchObject({ code: 0 });
    expect(second.url).not.toBe(demo.url);
    expect(second.text).toContain("  worker 3   Python: skipped, because python3 is not installed\n");
    expect(second.text).toMatch(
      /In \d+ s of work:\n\n {2}worker 1 {3}recorded \d+ samples, and all are stored\n {2}worker 2 {3}recorded \d+ samples, and all are stored\n$/,
    );
    expect(readdirSync(second.temporary)).toEqual([]);
    expect(demo.child.exitCode).toBeNull();
  });

  test("reports a worker that was killed, stores what the others recorded, and keeps the folder with --keep", async () => {
    process.kill(demo.pids[0]!, "SIGKILL");
    await demo.prints("Worker 2 ended by SIGKILL.\n");
    demo.child.kill("SIGINT");
    expect({ code: await demo.ended(), text: demo.text }).toMatchObject({ code: 0 });
    expect(demo.text).toMatch(/worker 1 {3}recorded \d+ samples, and all are stored\n/);
    expect(demo.text).toMatch(/worker 2 {3}was killed; \d+ samples are stored\n/);
    const [folder] = readdirSync(demo.temporary);
    expect(demo.text).toContain(`Kept: ${join(demo.temporary, folder!)}\n`);
    expect(existsSync(join(demo.temporary, folder!, "data/store.duckdb"))).toBe(true);
    await until("its processes to end", () => processesOf(demo.temporary).length === 0);
  });

  test("leaves neither processes nor its folder behind when it is killed", async () => {
    const killed = new DemoProcess(["--seconds", "600"]);
    await killed.prints("The workers go on working");
    expect(processesOf(killed.temporary).length).toBeGreaterThanOrEqual(3);
    killed.child.kill("SIGKILL");
    await killed.ended();
    await until("its processes to end", () => processesOf(killed.temporary).length === 0);
    expect(readdirSync(killed.temporary)).toEqual([]);
  });

  test("ends when nobody reads its output any more", async () => {
    const temporary = temporaryFolder();
    const command = `"$0" src/main.ts demo --port 0 | head -n 3`;
    const run = Bun.spawnSync(["sh", "-c", command, process.execPath], {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: temporary },
    });
    expect(run.stdout.toString()).toContain("gateway");
    await until("its processes to end", () => processesOf(temporary).length === 0);
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe("the arguments of weir demo", () => {
  test("must be whole numbers within limits", async () => {
    for (const [args, message] of [
      [["--seconds", "0"], '--seconds is "0", expected a whole number from 1 to 86,400.'],
      [["--seconds", "1.5"], '--seconds is "1.5", expected a whole number from 1 to 86,400.'],
      [["--seed", "x"], '--seed is "x", expected a whole number from 0 to 999,999.'],
      [["--port", "65536"], '--port is "65536", expected a whole number from 0 to 65,535.'],
      [["--data", ""], "--data is empty, expected a folder."],
    ] as const)
      expect(await weir(["demo", ...args])).toMatchObject({ code: 2, err: expect.stringContaining(message) });
  });

  test("--data is not the folder of a gateway that has data", async () => {
    const data = join(temporaryFolder(), "data");
    mkdirSync(data);
    writeFileSync(join(data, "store.duckdb"), "");
    const { code, err } = await weir(["demo", "--data", data]);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining(`--data is "${data}", which has data already; expected another folder.`),
    });
  });
});
