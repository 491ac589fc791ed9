/** What destinations have of the events of a source, compared with what was pushed. */
import type { AcknowledgedSamples, SentSample } from "./acknowledged-samples.ts";
import { DONE, DURATION, type EventSource, LEVEL } from "./event-source.ts";

/** What is wrong at a destination. */
export interface Verdict {
  lost: number;
  doubled: number;
  /** Samples that are there twice where the protocol allows it. */
  repeated: number;
  /** Samples that a destination acknowledged and lost, where the destination allows that. */
  unwritten?: number;
  /** How long before a kill the oldest of these was acknowledged. */
  unwrittenMs?: number;
  readonly faults: string[];
}

interface StoredEvents extends Record<string, unknown> {
  readonly metric: string;
  readonly n: number;
  readonly different: number;
  readonly sum: number;
}

const name = (metric: string) => metric.replaceAll(".", "_");

/** Compares the rows of a gateway, by SQL. */
export async function verdictOfGateway(
  url: string,
  source: EventSource,
  sender: string,
  options: { readonly unix?: string } = {},
): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, repeated: 0, faults: [] };
  const q = `SELECT metric, count(*)::INT AS n, count(DISTINCT value)::INT AS different, sum(value) AS sum FROM samples
    WHERE metric IN ('${LEVEL}', '${DONE}', '${DURATION}') AND labels['sender'] = '${sender}' GROUP BY metric`;
  const answer = await fetch(`${url}/api/v1/sql?${new URLSearchParams({ q, format: "ndjson" })}`, options);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  const rows = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as StoredEvents);
  for (const metric of [LEVEL, DONE, DURATION]) {
    const { n, different, sum } = rows.find((row) => row.metric === metric) ?? { n: 0, different: 0, sum: 0 };
    verdict.lost += source.sent.count - different;
    verdict.doubled += n - different;
    if (sum !== source.sum) verdict.faults.push(`${metric} has the sum ${sum}, expected ${source.sum}`);
  }
  return verdict;
}

/** How a server writes what it has acknowledged. */
export interface LateWriter {
  readonly acknowledged: AcknowledgedSamples;
  /** Within this time it may lose samples. */
  readonly intervalMs: number;
}

/**
 * Compares the samples of a Prometheus-compatible server: gauges one by one, and the counters of events.
 *
 * @param done the name of the counter there
 * @param late for a server that writes after it has acknowledged
 */
export async function verdictOfSeries(
  read: (metric: string) => Promise<readonly SentSample[]>,
  source: EventSource,
  { done = `${name(DONE)}_total`, late }: { readonly done?: string; readonly late?: LateWriter } = {},
): Promise<Verdict> {
  const verdict: Verdict = { lost: 0, doubled: 0, repeated: 0, unwritten: 0, unwrittenMs: 0, faults: [] };
  /** Samples that the server may have lost. */
  const missing = (metric: string, stored: readonly SentSample[], readMs: number): number => {
    if (late === undefined) return 0;
    const { acknowledged, intervalMs } = late;
    const { lost, unwritten, oldestMs } = acknowledged.missingOf(metric, stored, { readMs, intervalMs });
    verdict.unwritten! += unwritten;
    verdict.unwrittenMs = Math.max(verdict.unwrittenMs!, oldestMs);
    if (lost.length > 0) verdict.faults.push(`${metric} lost ${lost.length} samples, such as ${lost[0]}`);
    return unwritten;
  };
  let readMs = performance.now();
  const levels = await read(name(LEVEL));
  const different = new Set(levels.map(([, value]) => value));
  const unwritten = missing(name(LEVEL), levels, readMs);
  verdict.lost += source.sent.count - different.size - unwritten;
  verdict.repeated += levels.length - new Set(levels.map(String)).size;
  verdict.doubled += new Set(levels.map(String)).size - different.size;
  const sum = [...different].reduce((total, value) => total + value, 0);
  if (unwritten === 0 && sum !== source.sum)
    verdict.faults.push(`${LEVEL} has the sum ${sum}, expected ${source.sum}`);
  for (const [metric, last] of [
    [done, source.sum],
    [`${name(DURATION)}_count`, source.sent.count],
    [`${name(DURATION)}_sum`, source.sum],
  ] as const) {
    readMs = performance.now();
    const values = (await read(metric)).toSorted(([a], [b]) => a - b);
    missing(metric, values, readMs);
    if (values.at(-1)?.[1] !== last)
      verdict.faults.push(`${metric} ends with ${values.at(-1)?.[1]}, expected ${last}`);
    for (let at = 1; at < values.length; at++) {
      const [[beforeMs, before], [ms, value]] = [values[at - 1]!, values[at]!];
      if (value < before) verdict.faults.push(`${metric} falls from ${before} to ${value} at ${ms}`);
      if (ms !== beforeMs) continue;
      if (value === before) verdict.repeated++;
      else verdict.faults.push(`${metric} has ${before} and ${value} at ${ms}`);
    }
  }
  return verdict;
}

/** Raw samples of Prometheus: a range selector as an instant query. */
export async function samplesOfPrometheus(url: string, metric: string): Promise<[number, number][]> {
  const answer = await fetch(
    `${url}/api/v1/query?${new URLSearchParams({ query: `${metric}[3h]`, time: String(Date.now() / 1_000 + 60) })}`,
  );
  if (!answer.ok) throw new Error(await answer.text());
  const { data } = (await answer.json()) as { data: { result: { values: [number, string][] }[] } };
  return data.result.flatMap(({ values }) =>
    values.map(([seconds, value]): [number, number] => [Math.round(seconds * 1_000), Number(value)]),
  );
}

/** Raw samples of VictoriaMetrics. */
export async function samplesOfVictoriaMetrics(url: string, metric: string): Promise<[number, number][]> {
  await fetch(`${url}/internal/force_flush`);
  const answer = await fetch(`${url}/api/v1/export`, {
    method: "POST",
    body: new URLSearchParams({ "match[]": metric }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  const lines = (await answer.text()).split("\n").filter((line) => line !== "");
  return lines.flatMap((line) => {
    const { values, timestamps } = JSON.parse(line) as { values: number[]; timestamps: number[] };
    return values.map((value, at): [number, number] => [timestamps[at]!, value]);
  });
}
