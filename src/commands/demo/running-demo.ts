/**
 * A running demo: what it starts, what it prints, and how it ends.
 *
 * The questions are asked before the workers begin to work, so that their answers depend only on the seed: README.md shows
 * some of them, and a test compares them with what the workers have sent.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { innerCommand, programCommand } from "../../program/program-command.ts";
import { programPath } from "../../program/program-files.ts";
import { statement } from "../../store/statements.ts";
import { accepted, gatewayAt, type Send } from "../client.ts";
import { exitCode, type Io } from "../command.ts";
import { command as importCommand } from "../import.ts";
import { grouped } from "../import/progress.ts";
import { batchJob } from "./batch-job.ts";
import { DEFAULT_PORT, startDemoGateway } from "./demo-gateway.ts";
import { SILENT, writeHistory } from "./history.ts";
import { deleteAtEnd, startOnLeash } from "./leash.ts";
import { play } from "./play.ts";
import { answerTo, commandLine, printedBy, QUESTIONS } from "./questions.ts";
import { SeededRandom } from "./seeded-random.ts";
import { FileWorker, FLUSH_INTERVAL_MS, ProcessWorker, type SimulatedWorker } from "./simulated-workers.ts";
import { workFrom } from "./task-work.ts";

export interface DemoOptions {
  readonly seed: number;
  /** The port of the gateway; the default one, or a free one, if it is undefined. */
  readonly port: number | undefined;
  /** The data folder; one in the temporary folder by default. */
  readonly data: string | undefined;
  /** Whether the temporary folder stays. */
  readonly keep: boolean;
  /** How printed commands name `weir`. */
  readonly program: string;
}

/** How long the end waits until the gateway has what the workers recorded. It takes about a second. */
const ARRIVAL_MS = 20_000;
const ARRIVAL_POLL_MS = 100;
const STATUS_INTERVAL_MS = 1_000;
/** Streams of random numbers. Those of the workers' past are their indexes. */
const STREAM = { present: 100, batchJob: 200 } as const;
/** The label of the workers. */
const JOB = "scanner";

/** A worker, and what the demo prints about it. */
interface Role {
  readonly index: string;
  readonly what: string;
  /** Absent if it does not run. */
  readonly worker?: SimulatedWorker;
}

/** What a worker has sent, and what of it is stored. */
interface Account {
  readonly index: string;
  /** Undefined if it was killed, so that nobody knows. */
  readonly recorded: number | undefined;
  readonly stored: number;
}

export class Demo implements AsyncDisposable {
  readonly #options: DemoOptions;
  readonly #io: Io;
  readonly #onFatal: (problem: string) => void;
  /** What ends with the demo, in reverse order. */
  readonly #ends = new AsyncDisposableStack();
  /** What ends before the account. */
  readonly #plays: (() => void)[] = [];
  #roles: readonly Role[] = [];
  #folder = "";
  #data = "";
  #url = "";
  #send: Send = () => Promise.reject(new Error("the gateway does not run yet"));
  #history = 0;
  #beganMs = 0;
  #sent = 0;
  #hasStatus = false;

  /** @param onFatal is called if the demo cannot continue */
  constructor(options: DemoOptions, io: Io, onFatal: (problem: string) => void) {
    this.#options = options;
    this.#io = io;
    this.#onFatal = onFatal;
  }

