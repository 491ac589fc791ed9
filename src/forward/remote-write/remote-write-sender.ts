/**
 * Sends samples by remote_write. A request is retried until it is answered. A destination that does not support version 2.0
 * gets 1.0. A request that is refused as a whole is divided until the samples are found that the destination does not take:
 * these are given up, and all others are sent.
 */
import type { DestinationTarget } from "../../model/forwarding/destination.ts";
import { snappy } from "../../program/deferred-libraries.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus, RefusedSample } from "../sending/destination-status.ts";
import { untilSent } from "../sending/retries.ts";
import { SendFailure } from "../sending/send-failure.ts";
import type { OutputMetadata } from "./output-series.ts";
import type { Points } from "./points.ts";
import { type EncodeRequest, encoderOf } from "./write-request.ts";

type RemoteWriteTarget = Extract<DestinationTarget, { type: "remote_write" }>;

/** Metadata is sent again after this time, in case the destination has lost it. */
const METADATA_INTERVAL_MS = 3_600_000;
/** Refused requests while one is divided. A destination that takes nothing of it must not get thousands of requests. */
const REFUSALS_MAX = 500;
/** Samples that are reported one by one. */
const REPORTED_MAX = 20;

const TYPES = {
  1: "application/x-protobuf",
  2: "application/x-protobuf;proto=io.prometheus.write.v2.Request",
} as const;

interface RemoteWriteSenderParts {
  readonly target: RemoteWriteTarget;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
  readonly now: () => number;
}

/** What one call of `send` has met. */
interface Division {
  refusals: number;
  readonly reported: RefusedSample[];
  dropped: number;
}

export class RemoteWriteSender {
  readonly #parts: RemoteWriteSenderParts;
  readonly #encoders: Readonly<Record<1 | 2, EncodeRequest>> = { 1: encoderOf(1), 2: encoderOf(2) };
  #version: 1 | 2;
  readonly #described = new WeakMap<OutputMetadata, number>();

  constructor(parts: RemoteWriteSenderParts) {
    this.#parts = parts;
    this.#version = parts.target.version;
  }

  /** The version that the destination is known to support. */
  get version(): 1 | 2 {
    return this.#version;
  }

  /** Resolves when each sample was taken or given up. Rejects with the reason of `stop`. */
  async send(points: Points, stop: AbortSignal): Promise<void> {
    const { samplesPerRequest } = this.#parts.target;
    for (let from = 0; from < points.length; from += samplesPerRequest) {
      const division: Division = { refusals: 0, reported: [], dropped: 0 };
      await this.#sendRange(points, from, Math.min(from + samplesPerRequest, points.length), division, stop);
      this.#parts.status.dropped("refused", division.dropped, division.reported);
    }
  }

  async #sendRange(
    points: Points,
    from: number,
    to: number,
    division: Division,
    stop: AbortSignal,
  ): Promise<void> {
    const refusal = await this.#sendOnce(points, from, to, stop);
    if (refusal === undefined) return;
    division.refusals++;
    if (to - from === 1 || division.refusals > REFUSALS_MAX) {
      division.dropped += to - from;
      for (let at = from; at < to && division.reported.length < REPORTED_MAX; at++)
        division.reported.push(refusedSample(points, at, refusal));
      return;
    }
    const middle = middleOf(points, from, to);
    await this.#sendRange(points, from, middle, division, stop);
    await this.#sendRange(points, middle, to, division, stop);
  }

  /** Sends one request until it is answered. Returns the reason if it was refused. */
  async #sendOnce(points: Points, from: number, to: number, stop: AbortSignal): Promise<string | undefined> {
    const { target, status, bandwidth } = this.#parts;
    for (;;) {
      const version = this.#version;
      const metadata = version === 1 ? this.#undescribed(points, from, to) : [];
      const message = this.#encoders[version](points, from, to, metadata);
      const body = await compressed(message, target.compression);
      await bandwidth.take(body.length, stop);
      const beginMs = performance.now();
      const answer = await untilSent(
        async () => {
          const headers = {
            "content-type": TYPES[version],
            "content-encoding": target.compression,
            "x-prometheus-remote-write-version": version === 1 ? "0.1.0" : "2.0.0",
          };
          return await post(target, { headers, body }, stop);
        },
        { stop, onFailure: status.failed },
      );
      const isTaken = answer.status >= 200 && answer.status < 300;
      if (version === 2 && (answer.status === 415 || (isTaken && !hasCounts(answer.headers)))) {
        // A server of version 1.0 may also answer 2xx to a message that it does not understand.
        this.#version = 1;
        continue;
      }
      if (answer.status === 415)
        throw new SendFailure(`the destination does not support remote_write${reasonText(answer.text)}`);
      if (!isTaken) return `the destination answered ${answer.status}${reasonText(answer.text)}`;
      const nowMs = this.#parts.now();
      for (const each of metadata) this.#described.set(each, nowMs);
      const written = version === 2 ? Number(answer.headers.get(WRITTEN)) : to - from;
      status.sent(Math.min(written, to - from), body.length, (performance.now() - beginMs) / 1_000);
      status.dropped("unwritten", Math.max(0, to - from - written));
      return undefined;
    }
  }

  /** The metadata of the families that the destination may not know. */
  #undescribed({ series }: Points, from: number, to: number): OutputMetadata[] {
    const since = this.#parts.now() - METADATA_INTERVAL_MS;
    const found = new Set<OutputMetadata>();
    for (let at = from; at < to; at++) {
      const { metadata } = series[at]!;
      if (
        series[at] !== series[at - 1] &&
        (this.#described.get(metadata) ?? Number.NEGATIVE_INFINITY) < since
      )
        found.add(metadata);
    }
    return [...found];
  }
}

const WRITTEN = "x-prometheus-remote-write-samples-written";

function hasCounts(headers: Headers): boolean {
  return headers.has(WRITTEN);
}

/** A copy: the next message is written to the same memory. */
async function compressed(
  message: Uint8Array<ArrayBuffer>,
  compression: RemoteWriteTarget["compression"],
): Promise<Uint8Array<ArrayBuffer>> {
  if (compression === "zstd") return (await Bun.zstdCompress(message.slice())) as Uint8Array<ArrayBuffer>;
  return snappy().compress(message) as Uint8Array<ArrayBuffer>;
}

/** Where a refused range is divided: between two series if it has several. */
function middleOf({ series }: Points, from: number, to: number): number {
  const middle = (from + to) >>> 1;
  for (let at = middle; at < to; at++) if (series[at] !== series[at - 1]) return at;
  for (let at = middle; at > from; at--) if (series[at] !== series[at - 1]) return at;
  return middle;
}

function refusedSample({ series, ms, value, stale }: Points, at: number, reason: string): RefusedSample {
  const { __name__: metric = "", ...labels } = Object.fromEntries(series[at]!.labels);
  const sample = { metric, labels, timestamp: ms[at], value: stale[at] === 1 ? "stale" : value[at] };
  return { metric, labels, reason, payload: JSON.stringify(sample) };
}
