/** The pieces of work that all servers are given, and those that show how costs grow with size. */
import { join } from "node:path";
import { bodies } from "../events.ts";
import { pushGroup, pushgateway } from "../group-pushes.ts";
import { eventLines, lineServers } from "../influx-servers.ts";
import { send as sendSeries } from "../promql-load.ts";
import { requests } from "../remote-write-requests.ts";
import { contenders as remoteWriteServers } from "../remote-write-servers.ts";
import { type Contender, type Server, weir } from "../servers.ts";
import { type Case, type Competitor, sendAll, type Sent, shared } from "./measure.ts";

export interface Sizes {
  readonly events: number;
  readonly samples: number;
  readonly pushes: number;
  readonly groups: number;
  readonly stored: readonly number[];
  readonly series: readonly number[];
  readonly connections: readonly number[];
}

const CONNECTIONS = 4;
const BATCH = 1_000;
const INTERVAL_MS = 1_000;
const JSON_HEADERS = { "content-type": "application/json" };
const REMOTE_WRITE_HEADERS = {
  "content-encoding": "snappy",
  "content-type": "application/x-protobuf",
  "x-prometheus-remote-write-version": "0.1.0",
};
const AFTER_SYNC = "answers after the data is synced to disk";
const NOTES: Readonly<Record<string, string>> = {
  weir: AFTER_SYNC,
  influxd: `${AFTER_SYNC}; each event is a line with its task_id as a field`,
  prometheus: "does not sync its log",
  "victoria-metrics": "answers while the data is in memory, and syncs it some seconds later",
  "prometheus-pushgateway":
    "keeps groups in memory; filled with its checks off, which take 35 to 270 CPU-ms per push",
};
/** The compiler of JavaScript takes about a CPU-second until this many events. */
const WARM_UNITS_MAX = 300_000;
const WARM_SCRAPES = 30;
const WARM_AGE_MS = 1_800_000;
const encoder = new TextEncoder();

/** The work that is compared, with the servers that can do it. */
export function comparisons({ events, samples, pushes, groups }: Sizes): Case[] {
  return [
    eventsCase(
      "events",
      `events with a task_id of their own, ${BATCH} per push, ${CONNECTIONS} connections`,
      {
        events,
        batch: BATCH,
        connections: CONNECTIONS,
      },
    ),
    remoteWriteCase(
      "remote-write",
      "remote_write, 10,000 series, 1,250 samples per request",
      10_000,
      samples,
    ),
    eventsCase("single", "pushes of one event, one after the other", {
      events: pushes,
      batch: 1,
      connections: 1,
    }),
    {
      id: "groups",
      title: `${groups} groups of 6 metrics, one push each, 16 at once`,
      unit: "pushes",
      competitors: [weir("", [], []), pushgateway(["--push.disable-consistency-check"])].map((contender) =>
        competitor(contender, (server) => fillGroups(server, groups)),
      ),
    },
  ];
}

/** The points of the curves. */
export function curves({ stored, series, connections, events }: Sizes): Case[] {
  return [
    ...stored.map((value) => ({ ...storedCase(value), size: { of: "samples stored", value } })),
    ...series.map((value) => ({
      ...remoteWriteCase("series", `remote_write of ${value} new series, one sample each`, value, value),
      size: { of: "series", value },
    })),
    ...connections.map((value) => ({
      ...eventsCase("connections", `events, 100 per push, ${value} connections`, {
        events: Math.max(Math.floor(events / 4), 100 * value),
        batch: 100,
        connections: value,
      }),
      size: { of: "connections", value },
    })),
  ];
}

function competitor(contender: Contender, work: Competitor["work"]): Competitor {
  return { contender, note: NOTES[contender.name], work };
}

/** A competitor that first gets a part of the same work, which is not measured. */
function warmed(
  contender: Contender,
  units: number,
  send: (server: Server, units: number) => Promise<Sent>,
): Competitor {
  const first = Math.min(WARM_UNITS_MAX, Math.ceil(units / 4));
  return {
    ...competitor(contender, (server) => send(server, units)),
    warm: async (server) => (await send(server, first)).units,
  };
}

/** Scrapes of all series before those that are measured. They are older. */
function withWarmScrapes(each: Competitor, series: number): Competitor {
  return {
    ...each,
    async warm({ url }) {
      const firstMs = Date.now() - WARM_AGE_MS;
      const load = {
        version: "1.0",
        series,
        scrapes: WARM_SCRAPES,
        samplesPerRequest: 1_250,
        firstMs,
      } as const;
      const sent = requests({ ...load, connections: CONNECTIONS, intervalMs: INTERVAL_MS });
      return (await sendAll(url, sent, series * WARM_SCRAPES, REMOTE_WRITE_HEADERS)).units;
    },
  };
}

