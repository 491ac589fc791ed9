/**
 * Sends samples to Datadog's endpoint of series, version 2 (https://docs.datadoghq.com/api/latest/metrics/#submit-metrics).
 * Every sample is a gauge, running totals too: Datadog keeps one value per series and second, so increments of one second that
 * arrive in two requests would replace each other, and a repetition is stored once. `monotonic_diff` makes increments of them.
 */
import type { DestinationTarget } from "../../model/forwarding/destination.ts";
import type { Points } from "../remote-write/points.ts";
import { middleOf, refusedSample } from "../remote-write/remote-write-sender.ts";
import type { OutputSeries } from "../remote-write/output-series.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { compressedBody } from "../sending/body-compression.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import { type Refusal, sendDivided } from "../sending/divided-request.ts";
import { untilSent } from "../sending/retries.ts";
import type { PointsSender } from "../streams/sample-sink.ts";

/** The number of the type "gauge". */
const GAUGE = 3;

/** Samples that are reported one by one. */
const REPORTED_MAX = 20;
const NOT_FINITE = "Datadog takes finite numbers only";

interface DatadogSeriesSenderParts {
  readonly target: Extract<DestinationTarget, { type: "datadog" }>;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
}

/** What a series has beside its points. */
interface SeriesHeader {
  readonly metric: string;
  readonly type: number;
  readonly unit?: string;
  readonly tags: readonly string[];
  readonly resources?: readonly object[];
}

export class DatadogSeriesSender implements PointsSender {
  readonly #parts: DatadogSeriesSenderParts;
  readonly #headers = new WeakMap<OutputSeries, SeriesHeader>();

  constructor(parts: DatadogSeriesSenderParts) {
    this.#parts = parts;
  }

  async send(points: Points, stop: AbortSignal): Promise<void> {
    const { target, status } = this.#parts;
    for (let begin = 0; begin < points.length; begin += target.samplesPerRequest) {
      await sendDivided(
        Math.min(target.samplesPerRequest, points.length - begin),
        {
          send: async (from, to) => await this.#sendOnce(points, begin + from, begin + to, stop),
          middleOf: (from, to) => middleOf(points, begin + from, begin + to) - begin,
          describe: (at, reason) => refusedSample(points, begin + at, reason),
        },
        status,
      );
    }
  }

  async #sendOnce(points: Points, from: number, to: number, stop: AbortSignal): Promise<Refusal | undefined> {
    const { target, status, bandwidth } = this.#parts;
    const unsendable = unsendableOf(points, from, to);
    const giveUp = () => {
      const first = unsendable.slice(0, REPORTED_MAX).map((at) => refusedSample(points, at, NOT_FINITE));
      status.dropped("refused", unsendable.length, first);
    };
    const { text, replaced } = this.#textOf(points, from, to);
    if (text === undefined) {
      giveUp();
      return undefined;
    }
    const { body, headers } = await compressedBody(text, target.compression);
    await bandwidth.take(body.length, stop);
    const beginMs = performance.now();
    const request = { headers: { ...headers, "content-type": "application/json" }, body };
    const answer = await untilSent(() => post(target, request, stop), { stop, onFailure: status.failed });
    if (answer.status < 200 || answer.status >= 300)
      return { reason: `the destination answered ${answer.status}${reasonText(answer)}` };
    const errors = errorsOf(answer.text);
    // Which samples it means is found by division. Those that it stores twice replace each other.
    if (errors.length > 0)
      return { reason: `the destination answered with an error${reasonText(answer, errors.join("; "))}` };
    status.sent(to - from - unsendable.length - replaced, body.length, (performance.now() - beginMs) / 1_000);
    status.replaced(replaced);
    giveUp();
    return undefined;
  }

  /**
   * The request, and how many samples are not in it because a later one has their second. Undefined if nothing of the range can be
   * sent: there are no stale markers and no NaN in Datadog.
   */
  #textOf(
    { series, ms, value, stale }: Points,
    from: number,
    to: number,
  ): { text?: string; replaced: number } {
    let replaced = 0;
    const all: object[] = [];
    for (let at = from; at < to; ) {
      const of = series[at]!;
      const points: { timestamp: number; value: number }[] = [];
      for (; at < to && series[at] === of; at++) {
        if (stale[at] === 1 || !Number.isFinite(value[at])) continue;
        const timestamp = Math.floor(ms[at]! / 1_000);
        // The last value of a second counts.
        if (points.at(-1)?.timestamp === timestamp) {
          points.pop();
          replaced++;
        }
        points.push({ timestamp, value: value[at]! });
      }
      if (points.length > 0) all.push({ ...this.#headerOf(of), points });
    }
    return all.length === 0 ? { replaced } : { text: JSON.stringify({ series: all }), replaced };
  }

  #headerOf(series: OutputSeries): SeriesHeader {
    const known = this.#headers.get(series);
    if (known !== undefined) return known;
    const labels = new Map(series.labels);
    const host = labels.get("host") ?? labels.get("instance");
    const { unit } = series.metadata;
    const header = {
      metric: labels.get("__name__")!,
      type: GAUGE,
      ...(unit === "" ? {} : { unit }),
      tags: [...labels]
        .filter(([name]) => name !== "__name__" && name !== "host")
        .map(([name, text]) => `${name}:${text}`),
      ...(host === undefined ? {} : { resources: [{ type: "host", name: host }] }),
    };
    this.#headers.set(series, header);
    return header;
  }
}

/** The samples of a range that JSON cannot express. A stale marker is no sample. */
function unsendableOf({ value, stale }: Points, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = from; at < to; at++) if (stale[at] !== 1 && !Number.isFinite(value[at])) found.push(at);
  return found;
}

/** The errors of an answer. */
function errorsOf(text: string): string[] {
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown };
    return Array.isArray(errors) ? errors.map(String) : [];
  } catch {
    return [];
  }
}
