/** What a protocol is to the rest of the gateway: a record of data, declared in the folder of the protocol. */
import type { Kind } from "./sample.ts";
import type { TimeUnit } from "./time.ts";

/** The names of the parts of a sample in the documents of a protocol. Reasons of rejected samples use them. */
export interface SenderTerms {
  /** The field of a sample's time, such as `@timestamp`. */
  readonly time: string;
  /** What a time that is a number counts since 1970. Undefined if the protocol has no such times. */
  readonly timeUnit?: TimeUnit;
  /** The name of a metric, such as `__name__`. */
  readonly metric: string;
  /** One label, in the singular, such as `tag`. The plural ends in s. */
  readonly label: string;
  /** The names of kinds that differ from those of JSON events, such as `delta` for the kind whose events are counters. */
  readonly kinds?: Readonly<Partial<Record<Kind, string>>>;
}

/** The words for samples that no sender wrote. */
export const PLAIN_TERMS: SenderTerms = { time: "timestamp", metric: "metric name", label: "label" };

/** The policy of a protocol, as data. Ingest decides by it, and no code of ingest depends on a name. */
export interface Protocol {
  /** The short name in counters, in the table `rejected` and in the setting `exposeProtocols`. */
  readonly name: string;
  /**
   * Whether its series are on /metrics. `by setting` means only if `exposeProtocols` names the protocol: a
   * server that writes with it usually scrapes /metrics too, and would get its own series back.
   */
  readonly exposed: "always" | "by setting" | "never";
  /**
   * Whether a request counts as a push of the job and instance of its samples. Samples that a server scraped or
   * computed do not count: a pod that ended, or an alert, is not a worker that died.
   */
  readonly countsAsPush: "always" | "if exposed" | "never";
  /** Whether a sender may write back samples that it scraped from /metrics here. They are dropped. */
  readonly returnsEchoes: boolean;
  /**
   * Whether `le` and `quantile` are stored as they were sent. Otherwise they are spelled as OpenMetrics floats, so that
   * `1` and `1.0` are one series. A server that replicates its series has them as two, with two values at one time.
   */
  readonly keepsBoundText: boolean;
  readonly terms: SenderTerms;
}

/** Whether the series of a protocol are on /metrics, given the setting `exposeProtocols`. */
export function isExposed({ name, exposed }: Protocol, exposeProtocols: readonly string[]): boolean {
  return exposed === "always" || (exposed === "by setting" && exposeProtocols.includes(name));
}
