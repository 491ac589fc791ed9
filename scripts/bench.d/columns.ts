/**
 * `scripts/bench columns`: the rate and the cost of durable pushes of tables, beside the same events in JSON. Each form has
 * a gateway of its own, and the forms take turns in each round, so that a busy machine slows all of them down.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { arrowStream, type WrittenColumn } from "./arrow-writer.ts";
import { bodies } from "./events.ts";
import { type IngestFigures, ingest } from "./ingest.ts";
import { hottest } from "./profile.ts";
import { folderBytes, percentile } from "./usage.ts";

const HELP = `Usage: scripts/bench columns [options] [-- arguments of weir serve]

Pushes the same events in several forms: JSON events, JSON columns, and Arrow streams.

  --forms LIST       the forms (default all). events: an array of JSON events. json: one object of JSON columns for
                     each metric. arrow: Arrow streams with dictionaries of labels. texts: the same with plain texts.
                     levels: Arrow streams of one metric with one label of 50 values and no ids
  --events N         events per form and round (default 1000000)
  --batch N          events per push (default 50000)
  --connections N    concurrent pushes (default 4)
  --rounds N         rounds; the median is shown (default 3)
  --seed N           the seed of the generated events (default 1)
  --profile          profiles the server, and shows the functions that took most time
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    forms: { type: "string", default: "events,json,arrow,texts,levels" },
    events: { type: "string", default: "1000000" },
    batch: { type: "string", default: "50000" },
    connections: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    profile: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 2) => value.toFixed(digits);

interface Event {
  readonly "@timestamp": number;
  readonly metric_name: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(
    `${options.events} events a round, ${options.batch} a push, ${options.connections} connections; ` +
      `${cpus().length} cores, load ${fixed(loadavg()[0]!, 1)} before, Bun ${Bun.version}`,
  );
  const forms = options.forms.split(",");
  const figures = new Map<string, (IngestFigures & { bodyBytes: number; diskBytes: number })[]>();
  for (let round = 0; round < count(options.rounds); round++) {
    for (const form of forms) {
      const found = await measure(form);
      const all = figures.get(form);
      if (all === undefined) figures.set(form, [found]);
      else all.push(found);
    }
  }
  console.log(
    "form      events/s  CPU-s/M  main thread  p99 ms  max ms  stall ms  body bytes/event  disk bytes/event",
  );
  for (const [form, all] of figures) {
    const median = (of: (each: (typeof all)[number]) => number) => percentile(all.map(of), 0.5);
    const cells = [
      fixed(
        median(({ events, seconds }) => events / seconds),
        0,
      ).padStart(8),
      fixed(median(({ events, serverCpuSeconds }) => (serverCpuSeconds / events) * 1e6)).padStart(7),
      fixed(
        median(({ events, serverMainThreadSeconds }) => (serverMainThreadSeconds / events) * 1e6),
      ).padStart(11),
      fixed(
        median(({ p99Ms }) => p99Ms),
        0,
      ).padStart(6),
      fixed(
        median(({ maxMs }) => maxMs),
        0,
      ).padStart(6),
      fixed(
        median(({ stallMs }) => stallMs),
        0,
      ).padStart(8),
      fixed(
        median(({ events, bodyBytes }) => bodyBytes / events),
        1,
      ).padStart(16),
      fixed(
        median(({ events, diskBytes }) => diskBytes / events),
        1,
      ).padStart(16),
    ];
    console.log(`${form.padEnd(8)}  ${cells.join("  ")}`);
  }
}

async function measure(form: string): Promise<IngestFigures & { bodyBytes: number; diskBytes: number }> {
  const serialized = bodiesOf(form);
  const data = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const profiles = join(data, "profiles");
  const runtimeArgs = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${profiles}`] : [];
  try {
    const gateway = await GatewayProcess.start({
      data: join(data, "data"),
      args: ["--no-sampler", ...serveArgs],
      runtimeArgs,
    });
    try {
      const figures = await ingest(gateway, serialized, count(options.connections));
      await gateway.stop("SIGTERM");
      const bodyBytes = serialized.reduce((sum, { length }) => sum + length, 0);
      return { ...figures, bodyBytes, diskBytes: folderBytes(join(data, "data")) };
    } finally {
      await gateway.stop("SIGKILL");
      if (options.profile)
        for (const { where, milliseconds, share } of hottest(profiles, 20))
          console.log(
            `  ${fixed(100 * share, 1).padStart(5)} % ${fixed(milliseconds, 0).padStart(7)} ms  ${where}`,
          );
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

function bodiesOf(form: string): Uint8Array<ArrayBuffer>[] {
  const now = Date.now();
  const batch = count(options.batch);
  if (form === "levels")
    return Array.from({ length: Math.ceil(count(options.events) / batch) }, () => levels(batch, now));
  const events = [...bodies(count(options.events), batch, { fromMs: now, toMs: now }, count(options.seed))];
  if (form === "events") return events;
  return events.map((body) => {
    const parsed = JSON.parse(new TextDecoder().decode(body)) as Event[];
    return form === "json" ? jsonColumns(parsed) : arrowStream(columnsOf(parsed, form === "arrow"));
  });
}

function columnsOf(events: readonly Event[], isCoded: boolean): WrittenColumn[] {
  const names = new Set(events.flatMap(({ tags }) => Object.keys(tags)));
  const column = (name: string, values: (string | undefined)[], isText = !isCoded): WrittenColumn =>
    isText ? { name, is: "text", values } : { name, is: "dictionary", values };
  return [
    { name: "ts", is: "time", values: Float64Array.from(events, (event) => event["@timestamp"]) },
    { name: "value", is: "number", values: Float64Array.from(events, ({ value }) => value) },
    column(
      "metric",
      events.map((event) => event.metric_name),
    ),
    ...Array.from(names, (name) => {
      const values = events.map(({ tags }) => tags[name]);
      return column(name, values, !isCoded || name === "task_id");
    }),
  ];
}

function jsonColumns(events: readonly Event[]): Uint8Array<ArrayBuffer> {
  const groups = Map.groupBy(events, ({ metric_name: name, tags }) => [name, ...Object.keys(tags)].join());
  const objects = Array.from(groups.values(), (group) => {
    const [first] = group as [Event];
    return {
      metric: first.metric_name,
      columns: {
        ts: group.map((event) => event["@timestamp"]),
        value: group.map(({ value }) => value),
        ...Object.fromEntries(
          Object.keys(first.tags).map((name) => [name, group.map(({ tags }) => tags[name])]),
        ),
      },
    };
  });
  return new TextEncoder().encode(JSON.stringify(objects));
}

/** A level of 50 hosts, at times that differ by a millisecond. */
function levels(rows: number, now: number): Uint8Array<ArrayBuffer> {
  const each = <Value>(value: (row: number) => Value) => Array.from({ length: rows }, (_, row) => value(row));
  return arrowStream([
    { name: "ts", is: "time", values: Float64Array.from(each((row) => now - (row % 1_000))) },
    { name: "value", is: "number", values: Float64Array.from(each((row) => row % 97)) },
    { name: "metric", is: "dictionary", values: each(() => "queue.wait_ms") },
    { name: "host", is: "dictionary", values: each((row) => `host-${row % 50}`) },
  ]);
}
