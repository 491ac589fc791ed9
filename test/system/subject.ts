/**
 * The subject of the property tests: the real gateway with its server on a free port, its DuckDB file in a temporary
 * folder and a clock that the test sets. Returns its data in the form of the reference.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningGateway, startGateway } from "../../src/commands/serve/serve.ts";
import { loadConfig } from "../../src/config/config.ts";
import { type Answer, prometheus, type Reference, sampleKey, sorted } from "../reference.ts";
import { type Body, framed } from "./generators.ts";

/** Small, so that a few pushes exceed them. */
export const LIMITS = { retentionDays: 3, labelValuesMax: 3, seriesPerMetricMax: 9 };

const ACCEPT = {
  text: "text/plain; version=0.0.4",
  openmetrics: "application/openmetrics-text; version=1.0.0",
} as const;

export interface PushAnswer {
  readonly answer: Answer | "unprocessable";
  /** True if the answer is that of an earlier push. */
  readonly duplicate: boolean;
}

export class Subject {
  readonly clock: { nowMs: number };
  private readonly folder = mkdtempSync(join(tmpdir(), "weir-properties-"));
  private life = 0;
  private files = 0;
  private gateway!: RunningGateway;

  private constructor(nowMs: number) {
    this.clock = { nowMs };
  }

  static async open(nowMs: number): Promise<Subject> {
    const subject = new Subject(nowMs);
    await subject.start();
    return subject;
  }

