/** A service level of the configuration: which part of all events must be good. */
export interface ServiceLevel {
  readonly name: string;
  /** The part that must be good, in percent: above 0 and below 100. */
  readonly objectivePercent: number;
  /** The time over which that part must be good. */
  readonly windowMs: number;
  /**
   * The number of good events in a time that ends now: a selector of counters, or an expression of PromQL or a statement of
   * SQL that contains `$window`.
   */
  readonly good: string;
  /** The number of all events, in the same forms. */
  readonly total: string;
  /** The labels of its alerts. */
  readonly labels: Readonly<Record<string, string>>;
}
