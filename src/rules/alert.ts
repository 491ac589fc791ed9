/** The contract between the rules, which make alerts, and the notifications, which deliver them. */

/** An alert as Prometheus sends it to Alertmanager. Times are ms since the epoch. */
export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: number;
  /** A time in the future says until when the alert is firing unless it is sent again. Otherwise it is resolved. */
  readonly endsAt: number;
  /** The page or the query that the alert comes from. Empty if there is none. */
  readonly generatorURL: string;
}

/** Takes alerts as Alertmanager's POST /api/v2/alerts does. The promise settles when they survive a kill. */
export interface AlertReceiver {
  receive(alerts: readonly Alert[]): Promise<void>;
}
