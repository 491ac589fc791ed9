/**
 * A protocol, as the rest of the gateway sees it: its policy as data, and what it opens in a gateway. Each protocol is
 * one folder here and one row of receivers.ts. This contract knows none of them.
 *
 * The handlers of a receiver read a request, decode it purely, and pass one batch or one transaction to ingest. They
 * answer after the commit, in the protocol's own form: rejected samples are reported, and the valid ones are stored.
 */

import type { Callers } from "../access/access.ts";
import type { RequestGate } from "../access/gate.ts";
import type { Family } from "../exposition/family.ts";
import type { ownMetricType } from "../exposition/own.ts";
import type { Totals } from "../exposition/totals/totals.ts";
import type { RequestLogging } from "../http/app.ts";
import type { BodyLimits } from "../http/body.ts";
import type { Routes } from "../http/routes.ts";
import type { DecodedRejection } from "../ingest/admission/rejected-sample.ts";
import type { Ack, PushOptions, SeriesOwner, Transaction } from "../ingest/contract.ts";
import type { Log } from "../log/log.ts";
import type { Counters } from "../model/counters.ts";
import type { Protocol } from "../model/protocol.ts";
import type { GroupRecord } from "../model/records.ts";
import type { Batch } from "../model/sample.ts";
import type { Service } from "../model/service.ts";
import type { HeldOf } from "../query/promql/store/held.ts";
import type { NameLimits } from "../series/naming.ts";
import type { Registry } from "../series/registry.ts";
import type { ListenerTls } from "../web-config/tls-front.ts";
import type { BodyHash } from "../wire/body-hash.ts";
import type { BucketLayouts } from "../wire/bucket-layout.ts";
import type { DecodeWorkers } from "./decoding/decode-workers.ts";

/** @typeParam Settings the settings of src/config/settings.ts that it reads */
export interface Receiver<Settings extends object = object> {
  /** Its policy. Every batch and transaction has the same `name`, by which ingest finds the policy. */
  readonly protocol: Protocol;
  /** Connects it to a gateway. Ingest opens after all receivers, so it can be used by handlers and services only. */
  readonly open: (context: ReceiverContext<Settings>) => OpenReceiver | Promise<OpenReceiver>;
}

/** A receiver that is connected to a gateway. */
export interface OpenReceiver {
  readonly routes: readonly Routes[];
  /**
   * Decodes one sample from the text that the table of rejected samples keeps of it. Throws a RequestError if it is not a
   * whole sample. Absent if such a text does not suffice.
   */
  readonly decodeRejected?: (text: string) => Batch;
  /** Writes a decoded sample as a text that `decodeRejected` reads, so that a person can mend it. */
  readonly encodeRejected?: (sample: DecodedRejection) => string;
  /**
   * Decodes whole lines of a file, without a request. Throws a RequestError if it cannot read them at all. Absent if the
   * protocol has no files of lines.
   */
  readonly decodeLines?: (body: Uint8Array) => Batch | Promise<Batch>;
  /** Set if it has series of its own, such as those of groups. */
  readonly owner?: Owner;
  /**
   * What runs beside its routes: a UDP or TCP socket, a second listener, a loop that scrapes. `weir serve` starts them
   * after ingest and stops them before it. A service that accepts samples passes them on before `stop` resolves.
   */
  readonly services?: readonly Service[];
}

/** What a receiver answers about its own series, whose last values stay whatever their age. */
export interface Owner extends SeriesOwner {
  /** What it exposes on /metrics. The running totals do not expose a series that it holds (`Totals.hold`). */
  families(): readonly Family[];
  /** The last sample of a series, whose value PromQL and federation repeat. Undefined for series that it never had. */
  heldValue(seriesId: number): ReturnType<HeldOf>;
}

/** What the gateway passes to the receivers. Each uses a part of it. */
export interface ReceiverContext<Settings extends object = object> {
  readonly settings: Settings;
  readonly limits: BodyLimits & NameLimits;
  readonly ingest: {
    readonly bodyHash: BodyHash;
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
    transact(transaction: Transaction, options?: Pick<PushOptions, "idempotency">): Promise<Ack>;
  };
  /** Which series there are, which tags are attributes, and whether that has changed. */
  readonly series: Pick<
    Registry,
    "isAttribute" | "attributesOf" | "epoch" | "seriesCount" | "look" | "take" | "seriesById" | "metric"
  >;
  /** The last values of series. They are restored already. */
  readonly totals: Pick<Totals, "level" | "lastUs" | "isExposed" | "isStale" | "hold" | "release">;
  /** The groups that transactions stored. Only the first call returns them: they need much memory. */
  takeGroups(): readonly GroupRecord[];
  /** Threads that decode large bodies. */
  readonly decodeWorkers: DecodeWorkers;
  /** Bounds of the buckets that native histograms become. */
  readonly layouts: BucketLayouts;
  /** The type of one of the gateway's own metrics on /metrics, by name. */
  readonly ownMetricType: (name: string) => ReturnType<typeof ownMetricType>;
  /** Whether /metrics has series of a protocol that returns echoes (src/model/protocol.ts). */
  readonly isReturnedExposed: boolean;
  /** Decides about the callers of listeners that a service opens, and knows the caller of a running handler. */
  readonly access: RequestGate & Callers;
  readonly log: Log;
  /** What the applications that a service opens log of requests. */
  readonly requestLogging: RequestLogging;
  readonly counters: Counters;
  readonly now: () => number;
  /** Build, settings and start time of the gateway. */
  readonly status: {
    readonly build: Readonly<Record<string, string>>;
    readonly flags: () => Readonly<Record<string, string>>;
    readonly startedAt: Date;
  };
  /** Mode of the Unix sockets that a service opens. Undefined if the umask decides. */
  readonly socketMode: number | undefined;
  /** The TLS of the listeners that a service opens. Undefined if they have none. */
  readonly tls: ListenerTls | undefined;
  /** The page for people, at a path that clients of a protocol use too. */
  readonly page: () => Response;
  /** Stops the gateway. Undefined if that is not allowed. */
  readonly quit?: () => void;
}
