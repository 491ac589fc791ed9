/**
 * Sends the same queries to the gateway and to a real Prometheus, over the same remote-written data, and reports where
 * they differ: labels, points, values apart by more than one part in 10^9, or an error on one side.
 */
import fc from "fast-check";
import snappyjs from "snappyjs";
import { DAY_MS, openTestGatewayAt, type TestGateway } from "../../../gateway.ts";
import { startPrometheus } from "../../../real-servers.ts";
import { withStaleMarkers } from "../../../receive/remote-write/decoded.ts";
import type { Series as RequestSeries } from "../../../receive/remote-write/messages.ts";
import { encodeV1 } from "../../../receive/remote-write/messages.ts";
import { BEGIN_MS, dataset, END_MS, requests } from "./dataset.ts";
import { expressions } from "./expressions.ts";

export interface Query {
  readonly path: "query" | "query_range";
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Difference {
  readonly query: Query;
  readonly what: string;
  /** Whether `topk` or `bottomk` chose another one of equal items: the values are the same at each time. */
  readonly isTie: boolean;
}

export interface Report {
  readonly asked: number;
  /** Intended differences of Prometheus 3, see `isChange`. */
  readonly changed: number;
  /** Both returned an error. */
  readonly refused: number;
  /** Both returned nothing. */
  readonly empty: number;
  /** Queries for which the gateway read blocks. */
  readonly readBlocks: number;
  /** Of all samples of the gateway. */
  readonly blockShare: number;
  readonly differences: readonly Difference[];
}

export interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly resultType: string;
    readonly result: readonly Series[] | readonly [number, string];
  };
}

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

export type Ask = (query: Query) => Promise<Answer>;

/** Where the samples of the gateway are: all in rows, the first half of the time in blocks, or every other sample in a block. */
export type Layout = "rows" | "halves" | "alternating";

/** Loads both, and sends `count` queries, the same ones for the same seed. */
export async function compareEngines(count: number, seed: number, layout: Layout = "rows"): Promise<Report> {
  const gateway = await openTestGatewayAt(END_MS);
  const prometheus = await startPrometheus();
  try {
    const all = dataset();
    for (const part of requests(all))
      await send((init) => fetch(`${prometheus.url}/api/v1/write`, init), part);
    const blocks = countBlocks(gateway);
    const blockShare = await load(gateway, all, layout);
    const path = ({ path, parameters }: Query) => `/api/v1/${path}?${new URLSearchParams(parameters)}`;
    let readBlocks = 0;
    const weir: Ask = async (query) => {
      // Otherwise the answer would be that from memory, and no block would be read.
      if (layout !== "rows") gateway.gateway.cells.forget();
      blocks.samples = 0;
      const answer = await gateway.fetch(path(query));
      if (blocks.samples > 0) readBlocks++;
      return (await answer.json()) as Answer;
    };
    const upstream: Ask = async (query) =>
      (await fetch(`${prometheus.url}${path(query)}`)).json() as Promise<Answer>;
    const report = await compareAll(fc.sample(queries, { numRuns: count, seed }), weir, upstream);
    return { ...report, readBlocks, blockShare };
  } finally {
    await prometheus.stop();
    await gateway.close();
  }
}

/** Loads the gateway. Returns the share of the samples that are in blocks. */
async function load(gateway: TestGateway, all: readonly RequestSeries[], layout: Layout): Promise<number> {
  const push = async (series: readonly RequestSeries[]) => {
    for (const part of requests(series)) await send((init) => gateway.fetch("/api/v1/write", init), part);
  };
  const every = (rest: number) =>
    all.map(({ labels, samples = [] }) => ({ labels, samples: samples.filter((_, at) => at % 2 === rest) }));
  if (layout === "rows") await push(all);
  else if (layout === "halves") {
    await push(all);
    await pack(gateway, (BEGIN_MS + END_MS) / 2);
  } else {
    await push(every(0));
    await pack(gateway, END_MS + 3_600_000);
    await push(every(1));
  }
  const { store } = gateway.gateway;
  const day = store.days().find((each) => each.day === Math.floor(BEGIN_MS / DAY_MS))!;
  return day.packed / day.rows;
}

async function pack({ gateway: { ingest, store } }: TestGateway, untilMs: number): Promise<void> {
  await ingest.storeTotals();
  const untilUs = untilMs * 1_000;
  const samples = await store.pack({ day: Math.floor(BEGIN_MS / DAY_MS), untilUs, isForced: true });
  if (samples === 0) throw new Error("nothing was packed");
}

async function send(
  post: (init: RequestInit) => Response | Promise<Response>,
  series: readonly RequestSeries[],
): Promise<void> {
  const headers = {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf",
    "x-prometheus-remote-write-version": "0.1.0",
  };
  const body = new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV1([...series]))));
  const answer = await post({ method: "POST", body, headers });
  if (!answer.ok) throw new Error(`not loaded: ${answer.status} ${await answer.text()}`);
}

/** Counts the samples that readers of the store get from blocks. */
function countBlocks({ gateway: { store } }: TestGateway): { samples: number } {
  const counted = { samples: 0 };
  const open = store.reader.bind(store);
  const reader = async (...options: Parameters<typeof open>) => {
    const opened = await open(...options);
    const scan = opened.scanBlocks.bind(opened);
    opened.scanBlocks = (sql, parameters, visit) =>
      scan(sql, parameters, (blocks) => {
        for (const each of blocks.samples) counted.samples += each;
        return visit(blocks);
      });
    return opened;
  };
  Object.assign(store, { reader });
  return counted;
}

