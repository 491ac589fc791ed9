/**
 * Stores the metrics of one export request, whatever carried it: HTTP and gRPC answer in their own forms.
 *
 * A request with increments is stored once, however often it is sent: the hash of its body is its idempotency key. Two
 * equal bodies are one request that was repeated, because each point has its time in nanoseconds. Running totals need no
 * key, because a sample of the same series, time and value is stored once.
 */
import { decodeWithHint } from "../../http/body-hint.ts";
import type { Ack, PushOptions } from "../../ingest/contract.ts";
import type { Log } from "../../log/log.ts";
import type { Counters } from "../../model/counters.ts";
import type { Batch } from "../../model/sample.ts";
import type { BodyHash } from "../../wire/body-hash.ts";
import type { BodyDecoder, Decoding } from "../body-decoder.ts";
import { idempotencyOf } from "../idempotency-key.ts";
import { PushWarnings } from "../push-warnings.ts";
import type { OtlpRequest } from "./decode/point-gatherer.ts";
import { NO_POINT } from "./otlp-protocol.ts";

export type OtlpEncoding = "protobuf" | "json";

/** The answer to a request that was accepted. */
export interface PartialSuccess {
  /** Data points that are not stored and never will be. */
  readonly rejectedPoints: number;
  /** The first reasons and warnings; empty if everything was stored as it was sent. */
  readonly message: string;
}

interface OtlpPushOptions extends Pick<PushOptions, "extraLabels" | "historical"> {
  /** The sender's own idempotency key. */
  readonly key?: string;
  /** The query of the request, which is a part of what a key stands for. */
  readonly query?: string;
}

interface OtlpPushDependencies {
  readonly decoder: BodyDecoder<{
    decoding(body: Uint8Array, encoding: OtlpEncoding): Decoding<OtlpRequest>;
  }>;
  readonly ingest: {
    readonly bodyHash: BodyHash;
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
  };
  readonly log: Log;
  readonly counters: Counters;
}

/** Of the idempotency keys. */
const SCOPE = "OTLP";
/** Reasons, and warnings, that a message lists. SDKs log it as one line. */
const LISTED_MAX = 5;

export class OtlpPush {
  readonly #dependencies: OtlpPushDependencies;
  readonly #warnings: PushWarnings;

  constructor(dependencies: OtlpPushDependencies) {
    this.#dependencies = dependencies;
    this.#warnings = new PushWarnings(dependencies.log, dependencies.counters);
  }

  /**
   * Stores a request, and resolves after the commit.
   *
   * @param body an ExportMetricsServiceRequest, decompressed
   * @throws RequestError when nothing of it was stored: the body cannot be read, or the gateway cannot store it now
   */
  async push(
    body: Uint8Array,
    encoding: OtlpEncoding,
    options: OtlpPushOptions = {},
  ): Promise<PartialSuccess> {
    const { decoder, ingest, counters } = this.#dependencies;
    const { extraLabels, historical, key, query = "" } = options;
    const request = await decodeWithHint(body, "/v1/metrics", () =>
      decoder.decode(body.length, (free) => free.decoding(body, encoding)),
    );
    counters.nativeHistograms.inc(request.exponentialHistograms);
    counters.exemplarsDropped.inc(request.exemplarsDropped);
    const { warnings } = request.batch;
    const idempotency =
      request.hasDeltas || key !== undefined ? idempotencyOf(ingest, SCOPE, key, query, body) : undefined;
    const ack = await ingest.push(request.batch, { extraLabels, historical, idempotency });
    if (warnings !== undefined && ack.repeated !== true) this.#warnings.note(warnings);
    return partialSuccess(request, ack);
  }
}

function partialSuccess({ points, batch }: OtlpRequest, ack: Ack): PartialSuccess {
  // A histogram becomes many samples. If one of them is rejected, the histogram is not stored completely.
  const reported = ack.rejected.filter(({ index }) => index !== NO_POINT);
  const known = new Set(reported.map(({ index }) => index)).size;
  // The answer to a repeated request has the first rejections only.
  const isCut = ack.rejectedCount > ack.rejected.length;
  const rejectedPoints = isCut ? Math.max(known, Math.min(points, ack.rejectedCount)) : known;
  const parts: string[] = [];
  if (rejectedPoints > 0) {
    parts.push(`${rejectedPoints} of ${points} data points were rejected: ${firsts(examples(reported))}`);
  }
  const { warnings } = batch;
  if (warnings !== undefined) {
    let count = 0;
    for (const each of warnings.counts.values()) count += each;
    const listed = firsts(
      warnings.first.map(({ metric, message }) => `metric ${JSON.stringify(metric)}: ${message}`),
    );
    parts.push(`${count} ${count === 1 ? "warning" : "warnings"}: ${listed}`);
  }
  return { rejectedPoints, message: parts.join(". ") };
}

/**
 * The first reasons, one more than a message lists. The samples of one point, and the points of one request, often have
 * the same reason: the first of them is the example.
 */
function examples(rejected: Ack["rejected"]): string[] {
  const byReason = new Map<string, string>();
  for (const { reason, payload } of rejected) {
    if (!byReason.has(reason)) byReason.set(reason, explain(reason, payload));
    if (byReason.size > LISTED_MAX) break;
  }
  return [...byReason.values()];
}

/** The reason, with the rejected point if the reason does not name its metric. */
function explain(reason: string, payload: string): string {
  return payload === "" || reason.startsWith("metric ") ? reason : `${reason}: ${payload}`;
}

function firsts(texts: readonly string[]): string {
  const distinct = [...new Set(texts)];
  const listed = distinct.slice(0, LISTED_MAX).join("; ");
  return distinct.length > LISTED_MAX ? `${listed}; and others` : listed;
}