function eventsCase(
  id: string,
  title: string,
  { events, batch, connections }: { events: number; batch: number; connections: number },
): Case {
  const influxd = lineServers([], []).find(({ name }) => name === "influxd")!;
  return {
    id,
    title,
    unit: "events",
    competitors: [
      warmed(weir("/api/v1/push", [], []), events, ({ url }, count) => {
        const nowMs = Date.now();
        const sent = [...bodies(count, batch, { fromMs: nowMs, toMs: nowMs }, count)];
        return sendAll(url, shared(sent, connections), count, JSON_HEADERS);
      }),
      warmed(influxd, events, ({ url }, count) => {
        const sent = Array.from(eventLines(count, batch), (text) => encoder.encode(text));
        return sendAll(url, shared(sent, connections), count, {});
      }),
    ],
  };
}

function remoteWriteCase(id: string, title: string, series: number, samples: number): Case {
  const scrapes = Math.max(1, Math.round(samples / series));
  return {
    id,
    title,
    unit: "samples",
    competitors: remoteWriteServers([], [])
      .filter(({ version }) => version === "1.0")
      .map((contender) =>
        competitor(contender, ({ url }) => {
          const firstMs = Date.now() - scrapes * INTERVAL_MS;
          const load = { version: "1.0", series, scrapes, samplesPerRequest: 1_250, firstMs } as const;
          const sent = requests({ ...load, connections: CONNECTIONS, intervalMs: INTERVAL_MS });
          return sendAll(url, sent, series * scrapes, REMOTE_WRITE_HEADERS);
        }),
      )
      .map((each) => (scrapes >= WARM_SCRAPES * 4 ? withWarmScrapes(each, series) : each)),
  };
}

const STORED_SERIES = 10_000;
const STORED_INTERVAL_MS = 14_400;
/** VictoriaMetrics does not answer for the last 30 s. */
const AGE_MS = 60_000;
const ASKED = 5;

/** Stores samples, and then asks for the last hour of a rate, and for the labels of all series. */
function storedCase(samples: number): Case {
  const scrapes = Math.max(2, Math.round(samples / STORED_SERIES));
  return {
    id: "stored",
    title: `${samples} samples of ${STORED_SERIES} series, then queries`,
    unit: "samples",
    competitors: remoteWriteServers([], [])
      .filter(({ version }) => version === "1.0")
      .map((contender) =>
        competitor(contender, async ({ url }) => {
          const lastMs = Date.now() - AGE_MS;
          const firstMs = lastMs - scrapes * STORED_INTERVAL_MS;
          const load = { series: STORED_SERIES, scrapes, samplesPerRequest: 1_250, firstMs };
          const began = performance.now();
          await sendSeries(url, { ...load, connections: CONNECTIONS, intervalMs: STORED_INTERVAL_MS });
          const seconds = (performance.now() - began) / 1_000;
          return { units: STORED_SERIES * scrapes, seconds, ...(await askAll(url, lastMs)) };
        }),
      ),
  };
}

async function askAll(url: string, lastMs: number): Promise<Pick<Sent, "latenciesMs" | "more">> {
  const end = Math.floor(lastMs / 1_000);
  const range = { start: String(end - 3_600), end: String(end), step: "15", nocache: "1" };
  const rate = new URLSearchParams({ query: "sum by (route) (rate(bench_requests_total[5m]))", ...range });
  const labels = new URLSearchParams({ start: range.start, end: range.end });
  const latenciesMs: number[] = [];
  for (const path of [`/api/v1/query_range?${rate}`, `/api/v1/label/instance/values?${labels}`]) {
    for (let time = 0; time < ASKED; time++) {
      const began = performance.now();
      const response = await fetch(new URL(path, url));
      if (!response.ok) throw new Error(`a query was answered ${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
      latenciesMs.push(performance.now() - began);
    }
  }
  const [rates, values] = [latenciesMs.slice(0, ASKED), latenciesMs.slice(ASKED)];
  const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  return { latenciesMs, more: { rateQueryMs: median(rates), labelValuesMs: median(values) } };
}

const FILLING = 16;

async function fillGroups(server: Server, groups: number): Promise<Sent> {
  const latenciesMs: number[] = [];
  let next = 0;
  const one = async () => {
    while (next < groups) {
      const began = performance.now();
      await pushGroup(server, next++);
      latenciesMs.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: FILLING }, one));
  return { units: groups, seconds: (performance.now() - began) / 1_000, latenciesMs };
}

/** The folder of the unpacked packages below the one for temporary files. */
export function peersFolder(folder: string): string {
  return join(folder, "weir-bench-peers");
}
