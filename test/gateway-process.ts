/**
 * The real gateway as a process, as `weir serve` starts it: on a free port, with its own folder. Used by the tests
 * that kill it and by the benchmark.
 */
import { join } from "node:path";
import type { Subprocess } from "bun";

const ROOT = join(import.meta.dir, "..");

/** Where it says its address. Lines before may name other servers, such as a destination that is away. */
const LISTENING = /(?:event"?[=:]"?listening\b|listens on ).*?(https?:\/\/127\.0\.0\.1:\d+)(?=\D)/;

export interface StartOptions {
  /** The data folder. */
  readonly data: string;
  /** More arguments of `weir serve`. */
  readonly args?: readonly string[];
  /** Arguments of Bun itself, before the program. */
  readonly runtimeArgs?: readonly string[];
  /** Working directory; the repository by default. */
  readonly cwd?: string;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts it, such as `nohup`. */
  readonly by?: readonly string[];
  /** The program; by default this Bun with the sources. */
  readonly program?: readonly string[];
}

export class GatewayProcess {
  /** Its URL: `http://127.0.0.1:PORT`, or with https. */
  readonly url: string;
  /** Its standard output and error so far, joined. */
  readonly log: { text: string };
  private readonly child: Subprocess;

  private constructor(child: Subprocess, url: string, log: { text: string }) {
    this.child = child;
    this.url = url;
    this.log = log;
  }

  /** Starts it and resolves once it listens. Throws with its output if it exits before that. */
  static async start(options: StartOptions): Promise<GatewayProcess> {
    const { child, log, announced } = spawn(options);
    const url = await Promise.race([announced, child.exited.then(() => undefined)]);
    if (url === undefined) throw new Error(`weir serve ended with ${child.exitCode}:\n${log.text}`);
    return new GatewayProcess(child, url, log);
  }

  /** Starts a process that is expected to exit by itself. Resolves to its exit code and its output. */
  static async startToEnd(options: StartOptions): Promise<{ exitCode: number; log: string }> {
    const { child, log, drained } = spawn(options);
    const exitCode = await child.exited;
    await drained;
    return { exitCode, log: log.text };
  }

  /** Starts a process and kills it after some milliseconds, at whatever stage it is. */
  static async startAndKill(options: StartOptions, afterMs: number): Promise<void> {
    const { child } = spawn(options);
    await Bun.sleep(afterMs);
    child.kill("SIGKILL");
    await child.exited;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Resolves to the exit code once it has exited by itself. */
  async ended(): Promise<number | null> {
    await this.child.exited;
    return this.child.exitCode;
  }

  /** Sends a signal and resolves to the exit code once it has exited (128 + n, or null, after a signal). */
  async stop(signal: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): Promise<number | null> {
    this.child.kill(signal);
    await this.child.exited;
    return this.child.signalCode ? null : this.child.exitCode;
  }
}

function spawn(options: StartOptions) {
  const { data, args = [], runtimeArgs = [], cwd = ROOT, env = {}, by = [] } = options;
  const program = options.program ?? [process.execPath, ...runtimeArgs, join(ROOT, "src/main.ts")];
  const child = Bun.spawn([...by, ...program, "serve", "--listen", "127.0.0.1:0", "--data", data, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const log = { text: "" };
  const announcement = Promise.withResolvers<string>();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      log.text += decoder.decode(bytes, { stream: true });
      const url = LISTENING.exec(log.text)?.[1];
      if (url) announcement.resolve(url);
    }
  };
  const drained = Promise.all([read(child.stdout), read(child.stderr)]);
  return { child, log, announced: announcement.promise, drained };
}
