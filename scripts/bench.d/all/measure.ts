/** Runs one piece of work against each server in turn, round after round. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Contender, Server } from "../servers.ts";
import { folderBytes, percentile, usageOf } from "../usage.ts";

/** The result of the requests of a piece of work. */
export interface Sent {
  /** What was sent: events, samples or pushes. */
  readonly units: number;
  readonly seconds: number;
  /** Of each request. */
  readonly latenciesMs: number[];
  /** Further figures, by name. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface Competitor {
  readonly contender: Contender;
  /** What must be known to compare the figures: when this server answers, and which data it gets. */
  readonly note?: string;
  /** Sends what is not measured, so that code is compiled and caches are filled. Resolves to the units that it sent. */
  warm?(server: Server): Promise<number>;
  work(server: Server): Promise<Sent>;
}

export interface Case {
  /** A short name, for `--cases`. */
  readonly id: string;
  readonly title: string;
  /** What is counted: `events`, `samples`, `pushes`. */
  readonly unit: string;
  /** If the case is a point of a curve: what grows, and how large it is. */
  readonly size?: { readonly of: string; readonly value: number };
  readonly competitors: readonly Competitor[];
}

/** What is measured of one run. */
export const FIGURES = {
  perSecond: "per second",
  cpuPerMillion: "CPU-s per million",
  p50Ms: "p50, ms",
  p99Ms: "p99, ms",
  maxMs: "max, ms",
  residentMb: "resident, MB",
  bytesPerUnit: "bytes on disk per unit",
} as const;
export type Figure = keyof typeof FIGURES | (string & {});
export type Run = Readonly<Partial<Record<Figure, number>>>;

/** By server: its runs, one per round. */
export type Results = ReadonlyMap<string, readonly Run[]>;

/**
 * Measures a case. The order of the servers changes with each round, because a machine drifts.
 *
 * @param folder for the data folders of the servers, which are deleted
 */
export async function measure(
  { competitors }: Case,
  rounds: number,
  folder: string,
  say: (line: string) => void,
): Promise<Results> {
  const results = new Map<string, Run[]>();
  const present = competitors.filter(({ contender }) => contender.absent === undefined);
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < present.length; at++) {
      const competitor = present[(at + round) % present.length]!;
      const { name } = competitor.contender;
      try {
        const run = await runOf(competitor, folder);
        results.set(name, [...(results.get(name) ?? []), run]);
        say(`  round ${round + 1}  ${name.padEnd(24)} ${textOf(run)}`);
      } catch (error) {
        say(`  round ${round + 1}  ${name.padEnd(24)} failed: ${error}`);
      }
    }
  }
  return results;
}

async function runOf({ contender, warm, work }: Competitor, parent: string): Promise<Run> {
  const folder = mkdtempSync(join(parent, "weir-bench-"));
  try {
    const server = await contender.start(folder);
    let run: Run;
    let sent: Sent;
    let stored = 0;
    try {
      stored = (await warm?.(server)) ?? 0;
      const before = usageOf(server.pid);
      sent = await work(server);
      const { units, seconds, latenciesMs, more } = sent;
      const after = usageOf(server.pid);
      run = {
        perSecond: units / seconds,
        cpuPerMillion: ((after.cpuSeconds - before.cpuSeconds) / units) * 1e6,
        p50Ms: percentile(latenciesMs, 0.5),
        p99Ms: percentile(latenciesMs, 0.99),
        maxMs: percentile(latenciesMs, 1),
        residentMb: after.residentBytes / 1e6,
        ...more,
      };
    } finally {
      await server.stop();
    }
    return { ...run, bytesPerUnit: folderBytes(folder) / (stored + sent.units) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function textOf({ perSecond, cpuPerMillion, p99Ms, maxMs, residentMb }: Run): string {
  return (
    `${Math.round(perSecond!)}/s, ${cpuPerMillion!.toFixed(2)} CPU-s per million, ` +
    `p99 ${p99Ms!.toFixed(1)} ms, max ${maxMs!.toFixed(1)} ms, ${Math.round(residentMb!)} MB`
  );
}

/** Sends bodies, each connection its own, and waits for each answer. A server that is busy gets the request again. */
export async function sendAll(
  url: string,
  shares: readonly (readonly Uint8Array<ArrayBuffer>[])[],
  units: number,
  headers: Readonly<Record<string, string>>,
): Promise<Sent> {
  const latenciesMs: number[] = [];
  const send = async (bodies: readonly Uint8Array<ArrayBuffer>[]) => {
    for (const body of bodies) {
      const began = performance.now();
      for (;;) {
        const response = await fetch(url, { method: "POST", headers, body });
        const text = await response.text();
        if (response.ok) break;
        if (response.status !== 429 && response.status !== 503)
          throw new Error(`a request was answered ${response.status}: ${text.slice(0, 500)}`);
        await Bun.sleep(1_000 * Number(response.headers.get("retry-after") ?? 1));
      }
      latenciesMs.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(shares.map(send));
  return { units, seconds: (performance.now() - began) / 1_000, latenciesMs };
}

/** Bodies shared out to connections, one after the other. */
export function shared<Body>(bodies: readonly Body[], connections: number): Body[][] {
  return Array.from({ length: connections }, (_, connection) =>
    bodies.filter((_, at) => at % connections === connection),
  );
}
