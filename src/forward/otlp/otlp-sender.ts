/**
 * Sends data points by OTLP/HTTP with protobuf (https://opentelemetry.io/docs/specs/otlp/#otlphttp). A request is repeated after
 * 429, 502, 503 and 504, and while there is no answer. It is divided after 400 and 413. Points that a destination rejects as a
 * part of a request are counted with its reason: it does not say which ones they are.
 */
import type { DestinationTarget } from "../../model/forwarding/destination.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { compressedBody } from "../sending/body-compression.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus, RefusedSample } from "../sending/destination-status.ts";
import { type Refusal, sendDivided } from "../sending/divided-request.ts";
import { untilSent } from "../sending/retries.ts";
import { type OtlpPoint, OtlpRequestEncoder } from "./otlp-request.ts";
import { readPartialSuccess } from "./partial-success.ts";

type OtlpTarget = Extract<DestinationTarget, { type: "otlp" }>;

/**
 * The four of the specification, and what a person can mend while samples wait in the store. No other status may be repeated.
 */
const TEMPORARY = new Set([429, 502, 503, 504, 401, 403, 404, 405, 407, 408]);

interface OtlpSenderParts {
  readonly target: OtlpTarget;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
}

export class OtlpSender {
  readonly #parts: OtlpSenderParts;
  readonly #encoder = new OtlpRequestEncoder();

  constructor(parts: OtlpSenderParts) {
    this.#parts = parts;
  }

  /** Resolves when each point was taken or given up. Rejects with the reason of `stop`. Points of a series stay in order. */
  async send(points: readonly OtlpPoint[], stop: AbortSignal): Promise<void> {
    const { target } = this.#parts;
    if (points.length === 0) return;
    const shards = Math.min(target.shards, Math.ceil(points.length / target.samplesPerRequest));
    const parts = Array.from({ length: shards }, (): OtlpPoint[] => []);
    for (const point of points) parts[point.series.hash % shards]!.push(point);
    await Promise.all(parts.map((part) => this.#sendPart(part, stop)));
  }

  async #sendPart(points: readonly OtlpPoint[], stop: AbortSignal): Promise<void> {
    const { target, status } = this.#parts;
    for (let begin = 0; begin < points.length; begin += target.samplesPerRequest) {
      await sendDivided(
        Math.min(target.samplesPerRequest, points.length - begin),
        {
          send: async (from, to) => await this.#sendOnce(points, begin + from, begin + to, stop),
          describe: (at, reason) => refusedPoint(points[begin + at]!, reason),
        },
        status,
      );
    }
  }

  async #sendOnce(
    points: readonly OtlpPoint[],
    from: number,
    to: number,
    stop: AbortSignal,
  ): Promise<Refusal | undefined> {
    const { target, status, bandwidth } = this.#parts;
    const { body, headers } = await compressedBody(
      this.#encoder.encode(points, from, to),
      target.compression,
    );
    await bandwidth.take(body.length, stop);
    const beginMs = performance.now();
    const request = {
      headers: { ...headers, "content-type": "application/x-protobuf" },
      body,
      isTemporary: (code: number) => TEMPORARY.has(code) || (code >= 300 && code < 400),
    };
    const answer = await untilSent(() => post(target, request, stop), { stop, onFailure: status.failed });
    if (answer.status < 200 || answer.status >= 300)
      return {
        reason: `the destination answered ${answer.status}${reasonText(answer)}`,
        // Its fault, and not that of a part of the request.
        isFinal: answer.status >= 500,
      };
    const { rejected, message } = readPartialSuccess(answer.bytes, answer.headers.get("content-type"));
    const refused = Math.min(Math.max(rejected, 0), to - from);
    status.sent(to - from - refused, body.length, (performance.now() - beginMs) / 1_000);
    status.dropped(
      "rejected",
      refused,
      [],
      `the destination rejected a part of a request${reasonText(answer, message)}`,
    );
    return undefined;
  }
}

function refusedPoint({ series, us, value, histogram }: OtlpPoint, reason: string): RefusedSample {
  const { __name__: metric = "", ...labels } = Object.fromEntries(series.labels);
  const of =
    histogram === undefined ? { value: value ?? "stale" } : { count: histogram.count, sum: histogram.sum };
  return {
    metric,
    labels,
    reason,
    payload: JSON.stringify({ metric, labels, timestamp: us / 1_000, ...of }),
  };
}
