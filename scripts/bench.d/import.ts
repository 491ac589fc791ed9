/**
 * The benchmark of imports and exports of series: the same body to this gateway and to Debian's VictoriaMetrics, one after
 * the other, in one run. A body is one request, which is sent while it is generated, so that its size takes no memory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Contender, program, type Server, weir } from "./servers.ts";
import { folderBytes, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench import [options] [-- arguments of weir serve]

Imports series into this gateway, and into victoria-metrics if it is installed, and exports them as JSON lines.

  --samples N        samples per server and format (default 2000000)
  --series N         series (default 2000)
  --rows N           samples per line of JSON (default 500)
  --formats LIST     of json, prometheus, csv (default: all)
  --rounds N         rounds in which each server is measured once (default 1)
  --servers LIST     of weir, victoria-metrics (default: all that are installed)
  --folder DIR       the folder for temporary data folders (default: the system's)
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    samples: { type: "string", default: "2000000" },
    series: { type: "string", default: "2000" },
    rows: { type: "string", default: "500" },
    formats: { type: "string", default: "json,prometheus,csv" },
    rounds: { type: "string", default: "1" },
    servers: { type: "string", default: "weir,victoria-metrics" },
    folder: { type: "string", default: tmpdir() },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const INTERVAL_MS = 15_000;
/** Bytes that are generated at once. */
const CHUNK_CHARACTERS = 262_144;

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 1) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);

interface Load {
  readonly samples: number;
  readonly series: number;
  readonly rows: number;
  readonly fromMs: number;
}

/** The bodies by format: the path, and the lines. */
const FORMATS: Readonly<
  Record<string, { readonly path: string; lines(load: Load, name: string): Generator<string> }>
> = {
  json: { path: "/api/v1/import", lines: jsonLines },
  prometheus: { path: "/api/v1/import/prometheus", lines: textLines },
  csv: {
    path: "/api/v1/import/csv?format=1:label:instance,2:label:mode,3:metric:bench_csv_seconds,4:time:unix_ms",
    lines: csvLines,
  },
};

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const samples = count(options.samples);
  const series = count(options.series);
  // The last sample is now, and the first ones are within the retention.
  const fromMs = Date.now() - Math.ceil(samples / series) * INTERVAL_MS;
  const load = { samples, series, rows: count(options.rows), fromMs };
  console.log(
    `${samples} samples of ${series} series; ${cpus().length} cores, load ${fixed(loadavg()[0]!)} before, Bun ${Bun.version}`,
  );
  for (let round = 1; round <= count(options.rounds); round++) {
    for (const contender of contenders()) {
      if (!options.servers.split(",").includes(contender.name)) continue;
      console.log(`\n${contender.name}, round ${round}${contender.absent ? `: ${contender.absent}` : ""}`);
      if (contender.absent) continue;
      const folder = mkdtempSync(join(options.folder, "weir-bench-"));
      try {
        const server = await contender.start(folder);
        try {
          for (const format of options.formats.split(",")) await measureImport(server, format, load);
          await measureExport(server, load);
          say("memory", `${fixed(usageOf(server.pid).residentBytesPeak / 1e6, 0)} MB at most`);
        } finally {
          await server.stop();
        }
        const all = samples * options.formats.split(",").length;
        say("disk, after the stop", `${fixed(folderBytes(folder) / all)} bytes per sample`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  }
}

function contenders(): Contender[] {
  return [
    weir("", serveArgs, []),
    program({
      name: "victoria-metrics",
      path: "",
      readyPath: "/health",
      args: (folder, address) => [
        `-storageDataPath=${join(folder, "data")}`,
        `-httpListenAddr=${address}`,
        "-loggerLevel=ERROR",
      ],
    }),
  ];
}

async function measureImport(server: Server, format: string, load: Load): Promise<void> {
  const { path, lines } = FORMATS[format] ?? {};
  if (path === undefined || lines === undefined) throw new Error(`there is no format ${format}`);
  await measure(`import, ${format}`, server, load.samples, async () => {
    const answer = await fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: streamOf(lines(load, `bench_${format}_seconds`)),
    });
    if (answer.status !== 204)
      throw new Error(`the import was answered ${answer.status}: ${await answer.text()}`);
  });
}

/** Reads all series of the first format. */
async function measureExport(server: Server, load: Load): Promise<void> {
  const [format] = options.formats.split(",");
  // VictoriaMetrics finds a sample some time after it has answered.
  await fetch(`${server.url}/internal/force_flush`);
  const body = new URLSearchParams({
    "match[]": `bench_${format}_seconds`,
    start: String(load.fromMs / 1000),
  });
  let bytes = 0;
  await measure("export, json", server, load.samples, async () => {
    const answer = await fetch(`${server.url}/api/v1/export`, { method: "POST", body });
    for await (const chunk of answer.body!) bytes += chunk.length;
  });
  say("", `${fixed(bytes / load.samples)} bytes per sample`);
}

async function measure(
  label: string,
  { pid }: Server,
  samples: number,
  work: () => Promise<void>,
): Promise<void> {
  const before = usageOf(pid);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1_000;
  const cpuSeconds = usageOf(pid).cpuSeconds - before.cpuSeconds;
  say(
    label,
    `${Math.round(samples / seconds)} samples/s, ${fixed((cpuSeconds / samples) * 1e6, 2)} CPU-s per million`,
  );
}

function streamOf(lines: Generator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      pull(controller) {
        let text = "";
        while (text.length < CHUNK_CHARACTERS) {
          const { done, value } = lines.next();
          if (done) break;
          text += value;
        }
        if (text === "") controller.close();
        else controller.enqueue(encoder.encode(text));
      },
    },
    { highWaterMark: 1 },
  );
}

/** A counter that grows by quarters. */
function valueAt(series: number, row: number): number {
  return series + row * 0.25;
}

function* jsonLines({ samples, series, rows, fromMs }: Load, name: string): Generator<string> {
  const perSeries = samples / series;
  for (let first = 0; first < perSeries; first += rows) {
    for (let n = 0; n < series; n++) {
      const indexes = Array.from({ length: Math.min(rows, perSeries - first) }, (_, index) => first + index);
      yield `{"metric":{"__name__":"${name}","job":"node","instance":"host-${n}:9100","mode":"idle"},` +
        `"values":[${indexes.map((row) => valueAt(n, row)).join()}],` +
        `"timestamps":[${indexes.map((row) => fromMs + row * INTERVAL_MS).join()}]}\n`;
    }
  }
}

function* textLines({ samples, series, fromMs }: Load, name: string): Generator<string> {
  for (let row = 0; row < samples / series; row++)
    for (let n = 0; n < series; n++)
      yield `${name}{job="node",instance="host-${n}:9100",mode="idle"} ${valueAt(n, row)} ${fromMs + row * INTERVAL_MS}\n`;
}

function* csvLines({ samples, series, fromMs }: Load): Generator<string> {
  for (let row = 0; row < samples / series; row++)
    for (let n = 0; n < series; n++)
      yield `host-${n}:9100,idle,${valueAt(n, row)},${fromMs + row * INTERVAL_MS}\n`;
}
