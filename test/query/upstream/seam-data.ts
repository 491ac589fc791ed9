/**
 * Four days of samples, of which a gateway has the end and an upstream the beginning and a part of the end. No sample is on a
 * whole minute, so that none is on the edge of a range. Values are multiples of an eighth, so that sums are exact in any order.
 */
import snappyjs from "snappyjs";
import { STALE_STAND_IN, withStaleMarkers } from "../../receive/remote-write/decoded.ts";
import { encodeV1, type SampleMessage } from "../../receive/remote-write/messages.ts";

const HOUR_MS = 3_600_000;
/** 2024-10-01 00:00 UTC. */
export const BEGIN_MS = Date.UTC(2024, 9, 1);
/** 2024-10-04 12:00 UTC. */
export const END_MS = BEGIN_MS + 84 * HOUR_MS;
/** The first sample of the gateway: within a day. */
export const SEAM_MS = BEGIN_MS + 58 * HOUR_MS;
/** The last sample of the upstream. */
export const OLDER_END_MS = BEGIN_MS + 70 * HOUR_MS;
const INTERVAL_MS = 120_000;

export interface SeamSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: readonly SampleMessage[];
}

/** A value at a step, "stale" for a marker, or nothing. */
type Value = (step: number) => number | "stale" | undefined;

const counter: Value = (step) => (step % 700) * 3 + Math.floor(step / 7);
const VALUES: readonly (readonly [labels: Record<string, string>, value: Value])[] = [
  [{ __name__: "requests_total", job: "api", instance: "a" }, counter],
  [{ __name__: "requests_total", job: "api", instance: "b" }, (step) => step * 2],
  [{ __name__: "queue_depth", job: "api" }, (step) => ((step * 37) % 101) / 8],
  // It ends with a marker for some hours, again and again.
  [
    { __name__: "queue_depth", job: "web" },
    (step) => (step % 400 < 200 ? step / 8 : step % 400 === 200 ? "stale" : undefined),
  ],
  // Only the upstream has it.
  [{ __name__: "queue_depth", job: "ended" }, (step) => (step < 300 ? step : undefined)],
  [{ __name__: "only_there", job: "api" }, (step) => step / 4],
  [
    { __name__: "limits", job: "api" },
    (step) => [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1][step % 3],
  ],
];

/** The series with their samples from one time to another. */
export function seamSeries(fromMs: number, toMs: number): SeamSeries[] {
  const steps = (END_MS - BEGIN_MS) / INTERVAL_MS;
  return VALUES.map(([labels, value], at) => ({
    labels,
    samples: Array.from({ length: steps }, (_, step) => step).flatMap((step) => {
      const timestamp = BEGIN_MS + step * INTERVAL_MS + 137 + at * 1_000;
      const sample = value(step);
      if (sample === undefined || timestamp < fromMs || timestamp >= toMs) return [];
      return [{ timestamp, value: sample === "stale" ? STALE_STAND_IN : sample }];
    }),
  }));
}

/** Sends series by remote_write in the order of time, as a sender would: Prometheus takes no older ones. */
export async function writeSeries(
  send: (init: RequestInit) => Promise<Response>,
  series: readonly SeamSeries[],
): Promise<void> {
  for (let fromMs = BEGIN_MS; fromMs < END_MS; fromMs += HOUR_MS) {
    const part = series
      .map(({ labels, samples }) => ({
        labels: Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)),
        samples: samples.filter(({ timestamp = 0 }) => timestamp >= fromMs && timestamp < fromMs + HOUR_MS),
      }))
      .filter(({ samples }) => samples.length > 0);
    if (part.length === 0) continue;
    const answer = await send({
      method: "POST",
      body: new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV1(part)))),
      headers: {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
      },
    });
    if (!answer.ok) throw new Error(`not loaded: ${answer.status} ${await answer.text()}`);
  }
}
