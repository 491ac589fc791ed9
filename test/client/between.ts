/**
 * A proxy between a client and a gateway, at an address that stays: it passes requests on, loses answers, hangs, or
 * answers itself. So a gateway can be stopped and started again, at another port, under a client.
 */

/** What happens to requests from now on. */
export type Traffic =
  | "pass"
  /** The gateway stores the push, and the client gets 502 instead of its answer. */
  | "lose answers"
  /** No answer, until the traffic changes. */
  | "hang"
  /** An answer of its own. */
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

export class Between {
  #gateway: string;
  #traffic: Traffic = "pass";
  #changed = Promise.withResolvers<void>();
  readonly #server: Bun.Server<undefined>;
  /** The Idempotency-Keys of the requests, in order. */
  readonly keys: string[] = [];

  constructor(gateway: string) {
    this.#gateway = gateway;
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Where requests go from now on. */
  set gateway(url: string) {
    this.#gateway = url;
  }

  set traffic(traffic: Traffic) {
    this.#traffic = traffic;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async stop(): Promise<void> {
    this.traffic = { status: 503 };
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    this.keys.push(request.headers.get("idempotency-key") ?? "none");
    const body = await request.arrayBuffer();
    while (this.#traffic === "hang") await this.#changed.promise;
    // Its client ended meanwhile.
    if (request.signal.aborted) return new Response();
    if (typeof this.#traffic === "object") {
      const { status, headers = {}, body: text = "" } = this.#traffic;
      return new Response(text, { status, headers });
    }
    const isLost = this.#traffic === "lose answers";
    try {
      const { pathname, search } = new URL(request.url);
      const answer = await fetch(`${this.#gateway}${pathname}${search}`, {
        method: request.method,
        headers: request.headers,
        body: request.method === "GET" ? undefined : body,
      });
      const bytes = await answer.arrayBuffer();
      if (isLost) return new Response("the answer was lost", { status: 502 });
      return new Response(bytes, { status: answer.status, headers: answer.headers });
    } catch {
      return new Response("the gateway is down", { status: 502 });
    }
  }
}

/** The rows of a statement, from a gateway. */
export async function rowsOf(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const answer = await fetch(`${url}/api/v1/sql?q=${encodeURIComponent(sql)}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return (JSON.parse(text) as { rows: Record<string, unknown>[] }).rows;
}

/** How many samples of a metric are stored, how many different tasks they are of, and their sum. */
export async function storedWork(
  url: string,
  table = "work_duration_ms",
): Promise<{ count: number; tasks: number; sum: number }> {
  const [row] = await rowsOf(
    url,
    `SELECT count(*) AS count, count(DISTINCT task_id) AS tasks, sum(value) AS sum FROM ${table}`,
  );
  return { count: Number(row!.count), tasks: Number(row!.tasks), sum: Number(row!.sum) };
}

/** What `storedWork` returns if the samples with the values 0 to `count` - 1 are stored once. */
export function onceEach(count: number): { count: number; tasks: number; sum: number } {
  return { count, tasks: count, sum: (count * (count - 1)) / 2 };
}
