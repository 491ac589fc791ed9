/**
 * A gateway without sockets for the tests of groups. It has a folder of its own and a clock that the tests set.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../../src/config/config.ts";
import { type Gateway, openGateway } from "../../../src/gateway.ts";

/** 2024-10-04 12:00 UTC. */
export const NOON_MS = Date.UTC(2024, 9, 4, 12);

export class GroupsGateway {
  readonly folder = mkdtempSync(join(tmpdir(), "weir-groups-"));
  nowMs = NOON_MS;
  readonly faults: string[] = [];
  gateway!: Gateway;

  /** Opens the folder's file. `settings` are flags. */
  static async open(...settings: string[]): Promise<GroupsGateway> {
    const opened = new GroupsGateway();
    await opened.#open(settings);
    return opened;
  }

  async #open(settings: readonly string[]): Promise<void> {
    const config = loadConfig(
      [`--data=${this.folder}`, "--retention-days=3", ...settings],
      {},
      () => undefined,
    );
    const log = {
      error: (message: string) => void this.faults.push(message),
      warn() {},
      info() {},
      debug() {},
    };
    this.gateway = await openGateway(config, { now: () => this.nowMs, log });
  }

  async reopen(...settings: string[]): Promise<void> {
    await this.gateway.close();
    await this.#open(settings);
  }

  /** Runs once what a served gateway runs at an interval: the expiry of groups. */
  async runServices(): Promise<void> {
    for (const service of this.gateway.services) {
      await service.start((error) => void this.faults.push(String(error)));
      await service.stop();
    }
  }

  async close(): Promise<void> {
    await this.gateway.close();
    rmSync(this.folder, { recursive: true });
  }

  /** Sends `PUT /metrics/job/a …`. Returns the status and the answer. */
  async send(send: string, body = "", headers: Record<string, string> = {}): Promise<[number, string]> {
    const [, method, path] = /^(\w+) (.*)$/s.exec(send)!;
    const request = new Request(`http://localhost${path}`, { method, headers, body: body || undefined });
    const answer = await this.gateway.app.fetch(request);
    return [answer.status, (await answer.text()).trim()];
  }

  /** As `send`. The request must succeed with an empty answer. */
  async ok(send: string, body = "", headers: Record<string, string> = {}): Promise<void> {
    const [status, text] = await this.send(send, body, headers);
    if (status > 202 || text !== "") throw new Error(`${send} was answered ${status}: ${text}`);
  }

  /** Pushed series on /metrics, without `instance=""`, and without push times unless `pushTimes` is set. */
  async exposed(pushTimes = false): Promise<string[]> {
    const [, text] = await this.send("GET /metrics");
    return text
      .split("\n")
      .filter((line) => /^\w+\{.*job="/.test(line) && !line.startsWith("weir_"))
      .filter((line) => pushTimes || !/^push_(failure_)?time_seconds/.test(line))
      .map((line) => line.replace('instance="",', ""));
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const reader = await this.gateway.store.reader();
    try {
      return await reader.all(sql);
    } finally {
      reader.close();
    }
  }

  /**
   * The stored samples of a metric, by time and labels: seconds after noon, labels, value. Null is a stale
   * marker.
   */
  async history(metric: string): Promise<[number, Record<string, string>, number | null][]> {
    const [status, text] = await this.send(
      `GET /api/v1/sql?q=${encodeURIComponent(`SELECT epoch_us(ts) AS us, labels, value FROM samples WHERE metric = '${metric}' ORDER BY ts, labels::VARCHAR`)}`,
    );
    if (status !== 200) throw new Error(text);
    const { rows } = JSON.parse(text) as {
      rows: { us: number; labels: Record<string, string>; value: number | null }[];
    };
    return rows.map(({ us, labels, value }) => [(us - NOON_MS * 1_000) / 1e6, labels, value]);
  }
}
