/** The pieces of work that all servers are given, and those that show how costs grow with size. */
import { join } from "node:path";
import { type Earlier, earlierWeir } from "../earlier.ts";
import { bodies } from "../events.ts";
import { pushGroup, pushgateway } from "../group-pushes.ts";
import { eventLines, lineServers } from "../influx-servers.ts";
import { requests } from "../remote-write-requests.ts";
import { contenders as remoteWriteServers } from "../remote-write-servers.ts";
import { type Contender, type Server, weir } from "../servers.ts";
import { type Case, type Competitor, type More, type Sent, sendAll, shared } from "./measure.ts";
import { influxSettled, prometheusSettled, victoriaMetricsSettled } from "./settled.ts";
import { storedCase } from "./stored.ts";

export interface Sizes {
  readonly events: number;
  readonly samples: number;
  readonly pushes: number;
  readonly groups: number;
  readonly stored: readonly number[];
  readonly series: readonly number[];
  readonly connections: readonly number[];
  /** An earlier commit of the gateway, which does the same work. */
  readonly earlier?: Earlier;
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
  weir: `${AFTER_SYNC}. Its bytes are those of its whole folder after a stop, mostly rows, which become smaller blocks when they are two hours old`,
  influxd:
    `${AFTER_SYNC}. An event is a line with its task_id as a field: as a tag, each event would be a series. Its bytes are counted ` +
    "after its log was written to its files of data, which it does after 2 s without a write here (by default 10 min)",
  prometheus:
    "does not sync its log before it answers. Its bytes are those of a snapshot, which are the blocks that it makes later",
  "victoria-metrics":
    "answers while the data is in memory, and syncs it some seconds later. Its bytes are those of its data and index after a stop",
  "prometheus-pushgateway":
    "keeps groups in memory, and answers before anything is on disk. Its checks are off here. With them, which is its default, a push takes " +
    "35 CPU-ms, and 270 with 10,000 groups",
};
const SETTLED: Readonly<Record<string, Competitor["settle"]>> = {
  influxd: influxSettled,
  prometheus: prometheusSettled,
  "victoria-metrics": victoriaMetricsSettled,
};
/** The compiler of JavaScript takes about a CPU-second until this many events or samples. */
const WARM_UNITS_MAX = 300_000;
const WARM_AGE_MS = 1_800_000;
const encoder = new TextEncoder();
const withCommas = (value: number) => value.toLocaleString("en-US");

/** The work that is compared, with the servers that can do it. */
export function comparisons({ events, samples, pushes, groups, earlier }: Sizes): Case[] {
  return [
    eventsCase(
      "events",
      `${withCommas(events)} events, each task with its own task_id, ${withCommas(BATCH)} per push, ${CONNECTIONS} connections`,
      { events, batch: BATCH, connections: CONNECTIONS, earlier },
    ),
    remoteWriteCase(samples, earlier),
    eventsCase("single", `${withCommas(pushes)} pushes of one event, one after the other`, {
      ...{ events: pushes, warmEvents: pushes },
      ...{ batch: 1, connections: 1, earlier },
    }),
    groupsCase(groups, earlier),
  ];
}

/** The points of the curves. */
export function curves({ stored, series, connections, events, samples, earlier }: Sizes): Case[] {
  return [
    ...stored.map((value) => storedCase(value, (work) => remoteWriteCompetitors(work, earlier))),
    ...series.map((value) => seriesCase(value, Math.floor(samples / 2), earlier)),
    ...connections.map((value) => ({
      ...eventsCase("connections", `events, 100 per push, ${withCommas(value)} connections`, {
        events: Math.max(Math.floor(events / 4), 100 * value),
        batch: 100,
        connections: value,
        earlier,
      }),
      size: { of: "connections", value },
    })),
  ];
}

type Work = Omit<Competitor, "contender" | "note" | "settle">;

function competitor(contender: Contender, work: Work): Competitor {
  return { contender, note: NOTES[contender.name], settle: SETTLED[contender.name], ...work };
}

/** This gateway, and the earlier one if it takes part. */
function gateways(path: string, work: Work, earlier: Earlier | undefined): Competitor[] {
  const own = competitor(weir(path, [], []), work);
  if (earlier === undefined) return [own];
  return [own, { ...competitor(earlierWeir(earlier, path, [], []), work), note: noteOf(earlier) }];
}

function noteOf({ commit, date }: Earlier): string {
  return `is the same gateway at the commit \`${commit}\` of ${date}, with the dependencies of that time and the same Bun`;
}

/** The servers that take remote_write. */
function remoteWriteCompetitors(work: Work, earlier: Earlier | undefined): Competitor[] {
  const others = remoteWriteServers([], [], { snapshots: true })
    .filter(({ name, version }) => name !== "weir" && version === "1.0")
    .map((contender) => competitor(contender, work));
  return [...gateways("/api/v1/write", work, earlier), ...others];
}

