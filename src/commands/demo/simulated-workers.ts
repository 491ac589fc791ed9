/**
 * The simulated workers: each receives steps of work, and records them as a real worker would.
 *
 * - Worker 1 appends to metrics_1.json, as workers without a client do. It knows nothing of the gateway.
 * - Workers 2 and 3 are processes with the client for TypeScript and the client for Python. They read steps, one per
 *   line, and end with their input: so they end also if the demo is killed.
 */
import { appendFileSync, existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { eventLine } from "./event-lines.ts";
import type { WorkStep } from "./task-work.ts";

export interface SimulatedWorker {
  /** Its index, which is the label `instance` of its samples. */
  readonly index: string;
  record(step: WorkStep): void;
  /** Sends what it has and ends. Resolves to the number of samples that it recorded; undefined if it was killed. */
  end(): Promise<number | undefined>;
  /** Resolves to a sentence if the worker ends by itself. */
  readonly failed: Promise<string>;
}

/** How long samples wait in a worker before they are sent or written. Real workers wait 10 s. */
export const FLUSH_INTERVAL_MS = 1_000;

/** A process may take this long to start, and to send what it has at the end. */
const START_MS = 30_000;
const END_MS = 10_000;

/** A worker that writes its metrics to a file, and renames it when the day ends. */
export class FileWorker implements SimulatedWorker {
  readonly index: string;
  readonly failed = new Promise<string>(() => undefined);
  readonly #path: string;
  readonly #timer: Timer;
  #buffer = "";
  #recorded = 0;
  #day = dayOf(Date.now());

  constructor(index: string, folder: string) {
    this.index = index;
    this.#path = join(folder, `metrics_${index}.json`);
    this.#timer = setInterval(() => this.#write(), FLUSH_INTERVAL_MS);
  }

  record(step: WorkStep): void {
    this.#buffer += eventLine(step, Date.now());
    this.#recorded++;
  }

  async end(): Promise<number> {
    clearInterval(this.#timer);
    this.#write();
    return this.#recorded;
  }

  #write(): void {
    // Before its first step, its file has the history that is being imported, and keeps its name.
    if (this.#buffer === "") return;
    const today = dayOf(Date.now());
    if (today !== this.#day && existsSync(this.#path)) renameSync(this.#path, `${this.#path}.${this.#day}`);
    this.#day = today;
    appendFileSync(this.#path, this.#buffer);
    this.#buffer = "";
  }
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** A worker in a process of its own. */
export class ProcessWorker implements SimulatedWorker {
  readonly index: string;
  readonly failed: Promise<string>;
  readonly #child: Subprocess<"pipe", "pipe", "pipe">;
  readonly #output: AsyncGenerator<string>;
  readonly #errors: Promise<string>;
  #isEnding = false;
  #end: Promise<number | undefined> | undefined;

  private constructor(index: string, child: Subprocess<"pipe", "pipe", "pipe">) {
    this.index = index;
    this.#child = child;
    this.#output = linesOf(child.stdout);
    this.#errors = lastLineOf(child.stderr);
    this.failed = child.exited.then(async () =>
      this.#isEnding ? await new Promise<string>(() => undefined) : await this.#ending(),
    );
  }

  /**
   * Starts it. Resolves when it is ready to work, or to a sentence that says why it does not run.
   *
   * @param cwd a folder without settings of its own, such as a .env
   */
  static async start(
    index: string,
    command: readonly string[],
    { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
  ): Promise<ProcessWorker | string> {
    const child = Bun.spawn([...command], {
      cwd,
      env: { ...env },
      // Ctrl-C in a terminal signals a whole process group. The demo alone decides when its workers end.
      detached: true,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const worker = new ProcessWorker(index, child);
    const late = setTimeout(() => child.kill("SIGKILL"), START_MS);
    const first = await worker.#output.next();
    clearTimeout(late);
    return first.done ? await worker.#ending() : worker;
  }

  get pid(): number {
    return this.#child.pid;
  }

  record(step: WorkStep): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.stdin.write(`${JSON.stringify(step)}\n`);
    void this.#child.stdin.flush();
  }

  end(): Promise<number | undefined> {
    this.#end ??= this.#finish();
    return this.#end;
  }

  async #finish(): Promise<number | undefined> {
    this.#isEnding = true;
    const late = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await this.#child.stdin.end();
    const last = await this.#output.next();
    await this.#child.exited;
    clearTimeout(late);
    return last.done ? undefined : Number(last.value);
  }

  async #ending(): Promise<string> {
    await this.#child.exited;
    const { exitCode, signalCode } = this.#child;
    const how = signalCode === null ? `with exit code ${exitCode}` : `by ${signalCode}`;
    const error = await this.#errors;
    return `ended ${how}${error === "" ? "" : `: ${error.slice(0, 200)}`}`;
  }
}

async function lastLineOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let last = "";
  for await (const line of linesOf(stream)) if (line.trim() !== "") last = line.trim();
  return last;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
