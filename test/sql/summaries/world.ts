/**
 * A replay of workers and their gateway. The gateway's clock advances minute by minute, each worker pushes the events of
 * the minute, and the gateway samples the time of each worker's last push, as in production.
 */
import { Registry } from "prom-client";
import { Heads } from "../../../src/sampler/batch.ts";
import { gatewayPart } from "../../../src/sampler/own-metrics.ts";
import { DEFAULTS } from "../../defaults.ts";
import {
  type WorkerEvent,
  type WorkerOptions,
  workerEvents,
  workerIndex,
} from "../../fixtures/worker-events.ts";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";

const MINUTE_MS = 60_000;

/** An event as it is stored: with the job and the instance that its push adds. */
export interface StoredEvent extends WorkerEvent {
  readonly instance: string;
}

export interface World {
  /** All events that were pushed, in time order. */
  readonly events: readonly StoredEvent[];
  readonly endMs: number;
  /** The answer of the gateway to a path with a query, in JSON. */
  ask(path: string, parameters: Readonly<Record<string, string>>): Promise<unknown>;
  close(): Promise<void>;
}

/** Replays the workers from `startMs` for `days`, with a push and a sample each `stepMs`. */
export async function openWorld(
  startMs: number,
  days: number,
  workers: readonly Omit<WorkerOptions, "startMs" | "days">[],
  stepMs = MINUTE_MS,
): Promise<World> {
  const endMs = startMs + days * 86_400_000;
  const gateway = await openTestGatewayAt(startMs, `--retention-days=${DEFAULTS.retentionDays}`);
  try {
    const all: StoredEvent[] = [];
    const streams = workers.map((options) => {
      const instance = workerIndex(options.worker);
      return { instance, events: [...workerEvents({ ...options, startMs, days })], next: 0 };
    });
    const sample = lastPushSampler(gateway);
    while (gateway.nowMs < endMs) {
      gateway.nowMs += stepMs;
      for (const stream of streams) {
        const from = stream.next;
        while ((stream.events[stream.next]?.["@timestamp"] ?? Infinity) <= gateway.nowMs) stream.next++;
        const events = stream.events.slice(from, stream.next);
        if (events.length > 0) await push(gateway, stream.instance, events);
        for (const event of events) all.push({ ...event, instance: stream.instance });
      }
      await sample(gateway.nowMs);
    }
    return {
      events: all.sort((a, b) => a["@timestamp"] - b["@timestamp"]),
      endMs,
      async ask(path, parameters) {
        const url = `${path}?${new URLSearchParams(parameters)}`;
        const response = await gateway.fetch(url);
        const text = await response.text();
        if (!response.ok) throw new Error(`${url} was answered ${response.status}: ${text}`);
        return JSON.parse(text) as unknown;
      },
      close: () => gateway.close(),
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
}

async function push(gateway: TestGateway, instance: string, events: readonly WorkerEvent[]): Promise<void> {
  const url = `/api/v1/push?extra_label=job%3Dworker&extra_label=instance%3D${instance}`;
  const body = events.map((event) => JSON.stringify(event)).join("\n");
  const response = await gateway.fetch(url, { method: "POST", body });
  const answer = (await response.json()) as { accepted: number; rejected: number; warnings?: unknown };
  if (answer.accepted !== events.length || answer.warnings !== undefined)
    throw new Error(`a push was answered ${JSON.stringify(answer)}`);
}

/** Stores the time of each worker's last push. The tests do not need the gateway's other metrics. */
function lastPushSampler(gateway: TestGateway): (atMs: number) => Promise<void> {
  const heads = new Heads();
  const part = gatewayPart({
    intervalMs: MINUTE_MS,
    registry: new Registry(),
    lastPushes: () => gateway.gateway.totals.lastPushRecords(),
  });
  return async (atMs) => {
    const reading = heads.read(atMs * 1000);
    await part.collect(reading, new AbortController().signal);
    await gateway.gateway.ingest.push({ ...reading.seal(), protocol: "own" });
  };
}
