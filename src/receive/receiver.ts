/**
 * A protocol, as the rest of the gateway sees it: its policy as data, and its routes. Each protocol is one folder
 * here and one row of receivers.ts.
 *
 * The handlers of a receiver read a request, decode it purely, and pass one batch or one transaction to ingest. They
 * answer after the commit, in the protocol's own form: rejected samples are reported, and the valid ones are stored.
 */
import type { BodyLimits } from "../http/body.ts";
import type { Log } from "../http/log.ts";
import type { Routes } from "../http/routes.ts";
import type { Ack, PushOptions, Transaction } from "../ingest/contract.ts";
import type { Counters } from "../model/counters.ts";
import type { Protocol } from "../model/protocol.ts";
import type { Batch } from "../model/sample.ts";
import type { NameLimits } from "../series/naming.ts";
import type { BucketLayouts } from "../wire/bucket-layout.ts";
import type { EventLimits } from "./events/event.ts";
import type { Groups } from "./pushgateway/groups/groups.ts";

export interface Receiver {
  /** Its policy. Every batch and transaction has the same `name`, by which ingest finds the policy. */
  readonly protocol: Protocol;
  /** Its routes, connected to a gateway. */
  open(context: ReceiverContext): readonly Routes[];
}

/** What the gateway passes to the receivers. Each uses a part of it. */
interface ReceiverContext {
  readonly ingest: {
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
    transact(transaction: Transaction, options?: Pick<PushOptions, "idempotency">): Promise<Ack>;
  };
  readonly limits: BodyLimits & NameLimits & EventLimits;
  /** Which tags are attributes, and whether that has changed. */
  readonly series: {
    isAttribute(metric: string, tag: string): boolean;
    attributesOf(metric: string): readonly string[];
    readonly epoch: number;
  };
  /** Bounds of the buckets that native histograms become. */
  readonly layouts: BucketLayouts;
  readonly groups: Groups;
  readonly settings: {
    readonly eventsMax: number;
    readonly strictEvents: boolean;
    readonly enableAdminApi: boolean;
  };
  readonly log: Pick<Log, "warn">;
  readonly counters: Counters;
  /** Build, settings and start time of the gateway. */
  readonly status: {
    readonly build: Readonly<Record<string, string>>;
    readonly flags: Readonly<Record<string, string>>;
    readonly startedAt: Date;
  };
  /** Stops the gateway. Undefined if that is not allowed. */
  readonly quit?: () => void;
}
