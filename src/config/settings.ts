/**
 * Every setting of the gateway, in one table: what it does, its type and bounds, its default and the reason.
 *
 * A setting's key names its flag, its variable and its key in weir.toml by rule: `retentionDays` is
 * `--retention-days`, `WEIR_RETENTION_DAYS` and `retentionDays = 7`. Units come last in names: `…Ms` are
 * milliseconds, `…Bytes` and `…BytesMax` bytes.
 */
import { GROUP_SETTINGS } from "./group-settings.ts";
import type { Type, Value } from "./values.ts";

/** One setting. */
export interface Setting {
  readonly type: Type;
  readonly default: Value;
  /** What it does: one sentence. */
  readonly what: string;
  /** Why the default is what it is. */
  readonly why: string;
  /** A second name that other programs use for the same thing. */
  readonly alias?: string;
}

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

const SAMPLER_PARTS = ["host", "process", "disks", "network", "containers", "gpu", "gateway"] as const;

export const SETTINGS = {
  // Where it listens, where it keeps things
  listen: {
    type: { is: "listen" },
    default: [{ hostname: "127.0.0.1", port: 9091 }],
    what: "Address to serve HTTP on, HOST:PORT or unix:PATH; may be given more than once.",
    why: "Pushgateway's port, so that its clients find it; loopback, since there are no tokens yet.",
  },
  open: {
    type: { is: "flag" },
    default: false,
    what: "Allows listening on addresses that other machines reach.",
    why: "Whoever reaches the port may read and write everything.",
  },
  data: {
    type: { is: "text" },
    default: "./data",
    what: "Folder of the database file, relative to the working directory.",
    why: "Starts without any set-up.",
  },

  // How long
  retentionDays: {
    type: { is: "days", min: 1, max: 36_500 },
    default: 7,
    what: "UTC days that are kept, today included; older days are dropped whole, older samples turned away.",
    why: "A week answers what happened since last Monday, and fits a small disk: 20 bytes an event, 10 M events a day, 1.4 GB.",
    alias: "metricsRetentionDays",
  },
  retentionBytes: {
    type: { is: "bytes" },
    default: 0,
    what: "Drops the oldest days while the file's used bytes are over this; 0 is off.",
    why: "Only its owner knows how much of a disk is free to use.",
  },
  diskReserveBytes: {
    type: { is: "bytes" },
    default: 64 * MiB,
    what: "Free bytes of the disk below which pushes get 503; queries and retention go on. With 0 they get it when nothing is free.",
    why: "The log is as large when it is moved into the file, which the engine does not survive on a full disk.",
  },
  retentionIntervalMs: {
    type: { is: "milliseconds", min: second, max: 7 * day },
    default: hour,
    what: "Time between two looks for days to drop.",
    why: "Days end once in 24 hours; an hour is soon enough and costs nothing.",
  },

  // Series and labels
  attributes: {
    type: { is: "names" },
    default: ["task_id", "trace_id", "span_id", "request_id"],
    what: "Tags that identify one event: columns in SQL, never labels of a series.",
    why: "They take a new value with each task; as labels each would be a series of its own.",
  },
  metricsMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 10_000,
    what: "Metrics that are kept; samples of one more are turned away until some have no row left.",
    why: "Ten times what a large program has; each takes 2 KB of memory, and is a table to who asks.",
  },
  tagNamesMax: {
    type: { is: "count", min: 1, max: 10_000 },
    default: 256,
    what: "Names that the tags of one metric may have; samples with one more are turned away.",
    why: "Four times the tags of one sample; each is a column of the metric's table.",
  },
  labelValuesMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 1_000,
    what: "Values that a label of one metric may take; past it the label becomes a column of that metric.",
    why: "Above what people choose from (routes, hosts, statuses), below what ids reach within minutes.",
  },
  seriesPerMetricMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 2_000,
    what: "Series of one metric whose samples can be merged; past it the label with the most values becomes a column.",
    why: "At 18 lines per histogram of durations, 2,000 series are 36,000 lines, some 5 MB, in every scrape; at 43 of sizes, 12 MB.",
  },
  seriesMax: {
    type: { is: "count", min: 1, max: 100_000_000 },
    default: 1_000_000,
    what: "Series that are exposed; those past it are kept for SQL alone.",
    why: "Some 100 MB in every scrape, and 1.3 KB each in memory.",
  },
  seriesStoredMax: {
    type: { is: "count", min: 1, max: 100_000_000 },
    default: 2_000_000,
    what: "Series that are kept at all; samples of one more are turned away until some have no row left.",
    why: "At 1.3 KB each in memory, 2.6 GB: more is a flood.",
  },
  exposeProtocols: {
    type: { is: "choices", of: ["remote_write", "influx", "victoriametrics"] },
    default: [],
    what: "Protocols whose series are shown in /metrics though they usually come from what scrapes it.",
    why: "A Prometheus that both writes here and scrapes here would get its own series back.",
  },

  // Time
  totalsLateMs: {
    type: { is: "milliseconds", max: 30 * day },
    default: hour,
    what: "Age on arrival up to which a sample counts in the totals of /metrics; older ones are stored only.",
    why: "An hour covers a worker's spool after a restart; a week that arrives at once must not look like a burst.",
  },
  exposeGaugesForMs: {
    type: { is: "milliseconds", min: second, max: 365 * day },
    default: 5 * minute,
    what: "A gauge or cumulative series leaves /metrics this long after its last sample.",
    why: "Prometheus's own look-back.",
  },
  seriesIdleMs: {
    type: { is: "milliseconds", min: minute, max: 365 * day },
    default: day,
    what: "A total leaves /metrics this long after its last sample, and returns at its value.",
    why: "A nightly job stays visible until its next run.",
  },
  exemplarsMax: {
    type: { is: "count", max: 10_000_000 },
    default: 65_536,
    what: "Buckets of histograms in /metrics that show an exemplar.",
    why: "4,000 histograms of durations with all 16 buckets in use, 10 MB.",
  },
  scrapesMax: {
    type: { is: "count", min: 1, max: 1_000 },
    default: 4,
    what: "Scrapes of /metrics at a time; more get 503.",
    why: "Two Prometheus servers and two curious people; each holds its answer in memory.",
  },
  futureMs: {
    type: { is: "milliseconds", max: 30 * day },
    default: 10 * minute,
    what: "How far ahead of this machine's clock a timestamp may be.",
    why: "More than clocks drift, less than a wrong time zone.",
  },

  ...GROUP_SETTINGS,

  // Bodies
  bodyBytesMax: {
    type: { is: "bytes", min: KiB, max: 1024 * MiB },
    default: 32 * MiB,
    what: "Bytes of a request's body as it arrives.",
    why: "About 100,000 events of 300 bytes; a batch of 1,000 is a hundredth of it.",
  },
  inflatedBytesMax: {
    type: { is: "bytes", min: KiB, max: 1024 * MiB },
    default: 128 * MiB,
    what: "Bytes of a body after decompression.",
    why: "Four times the limit above; metrics in JSON shrink to a tenth, so honest bodies are far smaller on the wire.",
  },
  bodyTimeoutMs: {
    type: { is: "milliseconds", min: 100, max: hour },
    default: minute,
    what: "Time for a whole body to arrive.",
    why: "32 MiB over 4.5 Mbit/s.",
  },
  eventsMax: {
    type: { is: "count", min: 1 },
    default: 500_000,
    what: "Events of one body; a body with more is turned away whole.",
    why: "Half of the queue's samples: a body that is taken leaves room for others.",
  },
  strictEvents: {
    type: { is: "flag" },
    default: false,
    what: "Rejects an event with an unknown field or with a value that a 64-bit float does not hold, instead of a warning; `?strict=` of a push overrides it.",
    why: "An event without one of its fields is worth more than no event.",
  },
  tagsMax: {
    type: { is: "count", min: 1, max: 1_000 },
    default: 64,
    what: "Tags of one sample.",
    why: "Twice what instrumented code is seen to use.",
  },
  nameBytesMax: {
    type: { is: "bytes", min: 1, max: 64 * KiB },
    default: 255,
    what: "Bytes of a metric's or a tag's name, in UTF-8.",
    why: "Longer names are no names, and OpenTelemetry stops at 255 too.",
  },
  tagValueBytesMax: {
    type: { is: "bytes", min: 1, max: 1 * MiB },
    default: 4 * KiB,
    what: "Bytes of a tag's value, in UTF-8; longer ones are turned away, never cut.",
    why: "Holds the URLs that browsers send; more is a payload.",
  },

  // The queue and the writer
  queueSamplesMax: {
    type: { is: "count", min: 1 },
    default: 1_000_000,
    what: "Samples that may wait for a commit; past it pushes get 429.",
    why: "Five seconds at 200,000 a second: longer than a checkpoint, shorter than a client's patience.",
  },
  queueBytesMax: {
    type: { is: "bytes", min: KiB },
    default: 64 * MiB,
    what: "Bytes of decoded samples that may wait for a commit; past it pushes get 429.",
    why: "A sixth of the 400 MB that the process should stay under.",
  },
  idempotencyTtlMs: {
    type: { is: "milliseconds", min: minute, max: 30 * day },
    default: day,
    what: "How long an Idempotency-Key is remembered.",
    why: "A client that was cut off for a day still finds its answer.",
  },
  idempotencyBytesMax: {
    type: { is: "bytes", min: KiB },
    default: 64 * MiB,
    what: "Memory of remembered Idempotency-Keys with their answers; past it the oldest are forgotten before their time.",
    why: "Some 100,000 keys: a day of a push a second, ten minutes of 170 a second.",
  },
  rejectedMax: {
    type: { is: "count", max: 10_000_000 },
    default: 10_000,
    what: "Rows of the table of rejected events; the oldest make room.",
    why: "At up to 1 KiB each, 10 MB; enough to see what a sender does wrong.",
  },
  snapshotIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time between two snapshots of the running totals.",
    why: "Totals in each commit cost 8 CPU-ms and more; a start replays a minute's rows in a fraction of a second.",
  },
  snapshotRows: {
    type: { is: "count", min: 1_000 },
    default: 1_000_000,
    what: "Rows after which a snapshot is taken before its time.",
    why: "A million rows replay in 0.25 s.",
  },
  checkpointLogBytes: {
    type: { is: "bytes", min: 1 * MiB },
    default: 64 * MiB,
    what: "Size of the write-ahead log at which it is moved into the file.",
    why: "At 16 MiB checkpoints held up commits by 0.3 s each few seconds; rows that are only in the log stay in memory.",
  },
  memoryLimitBytes: {
    type: { is: "bytes", min: 64 * MiB },
    default: 192 * MiB,
    what: "Memory of the database engine.",
    why: "400 MB for the process, less 60 for the runtime, 64 for the engine's code and 64 for the queue.",
  },
  threads: {
    type: { is: "count", min: 1, max: 256 },
    default: 2,
    what: "Threads of the database engine.",
    why: "The smallest machine that this is meant for has two cores.",
  },

  // Queries
  sqlTimeoutMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 30 * second,
    what: "Time that a query may take; a request may ask for less.",
    why: "A summary over a week takes 0.2 s; an open reader keeps the log from being moved into the file.",
  },
  sqlRowsMax: {
    type: { is: "count", min: 1 },
    default: 100_000,
    what: "Rows that a query may answer with; a request may ask for fewer.",
    why: "Some 20 MB of JSON and a second of work; exports are made for more.",
  },
  sqlTextBytesMax: {
    type: { is: "bytes", min: 100, max: 1 * MiB },
    default: 16 * KiB,
    what: "Bytes of a statement.",
    why: "Checking a statement of 160 kB takes 0.8 s.",
  },
  sqlConcurrencyMax: {
    type: { is: "count", min: 1, max: 256 },
    default: 4,
    what: "Queries that run at once; more wait.",
    why: "Twice the engine's threads, so that one that waits for its reader leaves no thread idle.",
  },

  sqlMemoryGrowthBytesMax: {
    type: { is: "bytes", min: 64 * MiB },
    default: 512 * MiB,
    what: "How much the process may grow while queries run; past it they are stopped.",
    why: "The engine's own limit does not count all that a hostile function takes.",
  },

  // The process
  promqlTimeoutMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 2 * minute,
    what: "Time that a PromQL query may take; a request may ask for less.",
    why: "Prometheus's own.",
  },
  promqlSamplesMax: {
    type: { is: "count", min: 1 },
    default: 50_000_000,
    what: "Samples that a PromQL query may read.",
    why: "Prometheus's own; they are read two million at a time, so that this bounds time and not memory.",
  },
  promqlSeriesMax: {
    type: { is: "count", min: 1 },
    default: 200_000,
    what: "Series that the selectors of a PromQL query may find.",
    why: "Some 100 MB of labels.",
  },
  promqlMemoryBytesMax: {
    type: { is: "bytes", min: 1 * MiB },
    default: 256 * MiB,
    what: "Memory of the results that a PromQL query has under way.",
    why: "9 bytes a point: 10,000 series at 2,900 steps.",
  },
  promqlConcurrencyMax: {
    type: { is: "count", min: 1, max: 256 },
    default: 4,
    what: "PromQL queries that run at once; more wait.",
    why: "While one waits for its rows another computes; more would only hold memory.",
  },
  lookbackMs: {
    type: { is: "milliseconds", min: 1, max: day },
    default: 5 * minute,
    what: "How far back PromQL looks for the latest sample of a series.",
    why: "Prometheus's own.",
  },
  observationStepMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 15 * second,
    what: "Events are counters to PromQL, with a sample so often, as if they were scraped.",
    why: "The interval that scrape configurations begin with.",
  },
  stopTimeoutMs: {
    type: { is: "milliseconds", min: 100, max: hour },
    default: 8 * second,
    what: "Time from SIGTERM to the end, whatever happens.",
    why: "Container engines kill after 10 s.",
  },
  logLevel: {
    type: { is: "choice", of: ["error", "warn", "info", "debug"] },
    default: "info",
    what: "The least important lines that are logged.",
    why: "A line a start, a stop and an hour.",
  },

  // The sampler
  sampler: {
    type: { is: "flag" },
    default: true,
    what: "Samples this machine: its load, disks, network, containers and GPUs.",
    why: "A gateway beside the workers sees what they run on.",
  },
  samplerParts: {
    type: { is: "choices", of: SAMPLER_PARTS },
    default: SAMPLER_PARTS,
    what: "Which parts of the machine are sampled; `gateway` stores the gateway's own metrics, for queries.",
    why: "A part that is not there costs nothing.",
  },
  samplerHostIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 15 * second,
    what: "Time between two samples of the host, the process and the network.",
    why: "Prometheus's usual scrape interval.",
  },
  samplerGpuIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 15 * second,
    what: "Time between two samples of the GPUs.",
    why: "Asking a GPU takes a process and some 0.1 s.",
  },
  samplerGpuProcesses: {
    type: { is: "flag" },
    default: false,
    what: "Samples the memory that each process uses on a GPU, as `gpu_process_memory_bytes`.",
    why: "Each process is a series of its own; on a machine that starts many, they are many.",
  },
  samplerDisksIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time between two samples of file systems and disks.",
    why: "Disks fill within minutes, not seconds.",
  },
  samplerContainersIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: 30 * second,
    what: "Time between two samples of the containers.",
    why: "Their engine works out each answer over a second or two.",
  },
} as const satisfies Record<string, Setting>;
