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
}

/** Whether the series of a protocol are on /metrics, given the setting `exposeProtocols`. */
export function isExposed({ name, exposed }: Protocol, exposeProtocols: readonly string[]): boolean {
  return exposed === "always" || (exposed === "by setting" && exposeProtocols.includes(name));
}
