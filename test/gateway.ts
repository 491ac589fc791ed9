/**
 * The real gateway for tests: its application over a real store in a temporary folder, with a clock that the test sets.
 * Requests reach it without a socket, unless a test calls `listen`. It has no sampler and no loops. The tests that need
 * the whole program use gateway-process.ts.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { loadConfig } from "../src/config/config.ts";
import { type Gateway, openGateway } from "../src/gateway.ts";
import { createLog } from "../src/log/log.ts";
import { type Listener, listen } from "../src/http/server.ts";
import type { Ack, PushOptions } from "../src/ingest/contract.ts";
import type { Batch, Kind, SeriesHead } from "../src/model/sample.ts";

/** 2024-10-04 12:00 UTC. */
export const NOON_MS = Date.UTC(2024, 9, 4, 12);
export const DAY_MS = 86_400_000;

export interface Sample {
  readonly metric: string;
  readonly kind?: Kind;
  readonly atMs?: number;
  readonly value?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Opens a gateway at `NOON_MS` with a retention of 3 days. `settings` are flags. */
export function openTestGateway(...settings: string[]): Promise<TestGateway> {
  return openTestGatewayAt(NOON_MS, ...settings);
}

/** As `openTestGateway`, at another time. */
export async function openTestGatewayAt(nowMs: number, ...settings: string[]): Promise<TestGateway> {
  return await new TestGateway(nowMs).open(settings);
}

export class TestGateway {
  readonly folder = mkdtempSync(join(tmpdir(), "weir-gateway-"));
  /** The clock. */
  nowMs: number;
  gateway!: Gateway;
  #logged: string[] = [];
  #listener: Listener | undefined;
  #servicesRun = false;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  get app(): Gateway["app"] {
    return this.gateway.app;
  }

  get counters(): Gateway["counters"] {
    return this.gateway.counters;
  }

  async open(settings: readonly string[]): Promise<this> {
    const argv = [`--data=${this.folder}`, "--retention-days=3", ...settings];
    const log = createLog("warn", (line) => this.#logged.push(line), { format: "json" });
    this.gateway = await openGateway(
      // No weir.toml of the folder in which the tests run.
      loadConfig(argv, {}, (path) => (isAbsolute(path) ? readFileSync(path, "utf8") : undefined)),
      { now: () => this.nowMs, log },
    );
    for (const service of this.gateway.services) await service.begin?.();
    return this;
  }

  /** Closes the gateway, and opens it again with the given settings only. */
  async reopen(...settings: string[]): Promise<void> {
    await this.gateway.close();
    await this.open(settings);
  }

  /** Runs once what a served gateway runs at an interval, such as the expiry of groups. */
  async runServices(): Promise<void> {
    for (const service of this.gateway.services) {
      await service.start((error) => void this.#logged.push(String(error)));
      await service.stop();
    }
  }

  /**
   * Starts what a served gateway runs beside its routes, such as further listeners, until the gateway is closed. Returns
   * the addresses.
   */
  async startServices(): Promise<readonly string[]> {
    this.#servicesRun = true;
    const { services } = this.gateway;
    for (const service of services)
      await service.start((error) => void this.#logged.push(`${String(error)}\n`));
    return services.flatMap((service) => service.urls ?? []);
  }

  /** Stops them, as a stop of the gateway does. */
  async stopServices(): Promise<void> {
    if (this.#servicesRun) await Promise.all(this.gateway.services.map((service) => service.stop()));
    this.#servicesRun = false;
  }

  /** Closes everything, and deletes the folder. Throws if the gateway logged what no test took. */
  async close(): Promise<void> {
    await this.#listener?.stop(0);
    await this.stopServices();
    await this.gateway.close();
    rmSync(this.folder, { recursive: true });
    if (this.#logged.length > 0) throw new Error(`the gateway logged: ${this.#logged.join("")}`);
  }

  /** The warnings and errors since the last call, one JSON object per line. */
  takeLog(): string[] {
    return this.#logged.splice(0);
  }

  /** Listens on a free port of 127.0.0.1 until the gateway is closed. */
  async listen(): Promise<Listener> {
    const { app, log } = this.gateway;
    this.#listener ??= await listen(app, [{ hostname: "127.0.0.1", port: 0 }], { log });
    return this.#listener;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return Promise.resolve(this.app.fetch(new Request(`http://localhost:9091${path}`, init)));
  }

  /** Sends `PUT /metrics/job/a …`. Returns the status and the answer. */
  async send(send: string, body = "", headers: Record<string, string> = {}): Promise<[number, string]> {
    const [, method, path] = /^(\w+) (.*)$/s.exec(send)!;
    const answer = await this.fetch(path!, { method, headers, body: body || undefined });
    return [answer.status, (await answer.text()).trim()];
  }

  /** As `send`. The request must succeed with an empty answer. */
  async ok(send: string, body = "", headers: Record<string, string> = {}): Promise<void> {
    const [status, text] = await this.send(send, body, headers);
    if (status > 204 || text !== "") throw new Error(`${send} was answered ${status}: ${text}`);
  }

  /** Pushes events. */
  async post(body: string): Promise<{ status: number; json: Record<string, unknown> }> {
    const response = await this.fetch("/api/v1/push", { method: "POST", body });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  }

  /** Pushes samples that need no decoder. */
  push(samples: readonly Sample[], options?: PushOptions): Promise<Ack> {
    return this.gateway.ingest.push(batchOf(samples), options);
  }

  /** The rows of a query on the store. */
  async query(sql: string): Promise<Record<string, unknown>[]> {
    const reader = await this.gateway.store.reader();
    try {
      return await reader.all(sql);
    } finally {
      reader.close();
    }
  }

  /** The samples of /metrics, without the gateway's own metrics. */
  async exposed(): Promise<string[]> {
    const [, text] = await this.send("GET /metrics");
    return text.split("\n").filter((line) => line !== "" && !/^(#|weir_|process_)/.test(line));
  }
}

export function batchOf(samples: readonly Sample[]): Batch {
  const heads: SeriesHead[] = samples.map(({ metric, kind = "gauge", labels = {} }) => ({
    metric,
    kind,
    labels: new Map(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))),
  }));
  return {
    protocol: "events",
    length: samples.length,
    heads,
    head: Uint32Array.from(samples, (_, index) => index),
    timestampUs: Float64Array.from(samples, ({ atMs }) => (atMs === undefined ? Number.NaN : atMs * 1000)),
    value: Float64Array.from(samples, ({ value = 1 }) => value),
    attributes: [],
    text: new Uint8Array(0),
    position: Uint32Array.from(samples, (_, index) => index),
    rejected: [],
  };
}
