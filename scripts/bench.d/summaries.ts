/** Measures the duration of every listed summary over a span of time, and of a scrape. */
import type { Span } from "./events.ts";
import { percentile } from "./usage.ts";

export interface SummaryFigures {
  readonly name: string;
  readonly medianMs: number;
  readonly maxMs: number;
  readonly rows: number;
}

/**
 * Runs each summary `rounds` times. A parameter named task_id gets an existing task. A summary that needs another
 * parameter, such as the gauge of a forecast, is left out: these events have nothing to ask it about.
 */
export async function timeSummaries(url: string, span: Span, rounds: number): Promise<SummaryFigures[]> {
  const listed = (await get(`${url}/api/v1/summaries`)) as {
    summaries: { name: string; parameters: { name: string; default?: string }[] }[];
  };
  const sample = (await get(
    `${url}/api/v1/sql?q=${encodeURIComponent("SELECT task_id FROM samples WHERE task_id IS NOT NULL LIMIT 1")}`,
  )) as { rows: { task_id: string }[] };
  const figures: SummaryFigures[] = [];
  for (const { name, parameters } of listed.summaries) {
    if (parameters.some((each) => each.name !== "task_id" && each.default === undefined)) continue;
    const query = new URLSearchParams();
    const takes = (parameter: string) => parameters.some((each) => each.name === parameter);
    if (takes("from")) query.set("from", new Date(span.fromMs).toISOString());
    if (takes("to")) query.set("to", new Date(span.toMs).toISOString());
    if (takes("task_id")) query.set("task_id", sample.rows[0]!.task_id);
    const times: number[] = [];
    let rows = 0;
    for (let round = 0; round < rounds; round++) {
      const started = performance.now();
      const answer = (await get(`${url}/api/v1/summaries/${name}?${query}`)) as { rows: unknown[] };
      times.push(performance.now() - started);
      rows = answer.rows.length;
    }
    figures.push({ name, medianMs: percentile(times, 0.5), maxMs: percentile(times, 1), rows });
  }
  return figures;
}

/** Scrapes /metrics `rounds` times as text. */
export async function timeScrapes(url: string, rounds: number): Promise<{ medianMs: number; bytes: number }> {
  const times: number[] = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    const response = await fetch(`${url}/metrics`, { headers: { "Accept-Encoding": "identity" } });
    bytes = (await response.arrayBuffer()).byteLength;
    times.push(performance.now() - started);
  }
  return { medianMs: percentile(times, 0.5), bytes };
}

async function get(url: string): Promise<unknown> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} was answered ${response.status}: ${text}`);
  return JSON.parse(text);
}
