/**
 * A Python process with the client, driven by the test: it runs one piece of code after the other. And a front of the
 * gateway with a fixed address, which fails as the test wants.
 */
import { join } from "node:path";
import type { Subprocess } from "bun";

const CLIENT = join(import.meta.dir, "../../src/client/python");

/** Runs what it reads, and answers with the variable `result`. One line each way. */
const DRIVER = `
import json, os, sys, time, threading
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
scope = {"__name__": "__main__"}
exec("from weir import *; import weir as module; import json, os, sys, time, threading, signal", scope)
for line in sys.stdin:
    scope["result"] = None
    try:
        exec(json.loads(line), scope)
        answer = {"result": scope["result"]}
    except BaseException as error:
        answer = {"error": repr(error)}
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
`;

export const PYTHON = Bun.which("python3") ?? undefined;
/** Part of the title of each test, so that a skipped one says why. */
export const PYTHON_NOTE = PYTHON === undefined ? " (skipped: python3 is not installed)" : "";

export class PythonProcess {
  readonly #child: Subprocess<"pipe", "pipe", "pipe">;
  readonly #lines: AsyncGenerator<string>;
  readonly #read: Promise<void>;
  #errors = "";

  constructor(arguments_: readonly string[] = ["-u", "-c", DRIVER], python = PYTHON) {
    const child = Bun.spawn([python!, ...arguments_], {
      env: { ...process.env, PYTHONPATH: CLIENT, PYTHONDONTWRITEBYTECODE: "1" },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#child = child;
    this.#lines = linesOf(child.stdout);
    this.#read = (async () => {
      const decoder = new TextDecoder();
      for await (const bytes of child.stderr) this.#errors += decoder.decode(bytes, { stream: true });
    })();
  }

  /** Runs code. Resolves to what it assigned to `result`; throws if it raised. */
  async run<Result>(code: string): Promise<Result> {
    this.#child.stdin.write(`${JSON.stringify(code)}\n`);
    await this.#child.stdin.flush();
    const line = await this.#lines.next();
    if (line.done) throw new Error(`python3 ended:\n${this.#errors}`);
    const answer = JSON.parse(line.value) as { result: Result; error?: string };
    if (answer.error !== undefined) throw new Error(`${answer.error} in ${code}\n${this.#errors}`);
    return answer.result;
  }

  /** Sends code whose end is not awaited, such as that of an endless loop. */
  async begin(code: string): Promise<void> {
    this.#child.stdin.write(`${JSON.stringify(code)}\n`);
    await this.#child.stdin.flush();
  }

  /** Ends its input, so that the interpreter ends by itself. */
  async end(): Promise<Ending> {
    await this.#child.stdin.end();
    return await this.ended();
  }

  async kill(signal: "SIGTERM" | "SIGKILL"): Promise<Ending> {
    this.#child.kill(signal);
    return await this.ended();
  }

  async ended(): Promise<Ending> {
    await this.#child.exited;
    await this.#read;
    return {
      exitCode: this.#child.exitCode,
      signal: this.#child.signalCode as string | null,
      errors: this.#errors,
    };
  }
}

export interface Ending {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** Its standard error. */
  readonly errors: string;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** What a front does with a request. A Response is the answer; "pass" asks the gateway. */
export type FrontRule = (request: Request) => "pass" | "lose answer" | "hang" | Response;

export interface SeenRequest {
  readonly key: string | null;
  readonly status: number | "lost" | "hung";
  readonly headers: Headers;
}

export class Front {
  rule: FrontRule = () => "pass";
  readonly seen: SeenRequest[] = [];
  #server: Bun.Server<undefined> | undefined;
  readonly #gateway: () => string;
  #hung: (() => void)[] = [];

  constructor(gateway: () => string) {
    this.#gateway = gateway;
    this.open();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  #port = 0;

  /** Listens, again at the same port. */
  open(): void {
    this.#server = Bun.serve({
      port: this.#port,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
    this.#port = this.#server.port!;
  }

  /** Refuses connections, and ends those that are open. */
  async close(): Promise<void> {
    for (const release of this.#hung.splice(0)) release();
    await this.#server?.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const key = request.headers.get("idempotency-key");
    const { headers } = request;
    const body = await request.arrayBuffer();
    const wish = this.rule(request);
    if (wish instanceof Response) {
      this.seen.push({ key, status: wish.status, headers });
      return wish;
    }
    if (wish === "hang") {
      this.seen.push({ key, status: "hung", headers });
      await new Promise<void>((resolve) => this.#hung.push(resolve));
      return new Response(null, { status: 503 });
    }
    const path = new URL(request.url);
    const forwarded = new Headers(headers);
    forwarded.delete("host");
    forwarded.delete("connection");
    const answer = await fetch(`${this.#gateway()}${path.pathname}${path.search}`, {
      method: request.method,
      headers: forwarded,
      body,
    });
    const text = await answer.text();
    this.seen.push({ key, status: wish === "lose answer" ? "lost" : answer.status, headers });
    // A cut answer: the gateway has stored the batch, and the client does not know.
    if (wish === "lose answer") return new Response("{", { status: 502 });
    return new Response(text, { status: answer.status, headers: { "content-type": "application/json" } });
  }
}

/** The rows of a statement, as arrays. */
export async function sqlRows(gateway: string, statement: string): Promise<unknown[][]> {
  const response = await fetch(`${gateway}/api/v1/sql?format=json&q=${encodeURIComponent(statement)}`);
  const answer = (await response.json()) as { rows?: Record<string, unknown>[]; error?: unknown };
  if (answer.rows === undefined) throw new Error(JSON.stringify(answer));
  return answer.rows.map((row) => Object.values(row));
}
