/**
 * Every setting of the gateway, in one table: what it does, its type and bounds, its default and the reason.
 *
 * The flag, the variable and the key in weir.toml follow from a setting's key: `retentionDays` is
 * `--retention-days`, `WEIR_RETENTION_DAYS` and `retentionDays = 7`. Units come last in names: `…Ms` are
 * milliseconds, `…Bytes` and `…BytesMax` are bytes.
 */
import { ARCHIVE_SETTINGS } from "./forwarding/archive-settings.ts";
import { LIMIT_SETTINGS, STORE_SETTINGS, THREAD_SETTINGS } from "./limit-settings.ts";
import { PAGE_SETTINGS } from "./page-settings.ts";
import { FORWARD_SETTINGS } from "./forwarding/forward-settings.ts";
import { ALERT_SETTINGS, RULE_SETTINGS } from "./rule-settings.ts";
import { SAMPLER_SETTINGS } from "./sampler-settings.ts";
import { TAIL_SETTINGS } from "./tail-settings.ts";
import type { Type, Value } from "./values.ts";

/** One setting. */
export interface Setting {
  readonly type: Type;
  readonly default: Value;
  /** What it does, in one or two sentences. */
  readonly what: string;
  /** The reason for the default. */
  readonly why: string;
  /** The name of the same setting in another program. */
  readonly alias?: string;
}

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export const SETTINGS = {
  // Addresses and files
  listen: {
    type: { is: "listen" },
    default: [{ hostname: "127.0.0.1", port: 9091 }],
    what: "Address to serve HTTP on, HOST:PORT or unix:PATH. Can be given more than once.",
    why: "Pushgateway's port, so that its clients find it. Loopback, which needs no token.",
  },
  statsdListen: {
    type: { is: "listen", optional: true },
    default: [],
    what: "Address to receive StatsD and DogStatsD on: HOST:PORT for UDP, or unix:PATH for Unix datagrams. Can be given more than once.",
    why: "Only gateways whose senders use the protocol need a socket for it. Its usual port is 8125.",
  },
  graphiteListen: {
    type: { is: "listen", optional: true },
    default: [],
    what: "Address HOST:PORT to receive Graphite's plaintext protocol on, over TCP and UDP. Can be given more than once.",
    why: "Only gateways whose senders use the protocol need a socket for it. Its usual port is 2003.",
  },
  graphiteTemplates: {
    type: { is: "names" },
    default: [],
    what: "Templates that make names and tags of the parts of a Graphite path: `[FILTER] TEMPLATE [TAG=VALUE …]` (src/receive/graphite/README.md). Can be given more than once.",
    why: "Without a template, the whole path is the name.",
  },
  graphiteConnectionsMax: {
    type: { is: "count", min: 1, max: 100_000 },
    default: 1_000,
    what: "TCP connections of Graphite that are open at the same time. Further ones are closed at once.",
    why: "Each sender has one. A connection takes a descriptor and up to 16 KiB.",
  },
  graphiteIdleMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: hour,
    what: "How long a TCP connection of Graphite may be idle before it is closed.",
    why: "Senders write once a minute or more often, and connect again. It frees connections whose sender has vanished.",
  },
  open: {
    type: { is: "flag" },
    default: false,
    what: "Allows listening on addresses that other machines can reach without any token, and receiving StatsD and Graphite there.",
    why: "Everyone who reaches the port can read and write everything. StatsD and Graphite have no tokens.",
  },
  tokenFile: {
    type: { is: "text", optional: true },
    default: "",
    what: "File of the tokens, which `weir token` writes. Without it, `tokens.json` in the data folder.",
    why:
      "Needs no set-up. Another path can be a mounted secret, also read-only. It must exist, because a gateway " +
      "without tokens is open.",
  },
  hosts: {
    type: { is: "names" },
    default: [],
    what: "Further names by which clients reach the gateway, such as `weir.example.com` or `*.example.com`; `*` allows any. Requests without a token are rejected if their `Host` is not known (src/http/README.md). Can be given more than once.",
    why: "Addresses, localhost and the name of this machine are known. Other names stay unknown, so that no web page can reach the gateway under a name of its own.",
  },
  corsOrigins: {
    type: { is: "names" },
    default: [],
    what: "Origins of web pages that may use the gateway from a browser, such as `https://app.example.com`; `*` allows all pages. Can be given more than once.",
    why: "A browser sends requests for every page that somebody has open. Only you know which pages to trust.",
  },
  tlsCert: {
    type: { is: "text", optional: true },
    default: "",
    what: "File of the certificate in PEM, with those of its issuers, for TLS on all TCP addresses of HTTP and gRPC. New versions are used within a second (src/web-config/README.md).",
    why: "Without a certificate there is no TLS. Loopback needs none.",
  },
  tlsKey: {
    type: { is: "text", optional: true },
    default: "",
    what: "File of the private key of `tlsCert` in PEM.",
    why: "Only you have it.",
  },
  webConfigFile: {
    type: { is: "text", optional: true },
    default: "",
    what: "A `web.yml` as Prometheus reads it: TLS, client certificates, users with passwords, headers, rate limit. New versions are used within a second (src/web-config/README.md).",
    why: "For files that exist already. Tokens need none.",
    alias: "web.config.file",
  },
  ...LIMIT_SETTINGS,
  data: {
    type: { is: "text" },
    default: "./data",
    what: "Folder of the database file, relative to the working directory.",
    why: "Needs no set-up.",
  },

  // Retention
  retentionDays: {
    type: { is: "days", min: 1, max: 36_500 },
    default: 7,
    what: "UTC days that are kept, including today. Older days are dropped whole, and older samples are rejected.",
    why: "A week answers what happened since last Monday, and fits a small disk: at 20 bytes per event, 10 million events per day take 1.4 GB.",
    alias: "metricsRetentionDays",
  },
  retentionBytes: {
    type: { is: "bytes" },
    default: 0,
    what: "Drops the oldest days while the file uses more bytes than this. 0 means no limit.",
    why: "Only you know how much of a disk Weir may use.",
  },
  diskReserveBytes: {
    type: { is: "bytes" },
    default: 64 * MiB,
    what: "Free bytes of the disk below which pushes get 503. Queries and retention continue. With 0, pushes get 503 when nothing is free.",
    why: "A checkpoint moves a log of up to this size into the file, and the engine does not survive a checkpoint on a full disk.",
  },
  retentionIntervalMs: {
    type: { is: "milliseconds", min: second, max: 7 * day },
    default: hour,
    what: "Time between two checks for days to drop.",
    why: "Days end once in 24 hours. An hour is soon enough and costs nothing.",
  },
  ...STORE_SETTINGS,

  // Series and labels
  attributes: {
    type: { is: "names" },
    default: ["task_id", "trace_id", "span_id", "request_id"],
    what: "Tags that identify one event: columns in SQL, never labels of a series.",
    why: "They have a new value for each task. As labels, each value would be a series.",
  },
  metricsMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 10_000,
    what: "Metrics that are kept. Samples of further metrics are rejected until the last rows of an existing metric are dropped.",
    why: "Ten times the metrics of a large program. Each takes 2 KB of memory, and can be queried as a table.",
  },
  tagNamesMax: {
    type: { is: "count", min: 1, max: 10_000 },
    default: 256,
    what: "Names that the tags of one metric can have. Samples with further names are rejected.",
    why: "Four times the tags of one sample. Each name is a column of the metric's table.",
  },
  labelValuesMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 1_000,
    what: "Values that a label of one metric can have. A label with more becomes a column of that metric.",
    why: "Tags with values that people choose (routes, hosts, statuses) have fewer. Ids have more within minutes.",
  },
  seriesPerMetricMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 2_000,
    what: "Series of one metric whose samples can be merged. The buckets of a histogram count as one. With more, the label with the most values becomes a column.",
    why: "With 18 lines per histogram of durations, 2,000 series are 36,000 lines, some 5 MB, in every scrape. With 43 lines per histogram of sizes they are 12 MB.",
  },
  seriesMax: {
    type: { is: "count", min: 1, max: 100_000_000 },
    default: 1_000_000,
    what: "Series that are exposed. Further series are stored and can be queried, but are not exposed.",
    why: "A million series are some 100 MB in every scrape, and take 1.3 KB of memory each.",
  },
  seriesStoredMax: {
    type: { is: "count", min: 1, max: 100_000_000 },
    default: 2_000_000,
    what: "Series that are stored. Samples of further series are rejected until the last rows of an existing series are dropped.",
    why: "Two million series take 2.6 GB of memory, 1.3 KB each. More series are a mistake of a sender.",
  },
  exposeProtocols: {
    type: { is: "choices", of: ["remote_write", "victoria_metrics", "scrape"] },
    default: [],
    what: "Protocols whose series are exposed on /metrics, although they usually come from the server that scrapes it.",
    why: "A Prometheus that both writes here and scrapes here would get its own series back.",
  },

  // Time
  totalsLateMs: {
    type: { is: "milliseconds", max: 30 * day },
    default: hour,
    what: "Age on arrival up to which a sample counts in the totals of /metrics. Older samples are only stored.",
    why: "An hour covers a worker's spool after a restart. A week of samples that arrives at once must not look like a burst.",
  },
  exposeGaugesForMs: {
    type: { is: "milliseconds", min: second, max: 365 * day },
    default: 5 * minute,
    what: "How long after its last sample a gauge or cumulative series stays on /metrics.",
    why: "The same as Prometheus's look-back.",
  },
  seriesIdleMs: {
    type: { is: "milliseconds", min: minute, max: 365 * day },
    default: day,
    what: "How long after its last sample a total stays on /metrics. The next sample exposes it again at its value.",
    why: "A nightly job stays visible until its next run.",
  },
  exemplarsMax: {
    type: { is: "count", max: 10_000_000 },
    default: 65_536,
    what: "Buckets of histograms that have an exemplar on /metrics.",
    why: "Enough for 4,000 histograms of durations with all 16 buckets in use. They take 10 MB of memory.",
  },
  scrapesMax: {
    type: { is: "count", min: 1, max: 1_000 },
    default: 4,
    what: "Scrapes of /metrics that run at the same time. Further scrapes get 503.",
    why: "Enough for two Prometheus servers and two people. Each scrape keeps its answer in memory.",
  },
  futureMs: {
    type: { is: "milliseconds", max: 30 * day },
    default: 10 * minute,
    what: "How far a timestamp may be ahead of this machine's clock.",
    why: "Clocks drift by less than this. A wrong time zone is off by more.",
  },

  groupTtlMs: {
    type: { is: "milliseconds", max: 36_525 * day },
    default: 0,
    what: "How long after its last push a group expires, unless the push sets it (`?ttl=`). 0 means never.",
    why: "Pushed metrics stay until they are deleted, as in Pushgateway.",
    alias: "groupTtl",
  },
  groupsMax: {
    type: { is: "count", min: 1, max: 10_000_000 },
    default: 100_000,
    what: "Groups that can exist. Pushes to further groups are rejected.",
    why: "Some 15 kB of memory per group with a few series: at most 1.5 GB.",
  },
  groupSumGauges: {
    type: { is: "choice", of: ["last", "max", "min"] },
    default: "last",
    what: "The value of a gauge after pushes with `?mode=sum`: the last, the largest or the smallest one.",
    why: "A gauge has no sum. A push without `?mode=sum` also keeps the last value.",
  },
  enableAdminApi: {
    type: { is: "flag" },
    default: false,
    what: "Allows `PUT /api/v1/admin/wipe`, which deletes all groups, and `POST /api/v1/admin/tsdb/delete_series` and `/snapshot`.",
    why: "Off, as in Pushgateway and Prometheus.",
  },
  enableLifecycle: {
    type: { is: "flag" },
    default: false,
    what: "Allows `POST /-/quit`, which stops the gateway.",
    why: "Off, as in Pushgateway.",
  },

  // OpenTelemetry
  otlpListen: {
    type: { is: "listen", optional: true },
    default: [],
    what: "Further address to serve OTLP/HTTP on, and nothing else: HOST:PORT or unix:PATH. Can be given more than once.",
    why: "The addresses of `listen` serve OTLP/HTTP too. Only senders that cannot be configured need its usual port, which is 4318.",
  },
  otlpGrpcListen: {
    type: { is: "listen", optional: true },
    default: [],
    what: "Address to serve OTLP/gRPC on: HOST:PORT or unix:PATH. Can be given more than once.",
    why: "Only gateways whose senders use gRPC need a listener for it. Its usual port is 4317.",
  },
  otlpTranslation: {
    type: {
      is: "choice",
      of: [
        "underscore-escaping-with-suffixes",
        "no-utf8-escaping-with-suffixes",
        "underscore-escaping-without-suffixes",
        "no-translation",
        // The spellings of Prometheus's otlp.translation_strategy.
        "UnderscoreEscapingWithSuffixes",
        "NoUTF8EscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoTranslation",
      ],
    },
    default: "underscore-escaping-with-suffixes",
    what: "How names of OpenTelemetry become names of metrics and labels: whether characters are escaped, and whether metrics get their unit and `_total` as suffixes.",
    why: "Prometheus's own default, so that its dashboards and rules fit.",
  },
  otlpPromoteResourceAttributes: {
    type: { is: "names" },
    default: [],
    what: "Attributes of OpenTelemetry resources that become labels of their metrics, such as `machine.id`. `all` stands for all of them.",
    why: "As in Prometheus, which has them as labels of `target_info`. Each promoted attribute is a label of every series.",
  },
  otlpIgnoreResourceAttributes: {
    type: { is: "names" },
    default: [],
    what: "Attributes of OpenTelemetry resources that `otlpPromoteResourceAttributes = all` leaves out.",
    why: "Only you know which attributes change with each start of a process.",
  },
  otlpPromoteScope: {
    type: { is: "flag" },
    default: false,
    what: "Adds the name, version, schema URL and attributes of the instrumentation scope to OpenTelemetry metrics, as labels `otel_scope_…`.",
    why: "Off, as in Prometheus. They make each series four labels longer.",
  },

  // Influx line protocol
  influxEvents: {
    type: { is: "names" },
    default: [],
    what: "Measurements of the Influx line protocol whose lines are events: their fields are observations, and not gauges.",
    why: "A line with one of `attributes`, such as `task_id`, is an event without this setting. Most other lines are levels.",
  },
  influxSeparator: {
    type: { is: "text" },
    default: "_",
    what: "Text between the names of measurement and field in the name of a metric.",
    why: "VictoriaMetrics and Telegraf's Prometheus output have the same, as in `cpu_usage_idle`.",
  },
  influxValueSuffix: {
    type: { is: "flag" },
    default: true,
    what: "The metric of a field `value` is named MEASUREMENT_value. If it is off, the metric is named MEASUREMENT.",
    why: "As in VictoriaMetrics. Telegraf's Prometheus output leaves the suffix out.",
  },

  // Bodies
  bodyBytesMax: {
    type: { is: "bytes", min: KiB, max: 1024 * MiB },
    default: 32 * MiB,
    what: "Bytes of a request's body before decompression.",
    why: "About 100,000 events of 300 bytes. A batch of 1,000 events is a hundredth of it.",
  },
  inflatedBytesMax: {
    type: { is: "bytes", min: KiB, max: 1024 * MiB },
    default: 128 * MiB,
    what: "Bytes of a body after decompression.",
    why: "Four times the default of bodyBytesMax. Metrics in JSON compress to a tenth, so usual bodies are far smaller before decompression.",
  },
  bodyTimeoutMs: {
    type: { is: "milliseconds", min: 100, max: hour },
    default: minute,
    what: "Time in which a whole body must arrive.",
    why: "Enough for 32 MiB at 4.5 Mbit/s.",
  },
  eventsMax: {
    type: { is: "count", min: 1 },
    default: 500_000,
    what: "Events that one body can have. A body with more is rejected as a whole.",
    why: "Half of the queue's samples, so that one body leaves room for others.",
  },
  strictEvents: {
    type: { is: "flag" },
    default: false,
    what: "Rejects an event with an unknown field or with a value that a 64-bit float cannot represent, instead of a warning. `?strict=` of a push overrides it.",
    why: "An event without one of its fields is worth more than no event.",
  },
  tagsMax: {
    type: { is: "count", min: 1, max: 1_000 },
    default: 64,
    what: "Tags that one sample can have.",
    why: "Twice the tags of typical instrumented code.",
  },
  nameBytesMax: {
    type: { is: "bytes", min: 1, max: 64 * KiB },
    default: 255,
    what: "Bytes of the name of a metric or tag, in UTF-8.",
    why: "OpenTelemetry has the same limit. A longer text is not a name.",
  },
  tagValueBytesMax: {
    type: { is: "bytes", min: 1, max: 1 * MiB },
    default: 4 * KiB,
    what: "Bytes of a tag's value, in UTF-8. Longer values are rejected, never cut.",
    why: "Enough for the URLs that browsers send. A longer text is a payload.",
  },

  // The queue and the writer
  queueSamplesMax: {
    type: { is: "count", min: 1 },
    default: 1_000_000,
    what: "Samples that can wait for a commit. With more, pushes get 429.",
    why: "Five seconds at 200,000 samples per second. A checkpoint is shorter, and the timeouts of clients are longer.",
  },
  queueBytesMax: {
    type: { is: "bytes", min: KiB },
    default: 64 * MiB,
    what: "Bytes of decoded samples that can wait for a commit. With more, pushes get 429.",
    why: "A sixth of the 400 MB that the process should use at most.",
  },
  datagramBufferBytes: {
    type: { is: "bytes", min: 4 * KiB, max: 1024 * MiB },
    default: 32 * MiB,
    what: "Receive buffer of each UDP socket, in which the kernel keeps datagrams until they are read. Without the capability NET_ADMIN, at most `net.core.rmem_max`.",
    why: "The kernel counts 768 bytes for a small datagram and allows twice the size, so this is 80,000 datagrams: 0.8 s at 100,000 per second. It uses memory only while datagrams wait.",
  },
  datagramWaitingBytesMax: {
    type: { is: "bytes", min: 1 * MiB },
    default: 32 * MiB,
    what: "Bytes of datagrams that wait until they are decoded, for each protocol. Further datagrams are dropped and counted.",
    why: "Six seconds at 100,000 datagrams of 50 bytes per second. A commit with a checkpoint takes less than one.",
  },
  idempotencyTtlMs: {
    type: { is: "milliseconds", min: minute, max: 30 * day },
    default: day,
    what: "How long an Idempotency-Key is kept.",
    why: "A client that was offline for a day still gets its answer.",
  },
  idempotencyBytesMax: {
    type: { is: "bytes", min: KiB },
    default: 64 * MiB,
    what: "Memory of the kept Idempotency-Keys with their answers. With more, the oldest keys are dropped early.",
    why: "Enough for some 1.5 million keys: a day at 17 pushes per second, or two hours at 200.",
  },
  rejectedMax: {
    type: { is: "count", max: 10_000_000 },
    default: 10_000,
    what: "Rows of the table of rejected events. The oldest are deleted.",
    why: "Enough to see what a sender does wrong, and to push the samples again after a limit was raised.",
  },
  rejectedBytesMax: {
    type: { is: "bytes", min: KiB },
    default: 32 * MiB,
    what: "Bytes of the table of rejected events. The oldest are deleted.",
    why: "Most take 1 KB, and one takes at most 20 KB. It is checked once an hour, and after this many new bytes.",
  },
  snapshotIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time between two snapshots of the running totals, if at most 20,000 series changed. Others wait for snapshotRows. While nobody pushes and fewer than 20,000 samples are stored, it is ten times as long.",
    why: "Totals in each commit cost 8 CPU-ms and more. A start replays the rows of a minute in a fraction of a second.",
  },
  snapshotRows: {
    type: { is: "count", min: 1_000 },
    default: 1_000_000,
    what: "Rows after which a snapshot is taken early.",
    why: "A million rows replay in 0.25 s.",
  },
  checkpointLogBytes: {
    type: { is: "bytes", min: 1 * MiB },
    default: 64 * MiB,
    what: "Size of the write-ahead log at which a checkpoint moves it into the file.",
    why: "With 16 MiB, checkpoints delayed commits by 0.3 s every few seconds. Rows that are only in the log stay in memory.",
  },
  memoryLimitBytes: {
    type: { is: "bytes", min: 64 * MiB },
    default: 192 * MiB,
    what: "Memory of the database engine.",
    why: "The process should use at most 400 MB. The runtime uses 60 MB of that, the code of the engine 64 MB and the queue 64 MB.",
  },
  ...THREAD_SETTINGS,

  // Queries
  sqlTimeoutMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 30 * second,
    what: "Time that a query can take. A request may ask for less.",
    why: "A summary over a week takes 0.2 s. An open reader delays checkpoints.",
  },
  sqlRowsMax: {
    type: { is: "count", min: 1 },
    default: 100_000,
    what: "Rows that a query can return. A request may ask for fewer.",
    why: "100,000 rows are some 20 MB of JSON and a second of work. Use exports for more.",
  },
  sqlTextBytesMax: {
    type: { is: "bytes", min: 100, max: 1 * MiB },
    default: 16 * KiB,
    what: "Bytes that the text of a statement can have.",
    why: "Checking a statement of 160 kB takes 0.8 s.",
  },
  sqlConcurrencyMax: {
    type: { is: "count", min: 1, max: 256 },
    default: 4,
    what: "Queries that run at the same time. Further queries wait.",
    why: "Twice the engine's threads: while one query waits for its client, another uses the thread.",
  },

  sqlMemoryGrowthBytesMax: {
    type: { is: "bytes", min: 64 * MiB },
    default: 512 * MiB,
    what: "How much the memory of the process can grow while queries run. With more, they are stopped.",
    why: "The engine's own limit does not count all memory that a hostile function allocates.",
  },

  // PromQL, and the process
  promqlTimeoutMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 2 * minute,
    what: "Time that a PromQL query can take. A request may ask for less.",
    why: "Prometheus's own limit.",
  },
  promqlSamplesMax: {
    type: { is: "count", min: 1 },
    default: 50_000_000,
    what: "Samples that a PromQL query can read.",
    why: "Prometheus's own limit. They are read two million at a time, so this limits time and not memory.",
  },
  promqlSeriesMax: {
    type: { is: "count", min: 1 },
    default: 200_000,
    what: "Series that the selectors of a PromQL query can select.",
    why: "200,000 series have some 100 MB of labels.",
  },
  promqlMemoryBytesMax: {
    type: { is: "bytes", min: 1 * MiB },
    default: 256 * MiB,
    what: "Memory of the results of a PromQL query while it runs.",
    why: "Enough for 10,000 series at 2,900 steps, at 9 bytes per point.",
  },
  promqlMemoryGrowthBytesMax: {
    type: { is: "bytes", min: 64 * MiB },
    default: 1024 * MiB,
    what: "How much the memory of the process can grow while PromQL queries run. With more, they are stopped.",
    why: "Labels, samples and garbage take memory beside the results, in each thread.",
  },
  promqlConcurrencyMax: {
    type: { is: "count", min: 1, max: 256 },
    default: 4,
    what: "PromQL queries that run at the same time. Further queries wait.",
    why: "Each has a thread of its own, so a small query need not wait for a large one. More would only use memory.",
  },
  lookbackMs: {
    type: { is: "milliseconds", min: 1, max: day },
    default: 5 * minute,
    what: "How far back PromQL looks for the latest sample of a series.",
    why: "The same as Prometheus's look-back.",
  },
  observationStepMs: {
    type: { is: "milliseconds", min: 1, max: hour },
    default: 15 * second,
    what: "PromQL sees events as counters with one sample per step, as if they were scraped.",
    why: "The usual scrape interval of Prometheus.",
  },
  stopTimeoutMs: {
    type: { is: "milliseconds", min: 100, max: hour },
    default: 8 * second,
    what: "Time from SIGTERM to the exit, in every case.",
    why: "Container engines kill after 10 s.",
  },
  logLevel: {
    type: { is: "choice", of: ["error", "warn", "info", "debug"] },
    default: "info",
    what: "The least important level that is logged.",
    why: "At the level `info`, Weir logs a few lines at each start and stop, faults, and what happened in a minute that was not quiet.",
  },
  logFormat: {
    type: { is: "choice", of: ["logfmt", "json"] },
    default: "logfmt",
    what: "The format of the log. If it is given, `weir serve` prints nothing but lines in it, also when it cannot start.",
    why: "As in Prometheus. People can read it, and log collectors parse it.",
  },
  logRequests: {
    type: { is: "flag" },
    default: false,
    what: "Logs a line per request, with method, path, status and duration. At the level `debug` it is always on.",
    why: "As in Prometheus and Caddy. Counters by route say how many requests fail, and cost less.",
  },
  slowQueryMs: {
    type: { is: "milliseconds", max: hour },
    default: 5 * second,
    what: "Queries that take longer are counted, and logged once a minute with an example. 0 turns this off.",
    why: "A panel of a dashboard that takes longer is worth a look. VictoriaMetrics has the same default.",
  },
  ...TAIL_SETTINGS,
  scrape: {
    type: { is: "scrape" },
    default: [],
    what: "Targets that are scraped: URL[,job=…,instance=…,interval=15s]. Can be given more than once. In weir.toml: `[[scrape]]` with the names of prometheus.yml (src/receive/scrape/README.md).",
    why: "Only you know what exposes metrics without pushing them.",
  },

  ...RULE_SETTINGS,
  ...ALERT_SETTINGS,
  ...FORWARD_SETTINGS,
  ...ARCHIVE_SETTINGS,
  ...PAGE_SETTINGS,
  ...SAMPLER_SETTINGS,
} as const satisfies Record<string, Setting>;