/** What is made at the first call, and the same at each further one. */
function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function eventsCase(
  id: string,
  title: string,
  {
    events,
    warmEvents = Math.min(WARM_UNITS_MAX, Math.ceil(events / 4)),
    batch,
    connections,
    earlier,
  }: { events: number; warmEvents?: number; batch: number; connections: number; earlier?: Earlier },
): Case {
  /** The same events for the warm-up and the work, made by `make`, and sent to each server. */
  const work = (
    make: (count: number) => Iterable<Uint8Array<ArrayBuffer>>,
    headers: Record<string, string>,
  ): Work => {
    const load = once(() =>
      [warmEvents, events].map((count) => ({ count, shares: shared([...make(count)], connections) })),
    );
    const send = async ({ url }: Server, part: 0 | 1) => {
      const { count, shares } = load()[part]!;
      return await sendAll(url, shares, count, headers);
    };
    return {
      prepare: () => void load(),
      warm: async (server) => ({ units: (await send(server, 0)).units }),
      work: (server) => send(server, 1),
    };
  };
  return {
    id,
    title,
    unit: "event",
    open() {
      const influxd = lineServers([], [], { coldMs: 2_000 }).find(({ name }) => name === "influxd")!;
      const nowMs = Date.now();
      return [
        ...gateways(
          "/api/v1/push",
          work((count) => bodies(count, batch, { fromMs: nowMs, toMs: nowMs }, count), JSON_HEADERS),
          earlier,
        ),
        competitor(
          influxd,
          work((count) => eventLines(count, batch).map((text) => encoder.encode(text)), {}),
        ),
      ];
    },
  };
}

/** One body after another, by connection, of scrapes from a time on. */
function scraped(series: number, scrapes: number, firstMs: number): Uint8Array<ArrayBuffer>[][] {
  return requests({
    version: "1.0",
    ...{ series, scrapes, firstMs },
    samplesPerRequest: 1_250,
    connections: CONNECTIONS,
    intervalMs: INTERVAL_MS,
  });
}

const REMOTE_WRITE_SERIES = 10_000;

function remoteWriteCase(samples: number, earlier: Earlier | undefined): Case {
  const scrapes = Math.max(1, Math.round(samples / REMOTE_WRITE_SERIES));
  const warmScrapes = Math.ceil(Math.min(WARM_UNITS_MAX, samples / 4) / REMOTE_WRITE_SERIES);
  return {
    id: "remote-write",
    title:
      `remote_write of ${withCommas(scrapes * REMOTE_WRITE_SERIES)} samples, ${withCommas(REMOTE_WRITE_SERIES)} series, ` +
      `1,250 samples per request, ${CONNECTIONS} connections`,
    unit: "sample",
    open() {
      const load = once(() => ({
        warm: scraped(REMOTE_WRITE_SERIES, warmScrapes, Date.now() - WARM_AGE_MS),
        work: scraped(REMOTE_WRITE_SERIES, scrapes, Date.now() - scrapes * INTERVAL_MS),
      }));
      const send = (url: string, part: "warm" | "work", count: number) =>
        sendAll(url, load()[part], count * REMOTE_WRITE_SERIES, REMOTE_WRITE_HEADERS);
      const work: Work = {
        prepare: () => void load(),
        warm: async ({ url }) => ({ units: (await send(url, "warm", warmScrapes)).units }),
        work: ({ url }) => send(url, "work", scrapes),
      };
      return remoteWriteCompetitors(work, earlier);
    },
  };
}

/** Fewer new series are sent too fast to be timed. */
const TIMED_SERIES_MIN = 10_000;

/** A scrape of new series, then further ones: first those that are not measured, and then `samples`, or one scrape. */
function seriesCase(series: number, samples: number, earlier: Earlier | undefined): Case {
  const scrapes = Math.max(1, Math.round(samples / series));
  const warmScrapes = Math.floor(Math.min(WARM_UNITS_MAX, samples / 4) / series);
  return {
    id: "series",
    title: `remote_write of ${withCommas(scrapes * series)} samples, ${withCommas(series)} series`,
    unit: "sample",
    size: { of: "series", value: series },
    open() {
      const load = once(() => {
        const firstMs = Date.now() - (1 + warmScrapes + scrapes) * INTERVAL_MS;
        return {
          first: scraped(series, 1, firstMs),
          warm: warmScrapes === 0 ? [] : scraped(series, warmScrapes, firstMs + INTERVAL_MS),
          work: scraped(series, scrapes, firstMs + (1 + warmScrapes) * INTERVAL_MS),
        };
      });
      const send = (url: string, part: "first" | "warm" | "work", count: number) =>
        sendAll(url, load()[part], count * series, REMOTE_WRITE_HEADERS);
      const work: Work = {
        prepare: () => void load(),
        async warm({ url }) {
          const { units, seconds } = await send(url, "first", 1);
          await send(url, "warm", warmScrapes);
          const more: More = series < TIMED_SERIES_MIN ? {} : { newPerSecond: units / seconds };
          return { units: units * (1 + warmScrapes), more };
        },
        work: ({ url }) => send(url, "work", scrapes),
      };
      return remoteWriteCompetitors(work, earlier);
    },
  };
}

/** Pushes of groups at once. */
const FILLING = 16;

function groupsCase(groups: number, earlier: Earlier | undefined): Case {
  const warmGroups = Math.ceil(groups / 4);
  return {
    id: "groups",
    title: `${withCommas(groups)} groups of 6 metrics, one push each, ${FILLING} at once`,
    unit: "push",
    open() {
      const work: Work = {
        warm: async (server) => ({ units: (await fillGroups(server, 0, warmGroups)).units }),
        work: (server) => fillGroups(server, warmGroups, groups),
      };
      return [
        ...gateways("", work, earlier),
        competitor(pushgateway(["--push.disable-consistency-check"]), work),
      ];
    },
  };
}

async function fillGroups(server: Server, from: number, to: number): Promise<Sent> {
  const latenciesMs: number[] = [];
  let next = from;
  const one = async () => {
    while (next < to) {
      const began = performance.now();
      await pushGroup(server, next++);
      latenciesMs.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: FILLING }, one));
  return { units: to - from, seconds: (performance.now() - began) / 1_000, latenciesMs };
}

/** The folder of the unpacked packages below the one for temporary files. */
export function peersFolder(folder: string): string {
  return join(folder, "weir-bench-peers");
}
