/**
 * A destination: another system that gets what is stored here. The settings of weir.toml have the same names in snake case
 * (src/forward/README.md).
 */
import type { AlertMatcher } from "../alerts/alert-matcher.ts";
import type { ScrapeAuthorization, ScrapeTls, Secret } from "../scrape-job.ts";
import type { RelabelRule } from "./relabel-rule.ts";

/** The types of destinations. */
export const DESTINATION_TYPES = [
  "remote_write",
  "otlp",
  "weir",
  "datadog",
  "elasticsearch",
  "ndjson",
] as const;

export type DestinationType = (typeof DESTINATION_TYPES)[number];

/** A server that gets requests. */
export interface DestinationServer {
  readonly url: Secret;
  readonly authorization?: ScrapeAuthorization;
  readonly tls?: ScrapeTls;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Headers whose values are secrets. */
  readonly secretHeaders?: readonly (readonly [name: string, value: Secret])[];
  /** Time limit of one attempt. */
  readonly timeoutMs: number;
}

/** How the body of a request is compressed. */
export type HttpCompression = (typeof HTTP_COMPRESSIONS)[number];
export const HTTP_COMPRESSIONS = ["none", "gzip", "zstd"] as const;

export type DestinationTarget =
  | (DestinationServer & {
      readonly type: "remote_write";
      /** 2 falls back to 1 if the server does not support it. */
      readonly version: 1 | 2;
      /** zstd is understood by newer VictoriaMetrics and by Weir. It falls back to snappy. */
      readonly compression: "snappy" | "zstd";
      /** Requests at the same time. Each series is always in the same one. */
      readonly shards: number;
      readonly samplesPerRequest: number;
      /** Whether the values of events are sent too, beside their counters and histograms. */
      readonly rawEvents: boolean;
    })
  | (DestinationServer & {
      readonly type: "otlp";
      readonly compression: HttpCompression;
      readonly shards: number;
      /** Data points of a request. */
      readonly samplesPerRequest: number;
      /** Attributes that each resource has. They replace those that labels make. */
      readonly resourceAttributes: Readonly<Record<string, string>>;
    })
  | (DestinationServer & { readonly type: "weir"; readonly samplesPerRequest: number })
  | (DestinationServer & {
      readonly type: "datadog";
      /** Series get levels and running totals, logs get each event. */
      readonly as: "series" | "logs";
      readonly compression: HttpCompression;
      readonly shards: number;
      readonly samplesPerRequest: number;
      /** Of logs. */
      readonly source: string;
      readonly service: string;
    })
  | (DestinationServer & {
      readonly type: "elasticsearch";
      readonly compression: HttpCompression;
      /** With `%{+YYYY.MM.dd}` for the day of the event, UTC. */
      readonly index: string;
      readonly samplesPerRequest: number;
    })
  | { readonly type: "ndjson"; readonly path: string };

export interface Destination {
  /** Identifies what was sent: a new name begins again. */
  readonly name: string;
  /** All must match. The name of the metric is `__name__`. */
  readonly matchers: readonly AlertMatcher[];
  readonly relabel: readonly RelabelRule[];
  /** Added to series that have no such label. */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether new samples overtake a backlog, or everything is sent in the order of its arrival. */
  readonly order: "newest-first" | "oldest-first";
  /** Whether a new destination gets what is stored already. */
  readonly backfill: boolean;
  /** How long new samples gather if there are fewer than a request can have. */
  readonly batchMs: number;
  /** Bytes of requests per second. 0 is no limit. */
  readonly bytesPerSecond: number;
  readonly target: DestinationTarget;
}
