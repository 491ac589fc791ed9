/**
 * A push to a group, and the interfaces that groups need. Decoders and the registry of series have these
 * shapes: see src/wire/exposition-formats/decoded-families.ts and src/series/registry.ts.
 */

import type { SenderTerms } from "../../../model/protocol.ts";
import type { GroupRecord } from "../../../model/records.ts";
import type { Batch, Kind, Metric, Series, SeriesHead } from "../../../model/sample.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";

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
  readonly exemplars?: readonly PushedExemplar[];
}

/** A value of a counter, or of the histogram's bucket with the bound `edge`, with labels that lead to a trace. */
export interface PushedExemplar {
  readonly value: number;
  readonly labels: ReadonlyMap<string, string>;
  readonly timestampMs?: number;
  readonly edge?: number;
}

export interface PushedFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  readonly metrics: readonly PushedMetric[];
}

/** A push to a group, as received. */
export interface GroupPush {
  /** The grouping labels: `job`, and the others of the path. Empty values are included. */
  readonly labels: ReadonlyMap<string, string>;
  readonly families: readonly PushedFamily[];
  /** An error of the labels, if it is known already. The push is rejected, and its group records the failure. */
  readonly invalid?: string;
  /** Whether to replace the whole group, or only the families of the same names. */
  readonly replace: boolean;
  /** Whether to add to the values of the group instead of replacing them. */
  readonly sum?: boolean;
  /** Whether samples may have timestamps, which are then stored. */
  readonly honorTimestamps?: boolean;
  /** How long after its last push the group expires. The default is the setting's. */
  readonly ttlMs?: number;
}

/** The result of a change: samples for the store, and the changed groups. */
export interface Decided {
  /** `rejected` has one entry, the reason, if the push was rejected. */
  readonly batch: Batch;
  /** By head of the batch: its series. */
  readonly seriesIds: readonly number[];
  readonly groups: readonly GroupRecord[];
}

/** The registry of series. */
export interface GroupSeries {
  /** The number of series. It changes when one is created. */
  readonly seriesCount: number;
  /**
   * Looks up the series of a head. Returns the series, if there is one, and the key with which `take` creates
   * it, or the reason why its samples are rejected. Consecutive heads that share one labels object are looked
   * up faster.
   */
  look(
    head: SeriesHead,
    terms: SenderTerms,
  ): { readonly seriesId: number | undefined; readonly key: string } | { readonly refused: string };
  /** The series of a head after a lookup. Creates it if there is none. The registry keeps the head's texts. */
  take(
    head: SeriesHead,
    key: string,
    terms: SenderTerms,
  ): { readonly seriesId: number } | { readonly refused: string };
  seriesById(seriesId: number): Series | undefined;
  metric(
    name: string,
  ): (Metric & { readonly kind: Kind; readonly current: { values(): Iterable<Series> } }) | undefined;
}

/** The running totals, which know the last value of each series. */
export interface LastValues {
  /** The last value. Undefined if there is none, or if it is a stale marker. */
  level(seriesId: number): number | undefined;
  lastUs(seriesId: number): number;
  /** Whether the last value is a stale marker. */
  isStale(seriesId: number): boolean;
  isExposed(seriesId: number, nowUs: number): boolean;
  /** Stops the totals from exposing a series. `release` reverses this. */
  hold(seriesId: number): void;
  release(seriesId: number): void;
}
