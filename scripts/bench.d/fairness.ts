/**
 * The fairness benchmark: how long a push waits beside hostile requests, over a store of many samples. The table in
 * src/query/promql/README.md is measured with it.
 *
 * The pusher and the sender of the requests are processes of their own. A push takes longer on a busy machine. So two
 * figures stand beside it: how long the gateway's main thread waited for a processor during that push, and the longest
 * work of that thread without a turn of its event loop, in its processor time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Hostile, send } from "../../test/system/hostile/beside-a-pusher.ts";
import { type Bytes, message, snappy } from "../../test/system/hostile/messages.ts";
import { ProbedGateway } from "../../test/system/hostile/probed-gateway.ts";
import { percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench fairness [options] [-- arguments of weir serve]

Stores samples, and then sends hostile requests of each kind beside 20 pushes per second.

  --series N         series that are stored (default 10000)
  --samples N        samples of each (default 120)
  --only TEXT        only the kinds whose name contains the text
  --seconds N        how long each flood and the pause without a request take (default 5)
  --folder DIR       the folder for the temporary data folder (default: the system's)
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    series: { type: "string", default: "10000" },
    samples: { type: "string", default: "120" },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "5" },
    folder: { type: "string", default: tmpdir() },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 0) => value.toFixed(digits);
const [seriesCount, sampleCount, seconds] = [options.series, options.samples, options.seconds].map(count) as [
  number,
  number,
  number,
];
const STEP_MS = 15_000;
const NOW_MS = Date.now();
const FROM_S = Math.floor((NOW_MS - sampleCount * STEP_MS) / 1_000);
const TO_S = Math.floor(NOW_MS / 1_000);
const ALL = '{__name__=~".+"}';
const WRITE = { "content-type": "application/x-protobuf", "content-encoding": "snappy" };
/** Samples of a series per body while the store is filled. */
const SAMPLES_PER_BODY = 10;

const pair = (name: string, value: string) => message((bytes) => bytes.field(1, name).field(2, value));
const writes = (series: number, name: string, times: readonly number[]): Hostile => ({
  name: "",
  path: "/api/v1/write",
  headers: WRITE,
  body: () =>
    snappy(
      message((bytes) => {
        for (let i = 0; i < series; i++) bytes.field(1, message(oneOf(name, i, times)));
      }),
    ),
});
const oneOf = (name: string, i: number, times: readonly number[]) => (one: Bytes) => {
  one
    .field(1, pair("__name__", name))
    .field(1, pair("host", `h${i % 100}`))
    .field(1, pair("id", `s${i}`));
  for (const at of times)
    one.field(
      2,
      message((own) => own.double(1, (i * 31 + at / 1_000) % 977).number(2, at)),
    );
};

const get = (
  name: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
  times = 1,
): Hostile => ({
  name,
  path: `${path}?${new URLSearchParams(parameters)}`,
  times,
});
const range = (name: string, query: string, times = 1) => {
  const step = String((TO_S - FROM_S) / 1_800);
  return get(name, "/api/v1/query_range", { query, start: String(FROM_S), end: String(TO_S), step }, times);
};

/** One kind per row, in the order of the table. */
const KINDS: readonly Hostile[] = [
  get("hour()[2d:1ms]", "/api/v1/query", { query: "sum_over_time(hour()[2d:1ms])" }),
  get("label_join twelve times", "/api/v1/query", {
    query: `${"label_join(".repeat(12)}stored${', "x", "", "x", "x", "id")'.repeat(12)}`,
  }),
  get("a range over everything, 11,000 steps", "/api/v1/query_range", {
    query: ALL,
    start: String(TO_S - 11_000),
    end: String(TO_S),
    step: "1",
  }),
  range("topk(1e9) of everything", `topk(1e9, ${ALL})`),
  range("count_values of everything", `count_values("v", ${ALL})`),
  range("8 sums over everything at once", `sum(${ALL})`, 8),
  get("10 federations of everything at once", "/federate", { "match[]": ALL }, 10),
  get("30 exports of everything at once", "/api/v1/export", { "match[]": ALL }, 30),
  {
    name: "a body with 2,000,000 empty series",
    path: "/api/v1/write",
    headers: WRITE,
    body: () => snappy(Buffer.alloc(4_000_000, Uint8Array.of(10, 0))),
  },
  { ...writes(300_000, "new", [NOW_MS]), name: "a body with 300,000 new series" },
  { ...writes(300_000, "new", [NOW_MS + 1]), name: "the same series again" },
  get("3 scrapes of 310,000 series at once", "/metrics", {}, 3),
];

