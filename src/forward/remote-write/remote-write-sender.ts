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
import { type Refusal, sendDivided } from "../sending/divided-request.ts";
import { untilSent } from "../sending/retries.ts";
import { SendFailure } from "../sending/send-failure.ts";
import type { OutputMetadata } from "./output-series.ts";
import type { Points } from "./points.ts";
import { type EncodeRequest, encoderOf } from "./write-request.ts";

type RemoteWriteTarget = Extract<DestinationTarget, { type: "remote_write" }>;

/** Metadata is sent again after this time, in case the destination has lost it. */
const METADATA_INTERVAL_MS = 3_600_000;
/** What Prometheus, Mimir and Thanos say of samples that are not newer than the last one of their series. */
const KNOWN = /out.of.order|duplicate/i;

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

export class RemoteWriteSender {
  readonly #parts: RemoteWriteSenderParts;
  readonly #encoders: Readonly<Record<1 | 2, EncodeRequest>> = { 1: encoderOf(1), 2: encoderOf(2) };
  #version: 1 | 2;
  #compression: RemoteWriteTarget["compression"];
  /** Whether the destination has taken a request with this compression. */
  #isCompressionKnown = false;
  readonly #described = new WeakMap<OutputMetadata, number>();

  constructor(parts: RemoteWriteSenderParts) {
    this.#parts = parts;
    this.#version = parts.target.version;
    this.#compression = parts.target.compression;
  }

  /** The version that the destination is known to support. */
  get version(): 1 | 2 {
    return this.#version;
  }

  /** Resolves when each sample was taken or given up. Rejects with the reason of `stop`. */
  async send(points: Points, stop: AbortSignal): Promise<void> {
    const { target, status } = this.#parts;
    for (let begin = 0; begin < points.length; begin += target.samplesPerRequest) {
      const length = Math.min(target.samplesPerRequest, points.length - begin);
      await sendDivided(
        length,
        {
          send: async (from, to) => await this.#sendOnce(points, begin + from, begin + to, stop),
          middleOf: (from, to) => middleOf(points, begin + from, begin + to) - begin,
          describe: (at, reason) => refusedSample(points, begin + at, reason),
        },
        status,
      );
    }
  }

  /** Sends one request until it is answered. Returns the reason if it was refused. */
  async #sendOnce(points: Points, from: number, to: number, stop: AbortSignal): Promise<Refusal | undefined> {
    const { target, status, bandwidth } = this.#parts;
    for (;;) {
      const version = this.#version;
      const compression = this.#compression;
      const metadata = version === 1 ? this.#undescribed(points, from, to) : [];
      const message = this.#encoders[version](points, from, to, metadata);
      const body = await compressed(message, compression);
      await bandwidth.take(body.length, stop);
      const beginMs = performance.now();
      const answer = await untilSent(
        async () => {
          const headers = {
            "content-type": TYPES[version],
            "content-encoding": compression,
            "x-prometheus-remote-write-version": version === 1 ? "0.1.0" : "2.0.0",
          };
          return await post(target, { headers, body }, stop);
        },
        { stop, onFailure: status.failed },
      );
      const isTaken = answer.status >= 200 && answer.status < 300;
      if (isTaken) this.#isCompressionKnown = true;
      else if (compression === "zstd" && !this.#isCompressionKnown) {
        // A server that knows snappy only answers 400 to what it cannot decompress.
        this.#compression = "snappy";
        continue;
      }
      if (version === 2 && (answer.status === 415 || (isTaken && !hasCounts(answer.headers)))) {
        // A server of version 1.0 may also answer 2xx to a message that it does not understand.
        this.#version = 1;
        continue;
      }
      if (answer.status === 415)
        throw new SendFailure(`the destination does not support remote_write${reasonText(answer)}`);
      if (!isTaken)
        return {
          reason: `the destination answered ${answer.status}${reasonText(answer)}`,
          isKnown: KNOWN.test(answer.text),
        };
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
export function middleOf({ series }: Points, from: number, to: number): number {
  const middle = (from + to) >>> 1;
  for (let at = middle; at < to; at++) if (series[at] !== series[at - 1]) return at;
  for (let at = middle; at > from; at--) if (series[at] !== series[at - 1]) return at;
  return middle;
}

export function refusedSample(
  { series, ms, value, stale }: Points,
  at: number,
  reason: string,
): RefusedSample {
  const { __name__: metric = "", ...labels } = Object.fromEntries(series[at]!.labels);
  const sample = { metric, labels, timestamp: ms[at], value: stale[at] === 1 ? "stale" : value[at] };
  return { metric, labels, reason, payload: JSON.stringify(sample) };
}
