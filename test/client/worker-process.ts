/**
 * A worker as a process of its own, under Bun, Node or Deno, with the client as a worker installs it: the package that
 * scripts/build-client makes. It does what it reads from its standard input, and answers each line with its counts.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import type { ClientOptions, ClientStats } from "../../src/client/index.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const ROOT = join(import.meta.dir, "../..");

const PROGRAM = `
import process from "node:process";
import { createInterface } from "node:readline";
import { createWeir } from "weir/client";
import { createWorkerMetrics } from "weir/client/worker";

const { options, handler, metric } = JSON.parse(process.argv[2]);
// "once" and "on" are listeners of the worker, which end it in their own way.
if (handler) process[handler]("SIGTERM", async () => {
  weir.observe(metric, 1000, { task_id: "task-1000" });
  await weir.close();
  process.exit(7);
});
const weir = createWeir(options);
const metrics = createWorkerMetrics(weir);
const lines = createInterface({ input: process.stdin });
const actions = {
  record({ from, count }) {
    for (let index = from; index < from + count; index++)
      weir.observe(metric, index, { task_id: "task-" + index });
  },
  upload: ({ bytes }) => metrics.recordUpload({ bytes }),
  stats() {},
  flush: () => weir.flush(),
  close: () => weir.close(),
  exit: ({ code }) => process.exit(code),
  fail() { setTimeout(() => { throw new Error("the worker has a fault"); }, 0); },
};
const answer = () => console.log(JSON.stringify(weir.stats()));
lines.on("line", async (line) => {
  const action = JSON.parse(line);
  await actions[action.do](action);
  answer();
});
answer();
`;

/** Makes a folder with the program, and with the client as an installed package. */
export function installWorker(): string {
  const folder = temporaryFolder();
  const installed = join(folder, "node_modules/weir");
  mkdirSync(installed, { recursive: true });
  const built = Bun.spawnSync([join(ROOT, "scripts/build-client"), installed], {
    env: { ...process.env, PATH: `${join(process.execPath, "..")}:${process.env.PATH}` },
  });
  if (!built.success) throw new Error(built.stderr.toString() + built.stdout.toString());
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  // Deno finds a package that no registry has by an import map.
  const imports = {
    "weir/client": "./node_modules/weir/index.js",
    "weir/client/worker": "./node_modules/weir/worker/worker.js",
  };
  writeFileSync(join(folder, "deno.json"), JSON.stringify({ imports }));
  writeFileSync(join(folder, "worker.js"), PROGRAM);
  return folder;
}

export const RUNTIMES = {
  Bun: [process.execPath, "--no-env-file"],
  Node: [Bun.which("node") ?? ""],
  Deno: [Bun.which("deno") ?? "", "run", "--allow-all"],
} as const;

export type RuntimeName = keyof typeof RUNTIMES;

/** True if the runtime is on this machine. */
export const hasRuntime = (name: RuntimeName): boolean => RUNTIMES[name][0] !== "";

export interface WorkerSetup {
  readonly options: ClientOptions;
  /** What it records. */
  readonly metric: string;
  /** How it listens to SIGTERM itself, if it does. */
  readonly handler?: "on" | "once";
}

export type WorkerAction =
  | { readonly do: "record"; readonly from: number; readonly count: number }
  | { readonly do: "upload"; readonly bytes: number }
  | { readonly do: "exit"; readonly code: number }
  | { readonly do: "stats" | "flush" | "close" | "fail" };

export class WorkerProcess {
  readonly #child: Subprocess<"pipe", "pipe", "pipe">;
  readonly #answers: AsyncIterator<string>;
  readonly #errors: Promise<string>;

  private constructor(child: Subprocess<"pipe", "pipe", "pipe">) {
    this.#child = child;
    this.#answers = linesOf(child.stdout);
    this.#errors = new Response(child.stderr).text();
  }

  static async start(
    runtime: RuntimeName,
    folder: string,
    { options, metric, handler }: WorkerSetup,
  ): Promise<WorkerProcess> {
    const child = Bun.spawn(
      [...RUNTIMES[runtime], join(folder, "worker.js"), JSON.stringify({ options, metric, handler })],
      { cwd: folder, stdin: "pipe", stdout: "pipe", stderr: "pipe" },
    );
    const worker = new WorkerProcess(child);
    await worker.#answer();
    return worker;
  }

  /** Does something, and resolves to the counts after it. */
  async ask(action: WorkerAction): Promise<ClientStats> {
    this.send(action);
    return await this.#answer();
  }

  /** Does something that ends it. */
  send(action: WorkerAction): void {
    void this.#child.stdin.write(`${JSON.stringify(action)}\n`);
    void this.#child.stdin.flush();
  }

  signal(signal: "SIGTERM" | "SIGINT" | "SIGKILL"): void {
    this.#child.kill(signal);
  }

  /** Ends its input: nothing keeps it running then. */
  endInput(): void {
    void this.#child.stdin.end();
  }

  /** How it ended: by a signal, or with a code. */
  async ended(): Promise<{ readonly by: string | number | null; readonly errors: string }> {
    await this.#child.exited;
    return { by: this.#child.signalCode ?? this.#child.exitCode, errors: await this.#errors };
  }

  async #answer(): Promise<ClientStats> {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the worker ended: ${await this.#errors}`);
    return JSON.parse(value) as ClientStats;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}