interface Push {
  readonly beganMs: number;
  readonly tookMs: number;
  readonly waitedMs: number;
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(
    `${seriesCount} series of ${sampleCount} samples, 20 pushes per second; ${cpus().length} cores, ` +
      `load ${fixed(loadavg()[0]!, 1)} before, Bun ${Bun.version}`,
  );
  const folder = mkdtempSync(join(options.folder, "weir-bench-"));
  const args = ["--no-sampler", "--expose-protocols", "remote_write", ...serveArgs];
  const probed = await ProbedGateway.start(folder, args);
  const { url, pid } = probed.gateway;
  try {
    for (let from = 0; from < sampleCount; from += SAMPLES_PER_BODY) {
      const times = Array.from(
        { length: SAMPLES_PER_BODY },
        (_, at) => NOW_MS - (sampleCount - from - at) * STEP_MS,
      );
      const filling = writes(seriesCount, "stored", times);
      const status = await send(url, filling, filling.body!());
      if (status !== 204) throw new Error(`a body was answered ${status}`);
    }
    const pushes: Push[] = [];
    const pusher = Bun.spawn(
      [process.execPath, join(import.meta.dir, "fairness-pusher.ts"), url, String(pid)],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const reading = read(pusher.stdout, pushes);
    console.log("  longest push (waited for a processor), p99; longest slice (a piece of work); answers");
    for (const kind of [undefined, ...KINDS]) {
      if (kind !== undefined && !kind.name.includes(options.only)) continue;
      await measure(probed, pushes, kind);
    }
    pusher.kill();
    await reading;
    console.log(`  ${"memory".padEnd(40)} ${fixed(usageOf(pid).residentBytesPeak / 1e6)} MB at most`);
  } finally {
    await probed.gateway.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends the requests of a kind at once, and prints what they cost. Nothing is sent if there is no kind. */
async function measure(probed: ProbedGateway, pushes: Push[], kind: Hostile | undefined): Promise<void> {
  const { url, pid } = probed.gateway;
  const body = kind?.body?.();
  // What was sent before has ended.
  await Bun.sleep(1_000);
  await probed.takeLongest();
  const fromMs = Date.now();
  let statuses: number[] = [];
  if (kind === undefined) await Bun.sleep(seconds * 1_000);
  else statuses = await Promise.all(Array.from({ length: kind.times ?? 1 }, () => send(url, kind, body)));
  const tookMs = Date.now() - fromMs;
  const { longestMs, pieceMs } = await probed.takeLongest();
  // The pushes that were sent beside them are answered.
  await Bun.sleep(500);
  const beside = pushes.filter(({ beganMs }) => beganMs >= fromMs - 100 && beganMs <= fromMs + tookMs);
  const longest = beside.toSorted((a, b) => b.tookMs - a.tookMs)[0];
  const p99 = percentile(
    beside.map((push) => push.tookMs),
    0.99,
  );
  const answers = Map.groupBy(statuses, (status) => status)
    .entries()
    .map(([status, { length }]) => (length === 1 ? status : `${length} × ${status}`));
  console.log(
    `  ${(kind?.name ?? "without a request").padEnd(40)} ${fixed(longest?.tookMs ?? 0).padStart(4)} ms (${fixed(longest?.waitedMs ?? 0)} ms), ` +
      `p99 ${fixed(p99)} ms; slice ${fixed(longestMs)} ms (${fixed(pieceMs, 2)} ms); ` +
      `${[...answers].join(", ")} after ${fixed(tookMs / 1_000, 1)} s; ${fixed(usageOf(pid).residentBytes / 1e6)} MB`,
  );
}

async function read(lines: ReadableStream<Uint8Array>, pushes: Push[]): Promise<void> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of lines) {
    text += decoder.decode(bytes, { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(0, end).trimEnd().split("\n")) {
      const [beganMs, tookMs, waitedMs] = line.split(" ").map(Number) as [number, number, number];
      pushes.push({ beganMs, tookMs, waitedMs });
    }
    text = text.slice(end);
  }
}
