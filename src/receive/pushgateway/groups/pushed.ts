/**
 * What a push to a group says, and what groups need of those around them. Decoders and the registry of series have
 * these shapes; see src/receive/pushgateway/pushed-families.ts and src/series/registry.ts.
 */
import type { Batch, Kind, Metric, Series, SeriesHead } from "../../../model/sample.ts";

export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped";

/** A histogram (cumulative counts by upper bound) or a summary (values by quantile). */
export interface Distribution {
  readonly sum: number;
  readonly count: number;
  readonly edges: readonly { readonly edge: number; readonly value: number }[];
}

export interface PushedMetric {
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number | Distribution;
  readonly timestampMs?: number;
}

export interface PushedFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  readonly metrics: readonly PushedMetric[];
}

/** A push to a group, as it arrived. */
export interface GroupPush {
  /** The labels that make the group: `job`, and what else the path names; empty values included. */
  readonly labels: ReadonlyMap<string, string>;
  readonly families: readonly PushedFamily[];
  /** What is wrong with them, where that was seen already: the push is refused, and its group told. */
  readonly invalid?: string;
  /** Whether all that the group has makes room, or only families of the same names. */
  readonly replace: boolean;
  /** Adds to what the group has, instead of replacing it. */
  readonly sum?: boolean;
  /** Samples may have timestamps, and are stored at them. */
  readonly honorTimestamps?: boolean;
  /** The group goes so long after its last push; the default's time if absent. */
  readonly ttlMs?: number;
}

/** When a push is decided, and what timestamps are taken then. */
export interface Times {
  readonly nowUs: number;
  /** Samples before this are refused: the start of retention. */
  readonly firstUs: number;
  /** Samples after this are refused. */
  readonly lastUs: number;
}

/** What becomes of a change: samples for the store, and the groups that are others now. */
export interface Decided {
  /** Its `rejected` holds one entry, the reason, where the push was refused. */
  readonly batch: Batch;
  readonly groups: readonly GroupRecord[];
}

/** A group as it is stored. */
export interface GroupRecord {
  readonly key: string;
  /** JSON; null when the group was deleted. */
  readonly definition: string | null;
}

/** The registry of series. */
export interface SeriesRegistry {
  /** Changes when one is made. */
  readonly seriesCount: number;
  /**
   * The series of a head, if there is one, and the key by which `take` makes it; or why samples of it would be refused.
   * Heads that share their labels as one object are looked at faster, one after the other.
   */
  look(
    head: SeriesHead,
  ): { readonly seriesId: number | undefined; readonly key: string } | { readonly refused: string };
  /** The series of a head that was looked at before, made if there is none; its texts are kept for good. */
  take(head: SeriesHead, key: string): { readonly seriesId: number } | { readonly refused: string };
  seriesById(seriesId: number): Series | undefined;
  metric(
    name: string,
  ): (Metric & { readonly kind: Kind; readonly current: ReadonlyMap<string, Series> }) | undefined;
}

/** The running totals, which have the last value of each series. */
export interface LastValues {
  /** The last value; undefined when there is none, or a stale marker. */
  level(seriesId: number): number | undefined;
  lastUs(seriesId: number): number;
  isExposed(seriesId: number, nowUs: number): boolean;
  /** Takes a series out of what the totals themselves expose; `release` lets it in again. */
  hold(seriesId: number): void;
  release(seriesId: number): void;
}