  /** Starts the gateway and the workers, and imports the workers' past. */
  async open(): Promise<void> {
    this.#folder = mkdtempSync(join(tmpdir(), "weir-demo-"));
    if (!this.#options.keep) {
      deleteAtEnd(this.#folder);
      this.#ends.defer(() => rmSync(this.#folder, { recursive: true, force: true }));
    }
    for (const name of ["metrics", "history", "spool"]) mkdirSync(join(this.#folder, name));
    this.#data = this.#options.data ?? join(this.#folder, "data");

    const gateway = await startDemoGateway({
      data: this.#data,
      port: this.#options.port,
      logFile: join(this.#folder, "gateway.log"),
      onFatal: () => this.#onFatal("The gateway cannot store samples any more."),
    });
    this.#ends.defer(() => gateway.stop());
    this.#url = gateway.url;
    this.#send = gatewayAt(this.#url, { env: {} });

    const [typescript, python] = await Promise.all([this.#startTypescript("2"), this.#startPython("3")]);
    this.#roles = [this.#startFileWorker("1"), typescript, python, silentRole];
    await this.#importHistory();
    this.#followFile();
    const job = batchJob(this.#send, new SeededRandom(this.#options.seed, STREAM.batchJob));
    await job.start((error) => void this.#say(`The batch job failed: ${String(error)}`));
    this.#ends.defer(() => job.stop());
  }

  /** Prints where to look, and the questions with their answers. */
  async present(): Promise<void> {
    const url = this.#url;
    const end = this.#options.keep || this.#options.data !== undefined ? "" : " (deleted at the end)";
    await this.#print(`A Weir gateway with simulated workers. Ctrl-C ends everything.

  gateway    ${url}
  data       ${this.#data}${end}
  history    ${grouped(this.#history)} samples of the last hour
${this.#roles.map(({ index, what }) => `  worker ${index}   ${what}\n`).join("")}\
  backup     a batch job that pushes in Prometheus's text format

LOOK AT

  ${url}/
      the page: metrics, queries, alerts and the state of the gateway
  ${url}/metrics
      what Prometheus scrapes
  ${url}/api/v1/tables?format=table
      the metrics: in SQL, each is a table
  Grafana: add ${url} as a data source of type Prometheus

ASK, for example in another terminal
`);
    // WEIR_URL of the user's shell would lead to another gateway.
    const isDefault = url === `http://127.0.0.1:${DEFAULT_PORT}` && (this.#io.env.WEIR_URL ?? "") === "";
    for (const [at, question] of QUESTIONS.entries()) {
      const line = commandLine(question, this.#options.program, isDefault ? [] : ["--url", url]);
      const answer = await answerTo(question, url, this.#io);
      await this.#print(`
${at + 1}. ${question.question} (${question.language})

${indented(line, 2)}

${indented(answer, 6)}
`);
    }
    await this.#print(`
The workers go on working: ask again, and the numbers change. Or kill a worker,
and ask question 4 a few minutes later.
`);
  }

  /** Lets the workers work. */
  begin(): void {
    this.#beganMs = Date.now();
    for (const { index, worker } of this.#roles) {
      if (worker === undefined) continue;
      const random = new SeededRandom(this.#options.seed, STREAM.present + Number(index));
      const record = (step: Parameters<SimulatedWorker["record"]>[0]) => {
        this.#sent++;
        worker.record(step);
      };
      const stop = play(workFrom(random, this.#beganMs), record);
      this.#plays.push(stop);
      this.#ends.defer(stop);
      void worker.failed.then((how) => this.#say(`Worker ${index} ${how}.`));
    }
    if (!this.#io.stdout.isTerminal) return;
    const status = setInterval(() => void this.#showStatus(), STATUS_INTERVAL_MS);
    this.#plays.push(() => clearInterval(status));
    this.#ends.defer(() => clearInterval(status));
  }

  /**
   * Ends the work, waits until everything has arrived, and prints the account.
   *
   * @returns whether every sample that was recorded is stored
   */
  async end(): Promise<boolean> {
    for (const stop of this.#plays) stop();
    const seconds = Math.round((Date.now() - this.#beganMs) / 1_000);
    await this.#clearStatus();
    const running = this.#roles.flatMap(({ index, worker }) =>
      worker === undefined ? [] : [{ index, worker }],
    );
    const recorded = new Map(
      await Promise.all(running.map(async ({ index, worker }) => [index, await worker.end()] as const)),
    );
    const deadline = performance.now() + ARRIVAL_MS;
    let accounts: readonly Account[];
    do {
      accounts = await this.#accounts(recorded);
      if (accounts.every(isComplete)) break;
      await Bun.sleep(ARRIVAL_POLL_MS);
    } while (performance.now() < deadline);
    await this.#print(`\nIn ${seconds} s of work:\n\n${accounts.map(accountText).join("")}`);
    if (this.#options.keep) await this.#print(`\nKept: ${this.#folder}\n`);
    if (this.#options.keep || this.#options.data !== undefined)
      await this.#print(`\nTo look at the data again: ${this.#options.program} serve --data ${this.#data}\n`);
    return accounts.every(isComplete);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clearStatus().catch(() => undefined);
    await this.#ends.disposeAsync();
  }

  #startFileWorker(index: string): Role {
    const worker = new FileWorker(index, join(this.#folder, "metrics"));
    this.#ends.defer(async () => void (await worker.end()));
    return { index, what: `writes metrics_${index}.json, which "weir tail" follows`, worker };
  }

  async #startTypescript(index: string): Promise<Role> {
    const module = join(import.meta.dir, "client-worker.ts");
    const program = innerCommand("demo-worker", module, this.#url, index, join(this.#folder, "spool"));
    const worker = await this.#startProcess(index, program, {});
    if (typeof worker === "string") return { index, what: `TypeScript: did not start; it ${worker}` };
    return { index, what: `TypeScript, with weir/client (process ${worker.pid})`, worker };
  }

  async #startPython(index: string): Promise<Role> {
    const python = Bun.which("python3", { PATH: this.#io.env.PATH ?? "" });
    if (python === null) return { index, what: "Python: skipped, because python3 is not installed" };
    const arguments_ = [this.#url, index, join(this.#folder, "spool"), String(FLUSH_INTERVAL_MS / 1_000)];
    const worker = await this.#startProcess(
      index,
      [python, this.#copied("src/commands/demo/worker.py"), ...arguments_],
      { PYTHONPATH: dirname(this.#copied("src/client/python/weir.py")), PYTHONDONTWRITEBYTECODE: "1" },
    );
    if (typeof worker === "string") return { index, what: `Python: skipped, because python3 ${worker}` };
    return { index, what: `Python, with weir.py (process ${worker.pid})`, worker };
  }

  /** A copy of a file of the program in the folder of the demo: Python does not read files that are embedded in the program. */
  #copied(path: string): string {
    const copy = join(this.#folder, "python", basename(path));
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, readFileSync(programPath(path)));
    return copy;
  }

  async #startProcess(
    index: string,
    command: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<ProcessWorker | string> {
    const worker = await ProcessWorker.start(index, command, { cwd: this.#folder, env: this.#childEnv(env) });
    if (typeof worker !== "string") this.#ends.defer(async () => void (await worker.end()));
    return worker;
  }

  /** The environment of a child. The proxy of the environment is not for this machine. */
  #childEnv(more: Readonly<Record<string, string>> = {}): Record<string, string | undefined> {
    return { ...this.#io.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1", ...more };
  }

  /** Writes the past of the workers that run, and of the one that stopped, and imports it. */
  async #importHistory(): Promise<void> {
    const nowMs = Date.now();
    const files = this.#roles
      .filter(({ index, worker }) => worker !== undefined || index === SILENT.index)
      .map(({ index, worker }) => {
        const folder = worker instanceof FileWorker ? "metrics" : "history";
        return writeHistory(join(this.#folder, folder), index, this.#options.seed, nowMs);
      });
    this.#history = files.reduce((sum, { samples }) => sum + samples, 0);
    const argv = ["--url", this.#url, "--extra-label", `job=${JOB}`, ...files.map(({ path }) => path)];
    const { code, printed } = await printedBy(importCommand, argv, this.#io);
    if (code !== exitCode.ok) throw new DemoFault(`The history could not be imported: ${printed}`);
  }

  /** Starts `weir tail` for the file of worker 1. It continues where the import stopped. */
  #followFile(): void {
    const files = join(this.#folder, "metrics", "metrics_*.json");
    const child = startOnLeash(
      [
        ...programCommand("tail", files, "--url", this.#url, "--label", `job=${JOB}`),
        ...["--from-start", "--state", join(this.#folder, "tail.json")],
      ],
      { cwd: this.#folder, env: this.#childEnv() },
    );
    let isEnding = false;
    this.#ends.defer(async () => {
      isEnding = true;
      child.kill("SIGTERM");
      await child.exited;
    });
    const output = Promise.all([child.stdout.text(), child.stderr.text()]);
    void child.exited.then(async () => {
      if (isEnding) return;
      const [out, errors] = await output;
      await this.#say(`weir tail ended with exit code ${child.exitCode}. ${out}${errors}`.trim());
    });
  }

  /** What is stored of each worker since it began to work, beside what it recorded. */
  async #accounts(recorded: ReadonlyMap<string, number | undefined>): Promise<Account[]> {
    const body = JSON.stringify({ sql: statement("demo/stored_by_worker"), params: { from: this.#beganMs } });
    const headers = { "content-type": "application/json" };
    const answer = await accepted(
      await this.#send("/api/v1/sql", { method: "POST", headers, body, query: [["format", "ndjson"]] }),
    );
    const rows = (await answer.text())
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { readonly instance: string; readonly samples: number | string });
    const stored = new Map(rows.map(({ instance, samples }) => [instance, Number(samples)]));
    return [...recorded].map(([index, count]) => ({
      index,
      recorded: count,
      stored: stored.get(index) ?? 0,
    }));
  }

  async #showStatus(): Promise<void> {
    const seconds = Math.floor((Date.now() - this.#beganMs) / 1_000);
    const text = `${grouped(this.#sent)} samples sent in ${seconds} s`;
    this.#hasStatus = true;
    await this.#io.stdout
      .write(`\r${text.slice(0, this.#io.stdout.columns - 1)}\x1b[K`)
      .catch(() => undefined);
  }

  async #clearStatus(): Promise<void> {
    if (!this.#hasStatus) return;
    this.#hasStatus = false;
    await this.#io.stdout.write("\r\x1b[K");
  }

  /** Prints what happened, in place of the status. The reader of the output may have ended. */
  async #say(text: string): Promise<void> {
    await this.#clearStatus().catch(() => undefined);
    await this.#print(`${text}\n`).catch(() => undefined);
  }

  async #print(text: string): Promise<void> {
    await this.#io.stdout.write(text);
  }
}

const silentRole: Role = { index: SILENT.index, what: `stopped ${SILENT.minutes} minutes ago` };

/** The demo cannot go on. The message says why. */
export class DemoFault extends Error {
  override readonly name = "DemoFault";
}

const indented = (text: string, columns: number): string =>
  text
    .split("\n")
    .map((line) => (line === "" ? "" : " ".repeat(columns) + line))
    .join("\n");

const isComplete = ({ recorded, stored }: Account): boolean => recorded === undefined || recorded === stored;

function accountText({ index, recorded, stored }: Account): string {
  const what =
    recorded === undefined
      ? `was killed; ${grouped(stored)} samples are stored`
      : recorded === stored
        ? `recorded ${grouped(recorded)} samples, and all are stored`
        : `recorded ${grouped(recorded)} samples, of which ${grouped(stored)} are stored`;
  return `  worker ${index}   ${what}\n`;
}
