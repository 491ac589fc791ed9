/** A gateway without sockets for the tests of ingest, with its own folder and a clock that the tests set. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { type Gateway, openGateway } from "../../src/gateway.ts";
import type { Ack, PushOptions } from "../../src/ingest/contract.ts";
import type { Batch, Kind, SeriesHead } from "../../src/model/sample.ts";

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

export class OpenGateway {
  readonly folder = mkdtempSync(join(tmpdir(), "weir-ingest-"));
  nowMs = NOON_MS;
  gateway!: Gateway;

  /** Opens the store in the folder. `settings` are flags. */
  static async open(...settings: string[]): Promise<OpenGateway> {
    const opened = new OpenGateway();
    await opened.#open(settings);
    return opened;
  }

  async #open(settings: readonly string[]): Promise<void> {
    const argv = [`--data=${this.folder}`, "--retention-days=3", ...settings];
    this.gateway = await openGateway(
      loadConfig(argv, {}, () => undefined),
      { now: () => this.nowMs, log: { error() {}, warn() {}, info() {}, debug() {} } },
    );
  }

  async reopen(...settings: string[]): Promise<void> {
    await this.gateway.close();
    await this.#open(settings);
  }

  async close(): Promise<void> {
    await this.gateway.close();
    rmSync(this.folder, { recursive: true });
  }

  push(samples: readonly Sample[], options?: PushOptions): Promise<Ack> {
    return this.gateway.ingest.push(batchOf(samples), options);
  }

  async post(body: string): Promise<{ status: number; json: Record<string, unknown> }> {
    const request = new Request("http://localhost/api/v1/push", { method: "POST", body });
    const response = await this.gateway.app.fetch(request);
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  }

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
    const text = await (await this.gateway.app.fetch(new Request("http://localhost/metrics"))).text();
    return text.split("\n").filter((line) => line !== "" && !/^(#|weir_|process_)/.test(line));
  }

  /** Makes commits fail that contain the day's first row, until the returned function is called. */
  async spoilDay(table: string): Promise<() => Promise<void>> {
    await this.query(`CREATE TABLE weir.${table} (in_the_way INTEGER)`);
    return async () => void (await this.query(`DROP TABLE weir.${table}`));
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
