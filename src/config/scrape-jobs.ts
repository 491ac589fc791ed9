/**
 * The setting `scrape`: jobs of the scraper, as text (`URL[,job=…,instance=…,interval=15s]`) or as tables of weir.toml
 * with the names of prometheus.yml.
 *
 * Secrets are never printed: neither in errors, which quote no value that may be one, nor by `formatScrapeJobs`.
 */
import { formatDuration } from "../model/duration.ts";
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import {
  SCRAPE_PROTOCOLS,
  type ScrapeAddress,
  type ScrapeJob,
  type ScrapeProtocol,
  targetLabels,
} from "../model/scrape-job.ts";
import { SettingError } from "./setting-error.ts";
import { isTable, readAuthorization, readTls, SettingTable } from "./setting-table.ts";

type Table = Readonly<Record<string, unknown>>;

const INTERVAL_MS = 15_000;
const TIMEOUT_MS = 10_000;
/** Without protobuf, as in Prometheus: clients write text faster, and only native histograms need it. */
const PROTOCOLS: readonly ScrapeProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText0.0.4",
];
/** The same as the default of `inflatedBytesMax`. Prometheus has no limit. */
const BODY_SIZE_LIMIT = 128 * 2 ** 20;

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const JOB_WITHOUT_NAME = "scrape";

/** Keys of prometheus.yml that are no mistake, but that the scraper does not support. */
const UNSUPPORTED =
  /^(metric_)?relabel_configs$|_sd_configs$|^(oauth2|proxy_.*|no_proxy|http_headers|target_limit|keep_dropped_targets)$/;

/** The keys of the text form, and the setting that each is. */
const TEXT_KEYS: Readonly<Record<string, string>> = {
  job: "job_name",
  job_name: "job_name",
  interval: "scrape_interval",
  scrape_interval: "scrape_interval",
  timeout: "scrape_timeout",
  scrape_timeout: "scrape_timeout",
  honor_labels: "honor_labels",
  honor_timestamps: "honor_timestamps",
  track_timestamps_staleness: "track_timestamps_staleness",
  enable_compression: "enable_compression",
  follow_redirects: "follow_redirects",
  body_size_limit: "body_size_limit",
  sample_limit: "sample_limit",
  label_limit: "label_limit",
  label_name_length_limit: "label_name_length_limit",
  label_value_length_limit: "label_value_length_limit",
  bearer_token_file: "bearer_token_file",
};

/**
 * Reads a text with URLs, or a list of texts and tables.
 *
 * @param name the name of the setting in errors
 * @throws SettingError for an unknown key, an invalid value, or two targets with equal labels
 */
export function readScrapeJobs(raw: unknown, name: string): ScrapeJob[] {
  const jobs = (Array.isArray(raw) ? raw : [raw]).flatMap((part: unknown) => {
    if (typeof part === "string")
      return part
        .split(/\s+/)
        .filter(Boolean)
        .map((text) => readText(text, name));
    if (!isTable(part)) throw new SettingError(`${name} has ${quote(part)}, expected a URL or a table.`);
    return [readTable(part, name)];
  });
  requireDistinct(jobs, name);
  return jobs;
}

/** Stale markers of one target would end the series of the other. */
function requireDistinct(jobs: readonly ScrapeJob[], name: string): void {
  const seen = new Set<string>();
  for (const job of jobs) {
    for (const address of job.addresses) {
      const labels = JSON.stringify([...targetLabels(job, address)]);
      if (seen.has(labels)) {
        throw new SettingError(
          `${name} has two targets with the same labels, job ${quote(job.jobName)} and target ` +
            `${quote(address.address)}: give each its own job or instance.`,
        );
      }
      seen.add(labels);
    }
  }
}

