/**
 * Pushes bodies that are serialized beforehand over a few connections, each waiting for the durable
 * acknowledgement before its next push, and watches the server from outside while it does.
 *
 * The client is `fetch` with keep-alive: a hand-written client on raw sockets was measured and took the same
 * 0.1 CPU-seconds a million events.
 */
import type { GatewayProcess } from "../../test/gateway-process.ts";
import { percentile, usageOf } from "./usage.ts";

export interface IngestFigures {
  readonly events: number;
  readonly seconds: number;
  readonly serverCpuSeconds: number;
  readonly serverMainThreadSeconds: number;
  readonly clientCpuSeconds: number;
  /** Of a push, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Pushes that were rejected with 429 and then retried. */
  readonly turnedAway: number;
  /** The longest response time of /-/healthy, requested every 10 ms. */
  readonly stallMs: number;
  readonly residentBytes: number;
  readonly residentBytesPeak: number;
}

/** A query that runs repeatedly during the pushes. */
export interface Beside {
  /** Time between an answer and the next request. */
  readonly intervalMs: number;
  run(url: string): Promise<void>;
}

const PROBE_INTERVAL_MS = 10;

export async function ingest(
  gateway: Pick<GatewayProcess, "pid" | "url">,
  bodies: readonly Uint8Array<ArrayBuffer>[],
  connections: number,
  beside: readonly Beside[] = [],
): Promise<IngestFigures> {
  const latencies: number[] = [];
  let next = 0;
  let turnedAway = 0;
  let events = 0;
  const push = async () => {
    for (let body = bodies[next++]; body; body = bodies[next++]) {
      const started = performance.now();
      for (;;) {
        const response = await fetch(`${gateway.url}/api/v1/push`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body,
        });
        const text = await response.text();
        if (response.status === 429) {
          turnedAway++;
          await Bun.sleep(1000 * Number(response.headers.get("Retry-After") ?? 1));
          continue;
        }
        const answer = response.ok ? (JSON.parse(text) as { accepted: number; rejected: number }) : undefined;
        if (answer?.rejected !== 0) throw new Error(`A push was answered ${response.status}: ${text}`);
        events += answer.accepted;
        break;
      }
      latencies.push(performance.now() - started);
    }
  };

  let longestMs = 0;
  const probe: Beside = {
    intervalMs: PROBE_INTERVAL_MS,
    run: async (url) => {
      const started = performance.now();
      await (await fetch(`${url}/-/healthy`)).text();
      longestMs = Math.max(longestMs, performance.now() - started);
    },
  };
  const loops = [probe, ...beside].map((each) => startLoop(each, gateway.url));
  const before = usageOf(gateway.pid);
  const clientBefore = process.cpuUsage();
  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, push));
  const seconds = (performance.now() - started) / 1000;
  const client = process.cpuUsage(clientBefore);
  const after = usageOf(gateway.pid);
  await Promise.all(loops.map((loop) => loop.stop()));
  return {
    events,
    seconds,
    serverCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    serverMainThreadSeconds: after.mainThreadSeconds - before.mainThreadSeconds,
    clientCpuSeconds: (client.user + client.system) / 1e6,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
    turnedAway,
    stallMs: longestMs,
    residentBytes: after.residentBytes,
    residentBytesPeak: after.residentBytesPeak,
  };
}

/** Runs something again and again, until `stop` resolves. */
function startLoop({ intervalMs, run }: Beside, url: string): { stop(): Promise<void> } {
  let running = true;
  const loop = (async () => {
    while (running) {
      await run(url);
      await Bun.sleep(intervalMs);
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
    },
  };
}
