/** What a protocol says of itself, as data: ingest decides by this, and knows no protocol by name. */
export interface Protocol {
  /** The short name in counters, in the table `rejected` and in the setting `exposeProtocols`. */
  readonly name: string;
  /**
   * Whether its series are on /metrics. `by setting`: only if `exposeProtocols` names the protocol, since a server that
   * writes by it usually scrapes /metrics too, and would get its own series back.
   */
  readonly exposed: "always" | "by setting" | "never";
  /**
   * Whether a request is a push of the job and instance that its samples name. Samples that a server scraped or computed
   * are not: a pod that ended, or an alert, is not a worker that died.
   */
  readonly countsAsPush: "always" | "if exposed" | "never";
  /** Whether a sender may write back what it scraped from /metrics here; such samples are dropped. */
  readonly returnsEchoes: boolean;
  /** Whether its samples set the values of groups; samples of a group's series by any other protocol are history. */
  readonly ownsGroups: boolean;
}

/** Whether the series of a protocol are on /metrics, with `exposeProtocols` as the setting has it. */
export function isExposed({ name, exposed }: Protocol, exposeProtocols: readonly string[]): boolean {
  return exposed === "always" || (exposed === "by setting" && exposeProtocols.includes(name));
}
