/** Runs one piece of work against each server in turn, round after round. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Contender, Server } from "../servers.ts";
import { folderDiskBytes, percentile, usageOf } from "../usage.ts";
import { busySeconds, type Run, rounded } from "./figures.ts";

/** The result of the requests of a piece of work. */
export interface Sent {
  /** What was sent: events, samples or pushes. */
  readonly units: number;
  readonly seconds: number;
  /** Of each request. */
  readonly latenciesMs: number[];
}

/** Further figures, by name. */
export type More = Readonly<Record<string, number>>;

export interface Competitor {
  readonly contender: Contender;
  /** What must be known to compare the figures: when this server answers, and which data it gets. */
  readonly note?: string;
  /** Makes what is sent, before the server starts. */
  prepare?(): void;
  /** Sends what is not measured, so that code is compiled and caches are filled. */
  warm?(server: Server): Promise<{ readonly units: number; readonly more?: More }>;
  work(server: Server): Promise<Sent>;
  /** Asks for what was stored. */
  ask?(server: Server): Promise<More>;
  /** Waits until the samples are in the files in which they stay. Resolves to the folders whose bytes count. */
  settle?(server: Server, folder: string): Promise<readonly string[]>;
}

export interface Case {
  /** A short name, for `--cases`. */
  readonly id: string;
  readonly title: string;
  /** What is counted: `event`, `sample`, `push`. */
  readonly unit: string;
  /** If the case is a point of a curve: what grows, and how large it is. */
  readonly size?: { readonly of: string; readonly value: number };
  /** Opens the case. What is sent is made once, and is freed with the competitors. */
  open(): readonly Competitor[];
}

/** The runs of one server, one per round. */
export interface Runs {
  readonly runs: readonly Run[];
  /** Why rounds have no run. */
  readonly failures: readonly string[];
}
export type Results = ReadonlyMap<string, Runs>;

export interface Measuring {
  readonly rounds: number;
  /** For the data folders of the servers, which are deleted. */
  readonly folder: string;
  /** A run that takes longer has failed, and its server is killed. */
  readonly runLimitMs: number;
  /** Ends everything. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** The run of a server in a round, if it was measured before. */
  readonly earlier: (server: string, round: number) => Run | undefined;
  readonly keep: (server: string, round: number, run: Run) => void;
}

/**
 * Measures a case. The order of the servers changes with each round, because a machine drifts.
 *
 * @throws the reason of the signal
 */
export async function measure(competitors: readonly Competitor[], measuring: Measuring): Promise<Results> {
  const { rounds, say, signal, earlier, keep } = measuring;
  const results = new Map<string, { runs: Run[]; failures: string[] }>();
  const present = competitors.filter(({ contender }) => contender.absent === undefined);
  for (const { contender } of present) results.set(contender.name, { runs: [], failures: [] });
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < present.length; at++) {
      const competitor = present[(at + round) % present.length]!;
      const { name } = competitor.contender;
      const { runs, failures } = results.get(name)!;
      const head = `  round ${round + 1}  ${name.padEnd(24)}`;
      const known = earlier(name, round);
      try {
        const run = known ?? (await runOf(competitor, measuring));
        runs.push(run);
        if (known === undefined) keep(name, round, run);
        say(`${head} ${textOf(run)}${known === undefined ? "" : " (measured before)"}`);
      } catch (error) {
        signal.throwIfAborted();
        failures.push(`round ${round + 1}: ${error instanceof Error ? error.message : error}`);
        say(`${head} failed: ${error}`);
      }
    }
  }
  return results;
}

/** With fewer, bytes on disk are mostly those of empty files. */
const COUNTED_UNITS_MIN = 100_000;

async function runOf(
  competitor: Competitor,
  { folder: parent, runLimitMs, signal }: Measuring,
): Promise<Run> {
  signal.throwIfAborted();
  const folder = mkdtempSync(join(parent, "weir-bench-"));
  const { contender } = competitor;
  let server: Server | undefined;
  let limit: NodeJS.Timeout | undefined;
  const ended = Promise.withResolvers<never>();
  const abort = () => ended.reject(signal.reason);
  try {
    competitor.prepare?.();
    // What is left of making the bodies is not collected while a server works.
    Bun.gc(true);
    server = await contender.start(folder);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    limit = setTimeout(
      () => ended.reject(new Error(`the run took longer than ${runLimitMs / 1_000} s`)),
      runLimitMs,
    );
    const run = await Promise.race([ended.promise, runOn(competitor, server, folder)]);
    server = undefined;
    return run;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", abort);
    // It still runs if something failed.
    if (server !== undefined) await killed(server);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Warms a server up, measures the work, asks, and stops the server. */
async function runOn(competitor: Competitor, server: Server, folder: string): Promise<Run> {
  const { warm, work, ask, settle } = competitor;
  const warmed = await warm?.(server);
  const before = { ...usageOf(server.pid), busySeconds: busySeconds(), ms: performance.now() };
  const client = process.cpuUsage();
  const { units, seconds, latenciesMs } = await work(server);
  const clientUsed = process.cpuUsage(client);
  const after = { ...usageOf(server.pid), busySeconds: busySeconds(), ms: performance.now() };
  const used = after.cpuSeconds - before.cpuSeconds;
  const others = after.busySeconds - before.busySeconds - used - (clientUsed.user + clientUsed.system) / 1e6;
  const answers = await ask?.(server);
  // What was asked is not a part of storing.
  const askedSeconds = usageOf(server.pid).cpuSeconds - after.cpuSeconds;
  const stored = (await settle?.(server, folder)) ?? [folder];
  const endSeconds = await stopped(server);
  const bytes = stored.reduce((total, each) => total + folderDiskBytes(each), 0);
  const allUnits = (warmed?.units ?? 0) + units;
  return rounded({
    perSecond: units / seconds,
    cpuPerMillion: (used / units) * 1e6,
    cpuToStopPerMillion: ((endSeconds - askedSeconds - before.cpuSeconds) / units) * 1e6,
    ...(latenciesMs.length === 0
      ? {}
      : {
          p50Ms: percentile(latenciesMs, 0.5),
          p99Ms: percentile(latenciesMs, 0.99),
          maxMs: percentile(latenciesMs, 1),
        }),
    residentMb: after.residentBytes / 1e6,
    ...(allUnits < COUNTED_UNITS_MIN ? {} : { bytesPerUnit: bytes / allUnits }),
    ...warmed?.more,
    ...answers,
    othersCores: Math.max(0, others / ((after.ms - before.ms) / 1_000)),
  });
}

/** Stops a server. Resolves to the processor time of its process in all. */
async function stopped(server: Server): Promise<number> {
  let seconds = usageOf(server.pid).cpuSeconds;
  const read = setInterval(() => {
    try {
      seconds = usageOf(server.pid).cpuSeconds;
    } catch {
      // It has ended.
    }
  }, 5);
  try {
    await server.stop();
  } finally {
    clearInterval(read);
  }
  return seconds;
}

async function killed(server: Server): Promise<void> {
  try {
    process.kill(server.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
  await server.stop();
}

function textOf({ perSecond, cpuPerMillion, p99Ms, maxMs, residentMb, othersCores }: Run): string {
  return [
    `${Math.round(perSecond!)}/s`,
    `${cpuPerMillion!.toFixed(2)} CPU-s per million`,
    ...(p99Ms === undefined ? [] : [`p99 ${p99Ms.toFixed(1)} ms`, `max ${maxMs!.toFixed(1)} ms`]),
    `${Math.round(residentMb!)} MB`,
    `others ${othersCores!.toFixed(2)} cores`,
  ].join(", ");
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