  async close(): Promise<void> {
    await this.gateway.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Stops it and starts it again. `killed` starts it on a copy of the files that was taken while it ran, before it
   * could write more, as a kill leaves them: two instances must not open one file in one process.
   */
  async restart(killed: boolean): Promise<void> {
    const before = this.data();
    this.life++;
    if (killed) cpSync(before, this.data(), { recursive: true });
    await this.gateway.stop();
    if (!killed) cpSync(before, this.data(), { recursive: true });
    rmSync(before, { recursive: true });
    await this.start();
  }

  async push(
    { bytes, headers }: Body,
    options: { key?: string; extraLabels?: Readonly<Record<string, string>>; query?: string },
  ): Promise<PushAnswer> {
    const query = new URLSearchParams(options.query);
    for (const [label, value] of Object.entries(options.extraLabels ?? {}))
      query.append("extra_label", `${label}=${value}`);
    const response = await fetch(`${this.url()}/api/v1/push?${query}`, {
      method: "POST",
      headers: { ...headers, ...(options.key && { "Idempotency-Key": options.key }) },
      body: bytes,
    });
    const text = await response.text();
    const duplicate = response.headers.get("Weir-Duplicate") === "true";
    if (response.status === 422) return { answer: "unprocessable", duplicate };
    if (response.status !== 200 && response.status !== 400)
      throw new Error(`A push was answered ${response.status}: ${text}`);
    const { accepted, duplicates = 0, errors } = JSON.parse(text);
    const rejected = (errors as { index: number }[]).map(({ index }) => index);
    return { answer: { accepted, duplicates, rejected }, duplicate };
  }

  /** The lines of a new file, as `weir import` sends them. */
  async import(lines: readonly string[]): Promise<Answer | "unprocessable"> {
    const body = framed(lines, "ndjson");
    const file = `file-${this.files++}`;
    const query = `import_file=${file}&import_from=0&import_to=${body.bytes.length}&import_line=last`;
    return (await this.push(body, { query })).answer;
  }

  async prune(): Promise<void> {
    await this.gateway.ingest.prune();
  }

  /** Every row of the view `samples`, as text, in order. */
  async rows(): Promise<string[]> {
    const rows = await this.query("SELECT epoch_ms(ts) AS at, * EXCLUDE (ts) FROM samples");
    return rows
      .map(({ at, metric, value, labels, ...attributes }) =>
        rowText(String(metric), Number(at), Number(value), labels as Record<string, string>, attributes),
      )
      .sort();
  }

  static expectedRows({ rows }: Reference): string[] {
    return rows
      .map(({ metric, timestampMs, value, labels, attributes }) =>
        rowText(metric, timestampMs, value, labels, attributes),
      )
      .sort();
  }

  /** Every row of a metric's own view, where all tags are columns, wherever they are stored. */
  async metricRows(metric: string): Promise<string[]> {
    const rows = await this.query(`SELECT epoch_ms(ts) AS at, * EXCLUDE (ts) FROM ${prometheus(metric)}`);
    return rows.map(({ at, value, ...tags }) => rowText(metric, Number(at), Number(value), {}, tags)).sort();
  }

  static expectedMetricRows({ rows }: Reference, name: string): string[] {
    return rows
      .filter(({ metric }) => metric === name)
      .map(({ metric, timestampMs, value, labels, attributes }) =>
        rowText(metric, timestampMs, value, {}, { ...labels, ...attributes }),
      )
      .sort();
  }

  /**
   * The view `series`: each series that has rows, with its first and last day. It may have a series without rows,
   * which was made while a push demoted several labels and then got no sample.
   */
  async series(): Promise<string[]> {
    const rows = await this.query(
      "SELECT metric, kind, labels, first_day::VARCHAR AS first, last_day::VARCHAR AS last FROM series WHERE first_day IS NOT NULL",
    );
    return rows
      .map(({ metric, kind, labels, first, last }) =>
        JSON.stringify([metric, kind, sorted(labels as Record<string, string>), first, last]),
      )
      .sort();
  }

  static expectedSeries({ rows, kindOf }: Reference): string[] {
    const days = new Map<string, string[]>();
    for (const { metric, labels, timestampMs } of rows) {
      const series = JSON.stringify([metric, kindOf(metric), labels]);
      const day = new Date(timestampMs).toISOString().slice(0, 10);
      days.set(series, [...(days.get(series) ?? []), day].sort());
    }
    return [...days]
      .map(([series, all]) => JSON.stringify([...JSON.parse(series), all[0], all.at(-1)]))
      .sort();
  }

  /** The samples of /metrics without the gateway's own metrics; values by `sampleKey`. */
  async exposition(format: "text" | "openmetrics" = "text"): Promise<Map<string, number>> {
    const response = await fetch(`${this.url()}/metrics`, { headers: { Accept: ACCEPT[format] } });
    const lines = new Map<string, number>();
    for (const line of (await response.text()).split("\n")) {
      // OpenMetrics has a creation time beside each total, and exemplars behind the values of buckets.
      const [, name, labels = "", value] =
        /^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? (\S+)(?: # .*)?$/.exec(line) ?? [];
      if (!name || /^(weir|process|nodejs|bun)_|_created$/.test(name)) continue;
      // No label of the tests contains a quote, a brace or a backslash, so a quote always ends a value.
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(
        ([, label, text]) => [label!, text === "+Inf" ? "Infinity" : text!] as const,
      );
      const key = sampleKey(name, Object.fromEntries(pairs));
      if (lines.has(key)) throw new Error(`/metrics has ${line} twice.`);
      lines.set(key, Number(value));
    }
    return lines;
  }

  private async start(): Promise<void> {
    const settings = {
      listen: "127.0.0.1:0",
      data: this.data(),
      "retention-days": LIMITS.retentionDays,
      "label-values-max": LIMITS.labelValuesMax,
      "series-per-metric-max": LIMITS.seriesPerMetricMax,
      "log-level": "error",
    };
    const argv = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    const config = loadConfig([...argv, "--no-sampler"], {}, () => undefined);
    this.gateway = await startGateway(config, { now: () => this.clock.nowMs });
    // A start drops old days in the background. This waits until that is done.
    await this.prune();
  }

  /** Each start has its own folder. */
  private data(): string {
    return join(this.folder, `life-${this.life}`);
  }

  private url(): string {
    return this.gateway.url;
  }

  private async query(sql: string): Promise<Record<string, unknown>[]> {
    const response = await fetch(`${this.url()}/api/v1/sql`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sql, limit: 10_000 }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${sql} was answered ${response.status}: ${text}`);
    return JSON.parse(text).rows;
  }
}

/** A row as one line of text, without absent tags, in whatever column the others are stored. */
function rowText(
  metric: string,
  atMs: number,
  value: number,
  labels: Readonly<Record<string, unknown>>,
  attributes: Readonly<Record<string, unknown>>,
): string {
  const tags = (all: Readonly<Record<string, unknown>>) =>
    sorted(
      Object.fromEntries(
        Object.entries(all)
          .filter(([, value]) => value !== null)
          .map(([tag, value]) => [prometheus(tag), String(value)]),
      ),
    );
  return JSON.stringify([metric, atMs, value, tags(labels), tags(attributes)]);
}
