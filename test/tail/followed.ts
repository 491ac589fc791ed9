/** A follower of the files of a temporary folder, and the gateway that stores their lines. */
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Send } from "../../src/commands/client.ts";
import { ImportTarget } from "../../src/commands/import/target.ts";
import type { LineStore } from "../../src/line-files/line-store.ts";
import type { EventName } from "../../src/log/logged-events.ts";
import { Follower, type TailOptions } from "../../src/tail/follower.ts";
import { openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

interface Logged {
  readonly event: EventName;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class Followed {
  readonly folder = temporaryFolder();
  readonly gateway: TestGateway;
  readonly logged: Logged[] = [];
  readonly counts = { lines: 0, rejected: 0, lagBytes: 0, files: 0 };
  /** Replaced by tests in which the gateway is away. */
  store: LineStore;
  #follower: Follower | undefined;
  #running: Promise<void> | undefined;

  private constructor(gateway: TestGateway) {
    this.gateway = gateway;
    this.store = new ImportTarget(sendTo(gateway));
  }

  static async open(): Promise<Followed> {
    return new Followed(await openTestGateway());
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): void {
    writeFileSync(this.path(name), text);
  }

  append(name: string, text: string): void {
    appendFileSync(this.path(name), text);
  }

  /** Follows `metrics*.json` of the folder, from the start unless `options` say otherwise. */
  start(options: Partial<TailOptions> = {}): void {
    this.#follower = new Follower({
      patterns: [this.path("metrics*.json")],
      fromStart: true,
      statePath: this.path("state"),
      labels: [],
      instanceFromName: true,
      store: {
        withFirstLine: (hash) => this.store.withFirstLine(hash),
        named: (file) => this.store.named(file),
        push: (part, labels) => this.store.push(part, labels),
      },
      log: (event, fields = {}) => void this.logged.push({ event, fields }),
      metrics: {
        addLines: (count) => {
          this.counts.lines += count;
        },
        addRejected: (count) => {
          this.counts.rejected += count;
        },
        set: (lagBytes, files) => Object.assign(this.counts, { lagBytes, files }),
      },
      lookMs: 5,
      ...options,
    });
    this.#running = this.#follower.run();
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    await this.#follower?.stop();
    await this.#running;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.gateway.close();
  }

  /** Waits until an event was logged, and returns its fields. */
  async loggedEvent(event: EventName, times = 1): Promise<Readonly<Record<string, unknown>>> {
    const found = () => this.logged.filter((each) => each.event === event);
    await until(`the event ${event}`, () => found().length >= times);
    return found().at(-1)!.fields;
  }

  /** The stored values with their instances, in the order of values: `1`, `2@prod`. */
  async stored(metric = "m"): Promise<string[]> {
    const q = `SELECT * FROM ${metric} ORDER BY value`;
    const answer = await this.gateway.fetch(`/api/v1/sql?${new URLSearchParams({ q })}`);
    // Before its first sample, a metric is no table.
    if (!answer.ok) return [];
    const { rows } = (await answer.json()) as { rows: { value: number; instance?: string | null }[] };
    const texts = rows.map(({ value, instance }) => `${value}${instance ? `@${instance}` : ""}`);
    return texts.sort(
      (one, other) => Number.parseFloat(one) - Number.parseFloat(other) || (one < other ? -1 : 1),
    );
  }

  /** Waits until exactly these values are stored. Throws if others are. */
  async stores(...values: (string | number)[]): Promise<void> {
    let seen: string[] = [];
    await until(`the values ${values.join(" ")}, seen ${seen.join(" ")}`, async () => {
      seen = await this.stored();
      if (seen.length > values.length) throw new Error(`stored ${seen.join(" ")}`);
      return seen.join(" ") === values.join(" ");
    }).catch((error: unknown) => {
      throw new Error(`expected ${values.join(" ")}, stored ${seen.join(" ")}`, { cause: error });
    });
  }
}

/** Sends requests to the application of a gateway. */
export function sendTo(gateway: TestGateway): Send {
  return async (path, { method = "GET", query = [], headers, body } = {}) => {
    const parameters = new URLSearchParams(query as [string, string][]);
    return await gateway.fetch(`${path}?${parameters}`, { method, headers, body });
  };
}

/** A line of an event with a time. */
export function dated(value: number, atMs: number): string {
  return `${JSON.stringify({ "@timestamp": atMs, metric_name: "m", value })}\n`;
}

/** A line of an event without a time. */
export function undated(value: number): string {
  return `${JSON.stringify({ metric_name: "m", value })}\n`;
}
