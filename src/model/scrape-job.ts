/**
 * A job of the scraper: targets that expose metrics over HTTP, and how they are scraped. The settings of prometheus.yml
 * have the same names in snake case (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config).
 */

/** The formats that a scrape can ask for, as prometheus.yml names them. */
export const SCRAPE_PROTOCOLS = [
  "PrometheusProto",
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText0.0.4",
] as const;

export type ScrapeProtocol = (typeof SCRAPE_PROTOCOLS)[number];

/** One `HOST:PORT` with labels of its own. */
export interface ScrapeAddress {
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** How a scrape authenticates itself. Files are read at each scrape. A secret is never printed. */
export type ScrapeAuthorization =
  | { readonly is: "basic"; readonly username: string; readonly password: Secret }
  | { readonly is: "header"; readonly type: string; readonly credentials: Secret };

/** A secret, or the file that has it. */
export type Secret = { readonly text: string } | { readonly file: string };

export interface ScrapeTls {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
  readonly insecureSkipVerify: boolean;
}

/** A limit of 0 is no limit. */
export interface ScrapeJob {
  readonly jobName: string;
  readonly scheme: "http" | "https";
  readonly metricsPath: string;
  readonly params: readonly (readonly [name: string, value: string])[];
  readonly addresses: readonly ScrapeAddress[];
  readonly intervalMs: number;
  /** At most the interval. */
  readonly timeoutMs: number;
  readonly protocols: readonly ScrapeProtocol[];
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  readonly trackTimestampsStaleness: boolean;
  readonly enableCompression: boolean;
  readonly followRedirects: boolean;
  readonly authorization?: ScrapeAuthorization;
  readonly tls?: ScrapeTls;
  readonly bodySizeLimit: number;
  readonly sampleLimit: number;
  readonly labelLimit: number;
  readonly labelNameLengthLimit: number;
  readonly labelValueLengthLimit: number;
}

/** The labels of a target: `job`, `instance` and its own, in ascending order of the names. */
export function targetLabels(
  { jobName }: ScrapeJob,
  { address, labels }: ScrapeAddress,
): Map<string, string> {
  const all = Object.entries({ job: jobName, instance: address, ...labels });
  return new Map(all.filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1)));
}