/** `http://HOST:PORT/PATH?PARAMETERS,job=…`. A value cannot contain a comma that another key follows. */
function readText(text: string, name: string): ScrapeJob {
  const [address = "", ...options] = text.split(/,(?=[a-zA-Z_][a-zA-Z0-9_.]*=)/);
  const fault = (why: string) => new SettingError(`${name} is ${quote(withoutPassword(text))}, ${why}.`);
  const url = URL.parse(/^[a-z]+:\/\//i.test(address) ? address : `http://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.host === "" || url.hash !== "")
    throw fault("expected URL[,job=…,instance=…,interval=15s] with an http or https URL");
  const table: Record<string, unknown> = { job_name: JOB_WITHOUT_NAME };
  const labels: Record<string, string> = {};
  for (const option of options) {
    const at = option.indexOf("=");
    const [key, value] = [option.slice(0, at), option.slice(at + 1)];
    if (key === "instance") labels.instance = value;
    else if (key.startsWith("labels.")) labels[key.slice("labels.".length)] = value;
    else if (Object.hasOwn(TEXT_KEYS, key)) table[TEXT_KEYS[key]!] = value;
    else {
      const near = nearest(key, [...Object.keys(TEXT_KEYS), "instance"]);
      throw new SettingError(
        `${name} has the unknown key ${quote(key)}${near === undefined ? "" : `; did you mean ${near}?`} ` +
          `Known are instance, labels.NAME, ${Object.keys(TEXT_KEYS).join(", ")}.`,
      );
    }
  }
  if (url.username !== "" || url.password !== "") {
    const decoded = [url.username, url.password].map(percentDecoded);
    const [username, password] = decoded;
    if (username === undefined || password === undefined)
      throw fault("whose user or password has a % that two hexadecimal digits do not follow");
    table.basic_auth = { username: username || undefined, password };
  }
  // The port is kept as it was written: `http://a:80` and `http://a` are two instances, as in Prometheus.
  const authority = /^(?:[a-z]+:\/\/)?(?:[^/?#]*@)?([^/?#]*)/i.exec(address)?.[1] ?? url.host;
  return readTable(
    {
      ...table,
      scheme: url.protocol.slice(0, -1),
      // A URL without a path has the usual one.
      metrics_path: url.pathname === "/" ? "/metrics" : url.pathname,
      params: groupParams(url.searchParams),
      static_configs: [{ targets: [authority], labels }],
    },
    name,
  );
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function groupParams(search: URLSearchParams): Record<string, string[]> {
  const params: Record<string, string[]> = {};
  for (const key of new Set(search.keys())) params[key] = search.getAll(key);
  return params;
}

function readTable(table: Table, name: string): ScrapeJob {
  const named = typeof table.job_name === "string" ? `${name} (job ${quote(table.job_name)})` : name;
  const reader = new SettingTable(table, named, { unsupported: { keys: UNSUPPORTED, by: "the scraper" } });
  const jobName = reader.text("job_name");
  if (jobName === undefined) throw reader.fault("job_name", "is missing");
  const scheme = reader.text("scheme") ?? "http";
  if (scheme !== "http" && scheme !== "https")
    throw reader.fault("scheme", `is ${quote(scheme)}, expected http or https`);
  const metricsPath = reader.text("metrics_path") ?? "/metrics";
  if (!metricsPath.startsWith("/"))
    throw reader.fault("metrics_path", `is ${quote(metricsPath)}, expected a path that begins with /`);
  const intervalMs = reader.duration("scrape_interval", INTERVAL_MS);
  const timeoutMs = reader.duration("scrape_timeout", Math.min(TIMEOUT_MS, intervalMs));
  if (timeoutMs > intervalMs) {
    throw reader.fault(
      "scrape_timeout",
      `is ${formatDuration(timeoutMs)}, expected at most the scrape_interval, ${formatDuration(intervalMs)}`,
    );
  }
  const job: ScrapeJob = {
    jobName,
    scheme,
    metricsPath,
    params: readParams(reader),
    addresses: readAddresses(reader),
    intervalMs,
    timeoutMs,
    protocols: reader.choices("scrape_protocols", SCRAPE_PROTOCOLS, PROTOCOLS),
    honorLabels: reader.flag("honor_labels", false),
    honorTimestamps: reader.flag("honor_timestamps", true),
    trackTimestampsStaleness: reader.flag("track_timestamps_staleness", false),
    enableCompression: reader.flag("enable_compression", true),
    followRedirects: reader.flag("follow_redirects", true),
    authorization: readAuthorization(reader),
    tls: readTls(reader.table("tls_config")),
    bodySizeLimit: reader.bytes("body_size_limit", BODY_SIZE_LIMIT),
    sampleLimit: reader.count("sample_limit"),
    labelLimit: reader.count("label_limit"),
    labelNameLengthLimit: reader.count("label_name_length_limit"),
    labelValueLengthLimit: reader.count("label_value_length_limit"),
  };
  reader.end();
  return job;
}

function readParams(reader: SettingTable): [string, string][] {
  return reader.entries("params").flatMap(([key, value]) => {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    if (!values.every((each) => typeof each === "string"))
      throw reader.fault(`params.${key}`, "is not a text or a list of texts");
    return values.map((each): [string, string] => [key, each as string]);
  });
}

/** The targets of `static_configs`, or of `targets` and `labels` of the job itself. */
function readAddresses(reader: SettingTable): ScrapeAddress[] {
  const groups = [reader, ...reader.tables("static_configs")];
  const addresses = groups.flatMap((group) => {
    const targets = group.texts("targets");
    const labels = readLabels(group);
    if (group !== reader) group.end();
    return targets.map((address) => {
      const isHost = /^[^/?#@\s]+$/.test(address) && URL.canParse(`http://${address}/`);
      if (!isHost)
        throw group.fault(
          "targets",
          `has ${quote(withoutPassword(address))}, expected HOST:PORT without a path`,
        );
      return { address, labels };
    });
  });
  if (addresses.length === 0) throw reader.fault("targets", "is missing, expected at least one HOST:PORT");
  return addresses;
}

function readLabels(reader: SettingTable): Record<string, string> {
  const labels = reader.entries("labels");
  for (const [name, value] of labels) {
    if (!LABEL_NAME.test(name) || name.startsWith("__"))
      throw reader.fault(
        "labels",
        `has the name ${quote(name)}, expected letters, digits and _, without __ in front`,
      );
    if (typeof value !== "string")
      throw reader.fault(`labels.${name}`, `is ${quote(value)}, expected a text`);
  }
  return Object.fromEntries(labels) as Record<string, string>;
}

/** The text with an ellipsis for the user and the password of a URL. */
export function withoutPassword(text: string): string {
  return text.replace(/^([a-z]+:\/\/)?.*@/i, "$1…@");
}

/** The jobs for people, without secrets: one URL per target, with the settings that people look for. */
export function formatScrapeJobs(jobs: readonly ScrapeJob[]): string {
  const texts = jobs.flatMap((job) =>
    job.addresses.map((each) => {
      const { address, labels } = each;
      const options = [
        `job=${labels.job ?? job.jobName}`,
        ...Object.entries(labels)
          .filter(([name]) => name !== "job")
          .map(([name, value]) => `${name === "instance" ? name : `labels.${name}`}=${value}`),
        `interval=${formatDuration(job.intervalMs)}`,
      ];
      return `${job.scheme}://${address}${job.metricsPath}${shownParams(job)},${options.join(",")}`;
    }),
  );
  return texts.join(" ");
}

/** The query of a job for people. The values may be secrets. */
function shownParams({ params }: ScrapeJob): string {
  return params.length === 0 ? "" : `?${params.map(([key]) => `${encodeURIComponent(key)}=…`).join("&")}`;
}
