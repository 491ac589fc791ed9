/** A gateway as a process, a pusher of 20 events per second, and what hostile requests beside it cost. */
import { readFileSync } from "node:fs";
import type { GatewayProcess } from "../../gateway-process.ts";
import { ProbedGateway } from "./probed-gateway.ts";

/** A request that should delay nobody. */
export interface Hostile {
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Built when it is sent, because all bodies together would need gigabytes. */
  readonly body?: () => Uint8Array | string;
  /** How often it is sent at once. */
  readonly times?: number;
  /** The client closes the connection after so many bytes of the answer. */
  readonly readsBytes?: number;
}

/** What some requests cost, in pieces of work: see slice-probe.ts. */
export interface Cost {
  /** The longest work of the main thread without a turn of the event loop. */
  readonly slice: number;
  /** The most work of the main thread between a push and its answer. */
  readonly wait: number;
  /** Processor time of a piece meanwhile, ms. */
  readonly pieceMs: number;
  readonly statuses: readonly number[];
}

/**
 * The longest slice, in pieces of work: 1 ms each on a quiet machine. Without slices, the work for most hostile requests
 * takes 300 to 13,000 pieces without a turn of the event loop. A slice is 5 ms. What is not divided takes up to 60.
 */
export const SLICE_MAX = 200;
/**
 * The most work between a push and its answer. A push needs some five turns of the event loop. On a busy machine the disk
 * and the engine take longer, and more slices of other work run meanwhile.
 */
export const WAIT_MAX = 1_500;

const PUSH_INTERVAL_MS = 50;

export class BesideAPusher {
  readonly gateway: GatewayProcess;
  /** The numbers of the acknowledged events, and of those that got another answer. */
  readonly acknowledged: number[] = [];
  readonly refused: string[] = [];
  readonly #probed: ProbedGateway;
  #number = 0;
  #isOver = false;
  #longestWaitMs = 0;
  readonly #pushes = new Set<Promise<void>>();
  readonly #pusher: Promise<void>;

  private constructor(probed: ProbedGateway) {
    this.gateway = probed.gateway;
    this.#probed = probed;
    this.#pusher = this.#push();
  }

  static async start(folder: string, args: readonly string[]): Promise<BesideAPusher> {
    return new BesideAPusher(await ProbedGateway.start(folder, args));
  }

  /** Sends requests at once, and resolves to their cost when all are answered. */
  async cost(requests: readonly Hostile[]): Promise<Cost> {
    return await this.costOf(
      async () =>
        await Promise.all(
          requests.flatMap((request) => {
            const body = request.body?.();
            return Array.from({ length: request.times ?? 1 }, () => this.#send(request, body));
          }),
        ),
    );
  }

  /** What something costs the gateway until it resolves, to the statuses of answers if it has any. */
  async costOf(work: () => Promise<readonly number[]>): Promise<Cost> {
    await this.#probed.takeLongest();
    const statuses = await work();
    // The pushes that were sent beside them.
    await Promise.all(this.#pushes);
    const waitMs = this.#longestWaitMs;
    this.#longestWaitMs = 0;
    const { longestMs, pieceMs } = await this.#probed.takeLongest();
    return { slice: longestMs / pieceMs, wait: waitMs / pieceMs, pieceMs, statuses };
  }

  /** The answer to a request. */
  async fetch(path: string, init?: RequestInit): Promise<Response> {
    return await fetch(`${this.gateway.url}${path}`, init);
  }

  /** The most resident memory since the start, bytes. Pages of the program's own files do not count: others share them. */
  get residentBytesMax(): number {
    const status = readFileSync(`/proc/${this.gateway.pid}/status`, "utf8");
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
    return (kib("VmHWM") - kib("RssFile")) * 1_024;
  }

  /** Ends the pusher, and resolves when its last push is answered. */
  async stopPushing(): Promise<void> {
    this.#isOver = true;
    await this.#pusher;
    await Promise.all(this.#pushes);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.gateway.stop("SIGKILL");
    await this.#pusher;
    await Promise.all(this.#pushes);
  }

  async #push(): Promise<void> {
    while (!this.#isOver) {
      const push = this.#pushOne(this.#number++).finally(() => this.#pushes.delete(push));
      this.#pushes.add(push);
      await Bun.sleep(PUSH_INTERVAL_MS);
    }
  }

  async #pushOne(number: number): Promise<void> {
    const beforeMs = this.#workedMs();
    const body = JSON.stringify({ metric_name: "acknowledged", value: number });
    try {
      const response = await this.fetch("/api/v1/push", { method: "POST", body });
      const text = await response.text();
      if (response.status === 200) this.acknowledged.push(number);
      else this.refused.push(`${response.status} ${text}`);
    } catch (error) {
      if (!this.#isOver) this.refused.push(String(error));
      return;
    }
    this.#longestWaitMs = Math.max(this.#longestWaitMs, this.#workedMs() - beforeMs);
  }

  /** The processor time of the gateway's main thread, ms. */
  #workedMs(): number {
    try {
      const { pid } = this.gateway;
      return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
    } catch {
      // The gateway has ended.
      return 0;
    }
  }

  async #send(request: Hostile, body: Uint8Array | string | undefined): Promise<number> {
    return await send(this.gateway.url, request, body);
  }
}

/** A request without an answer for so long fails its test, which then names the request. */
const ANSWER_MS_MAX = 200_000;

/** Sends a request, and reads the answer. Resolves to its status, or to 0 if the connection failed. */
export async function send(
  url: string,
  { name, method, path, headers, readsBytes }: Hostile,
  body: Uint8Array | string | undefined,
): Promise<number> {
  const cancel = new AbortController();
  const tooLate = AbortSignal.timeout(ANSWER_MS_MAX);
  try {
    const response = await fetch(`${url}${path}`, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      body,
      redirect: "manual",
      signal: AbortSignal.any([cancel.signal, tooLate]),
    });
    let read = 0;
    for await (const part of response.body ?? []) {
      read += part.length;
      if (readsBytes !== undefined && read >= readsBytes) break;
    }
    return response.status;
  } catch {
    if (tooLate.aborted) throw new Error(`${name}: not answered within ${ANSWER_MS_MAX / 1_000} seconds`);
    // The gateway closed the connection. Whether it is alive is checked elsewhere.
    return 0;
  } finally {
    cancel.abort();
  }
}