/** Times at half minutes, where neither a step of a subquery nor a sample is. */
const minutes = fc.integer({ min: 2, max: (END_MS - BEGIN_MS) / 60_000 + 3 });
const time = (minute: number) => String(BEGIN_MS / 1000 + minute * 60 + 30);

export const queries: fc.Arbitrary<Query> = fc
  .tuple(
    expressions,
    minutes,
    fc.integer({ min: 0, max: 20 }),
    fc.constantFrom("60", "120", "300"),
    fc.boolean(),
  )
  .map(([query, minute, length, step, isRange]): Query => {
    if (!isRange) return { path: "query", parameters: { query, time: time(minute) } };
    const range = { start: time(minute), end: time(minute + length), step };
    return { path: "query_range", parameters: { query, ...range } };
  });

export async function compareAll(
  all: readonly Query[],
  weir: Ask,
  upstream: Ask,
): Promise<Omit<Report, "readBlocks" | "blockShare">> {
  const differences: Difference[] = [];
  let refused = 0;
  let empty = 0;
  let changed = 0;
  for (const query of all) {
    const [ours, theirs] = await Promise.all([weir(query), upstream(query)]);
    if (ours.status === "error" && theirs.status === "error") refused++;
    else if (theirs.data?.result.length === 0 && ours.data?.result.length === 0) empty++;
    const what = differenceOf(query, ours, theirs);
    if (what === undefined) continue;
    if (isChange(query, what)) changed++;
    else differences.push({ query, what, isTie: isTie(query, ours, theirs) });
  }
  return { asked: all.length, changed, refused, empty, differences };
}

/**
 * What Prometheus 3 changed: a comparison also reports that many series match one if it drops their samples,
 * and timestamp() of a selector with both `@` and `offset` uses the same time as the selector itself.
 */
function isChange({ parameters: { query } }: Query, what: string): boolean {
  if (/^error \(multiple matches for labels: many-to-one/.test(what)) return /[<>=]/.test(query);
  return /timestamp\(\(*\w+(\{[^}]*\})? @ \S+ offset/.test(query);
}

function isTie({ parameters: { query } }: Query, ours: Answer, theirs: Answer): boolean {
  if (!/^\(*(topk|bottomk)\b/.test(query)) return false;
  return valuesByTime(ours) === valuesByTime(theirs);
}

function valuesByTime({ data }: Answer): string {
  const series = (data?.result ?? []) as readonly Series[];
  const points = series.flatMap(({ value, values }) => values ?? [value!]);
  return points.map(String).sort().join(" ");
}

function differenceOf(query: Query, ours: Answer, theirs: Answer): string | undefined {
  if (ours.status !== theirs.status) {
    return `${ours.status} (${ours.error ?? ""}), not ${theirs.status} (${theirs.error ?? ""})`;
  }
  if (ours.data === undefined || theirs.data === undefined) return undefined;
  if (ours.data.resultType !== theirs.data.resultType) {
    return `a ${ours.data.resultType}, not a ${theirs.data.resultType}`;
  }
  if (ours.data.resultType === "scalar") {
    const [a, b] = [ours.data.result[1] as string, theirs.data.result[1] as string];
    return alike(a, b) ? undefined : `${a}, not ${b}`;
  }
  const isOrdered = query.path === "query_range" || /^(sort|sort_desc)\(/.test(query.parameters.query);
  return seriesDifference(
    ours.data.result as readonly Series[],
    theirs.data.result as readonly Series[],
    isOrdered && query.path === "query_range",
  );
}

function seriesDifference(
  ours: readonly Series[],
  theirs: readonly Series[],
  isOrdered: boolean,
): string | undefined {
  const key = ({ metric }: Series) =>
    JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
  const order = (series: readonly Series[]) => (isOrdered ? series.map(key) : series.map(key).sort());
  const [a, b] = [order(ours), order(theirs)];
  if (a.join() !== b.join()) return `the series ${a.join(" ") || "none"}, not ${b.join(" ") || "none"}`;
  const others = new Map(theirs.map((series) => [key(series), series]));
  for (const series of ours) {
    const other = others.get(key(series))!;
    const [points, wanted] = [series, other].map(({ value, values }) => values ?? [value!]);
    if (points.length !== wanted.length)
      return `${key(series)}: ${points.length} points, not ${wanted.length}`;
    for (const [at, [when, value]] of points.entries()) {
      if (when !== wanted[at][0]) return `${key(series)}: a point at ${when}, not ${wanted[at][0]}`;
      if (!alike(value, wanted[at][1])) return `${key(series)} at ${when}: ${value}, not ${wanted[at][1]}`;
    }
  }
  return undefined;
}

function alike(a: string, b: string): boolean {
  if (a === b) return true;
  const [x, y] = [a, b].map((text) => Number(text.replace("Inf", "Infinity")));
  // Values are multiples of an eighth, so 1e-12 is a zero with a rounding error.
  return x === y || Math.abs(x - y) <= Math.max(1e-12, 1e-9 * Math.max(Math.abs(x), Math.abs(y)));
}
