/** Makes data points of OTLP: of stored gauges and running totals, and of the counters and histograms of events. */
import type { Series } from "../../model/sample.ts";
import type { CounterPoint } from "../event-counters/counter-stream.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import { type ForwardStore, readRows } from "../outbox/stored-rows-reader.ts";
import type { RowSink, SentRows } from "../streams/row-lanes.ts";
import type { OtlpPoint } from "./otlp-request.ts";
import type { OtlpSender } from "./otlp-sender.ts";
import type { OtlpNames, OtlpSeries } from "./otlp-series.ts";

/** The rows of a row group of the engine. */
const ROW_GROUP_ROWS = 122_880;
/** Series of running totals whose start is remembered. */
const STARTS_MAX = 200_000;

/** What is known of a running total of a sender. */
interface Start {
  startUs: number;
  lastUs: number;
  lastValue: number;
}

/**
 * The starts of running totals. Senders do not say when they began. So the first point has its own time as start, which says
 * that the start is not known, and later ones have the same start
 * (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#cumulative-streams-handling-unknown-start-time). A total that
 * falls has begun again.
 */
class TotalStarts {
  readonly #starts = new Map<OtlpSeries, Start>();

  startOf(series: OtlpSeries, us: number, value: number): number | undefined {
    const known = this.#starts.get(series);
    if (known === undefined) {
      if (this.#starts.size >= STARTS_MAX) this.#starts.clear();
      this.#starts.set(series, { startUs: us, lastUs: us, lastValue: value });
      return us;
    }
    // A backlog comes after newer points.
    if (us < known.lastUs) return us >= known.startUs ? known.startUs : undefined;
    if (value < known.lastValue) known.startUs = us;
    known.lastUs = us;
    known.lastValue = value;
    return known.startUs;
  }
}

interface OtlpSinkParts {
  readonly store: ForwardStore;
  readonly seriesById: (seriesId: number) => Series | undefined;
  readonly names: OtlpNames;
  readonly sender: Pick<OtlpSender, "send">;
  /** Rows of a day that is being dropped have no series any more. */
  readonly status: Pick<DestinationStatus, "dropped">;
  readonly samplesPerRequest: number;
}

/** Sends the samples of gauges and cumulative series. */
export class OtlpSink implements RowSink {
  readonly #parts: OtlpSinkParts;
  readonly #starts = new TotalStarts();

  constructor(parts: OtlpSinkParts) {
    this.#parts = parts;
  }

  get rowsMax(): number {
    return Math.min(ROW_GROUP_ROWS, 16 * this.#parts.samplesPerRequest);
  }

  async send({ day, range, requireCurrent }: SentRows, stop: AbortSignal): Promise<void> {
    const { store, seriesById, names, sender, status } = this.#parts;
    const points: OtlpPoint[] = [];
    let unknown = 0;
    // By series: as it is sent, or null if it is not.
    const known = new Map<number, OtlpSeries | null>();
    await readRows(store, day, range, ({ length, seriesId, timestampUs, value, isStale }) => {
      for (let row = 0; row < length; row++) {
        const id = seriesId[row]!;
        let series = known.get(id);
        if (series === undefined) {
          const of = seriesById(id);
          if (of === undefined) {
            unknown++;
            continue;
          }
          const { kind } = of.metric;
          series = kind === "observation" || kind === "delta" ? null : (names.of(of) ?? null);
          known.set(id, series);
        }
        if (series === null) continue;
        const us = timestampUs[row]!;
        if (isStale(row)) points.push({ series, us });
        else if (series.metric.form === "gauge") points.push({ series, us, value: value[row]! });
        else
          points.push({
            series,
            us,
            value: value[row]!,
            startUs: this.#starts.startOf(series, us, value[row]!),
          });
      }
    });
    requireCurrent();
    status.dropped("retention", unknown);
    await sender.send(points, stop);
  }
}

/** What the points of events need of the running totals. */
export interface TotalsWithStart {
  total(seriesId: number): { readonly createdUs: number } | undefined;
}

/** The counters and histograms of events as data points. Their total was 0 one step before the first event. */
export function counterDataPoints(
  points: readonly CounterPoint[],
  { names, totals, stepMs }: { names: OtlpNames; totals: TotalsWithStart; stepMs: number },
): OtlpPoint[] {
  return points.flatMap(({ series, ms, count, sum, buckets }): OtlpPoint[] => {
    const of = names.of(series);
    if (of === undefined) return [];
    const us = ms * 1_000;
    const createdUs = totals.total(series.seriesId)?.createdUs;
    const stepUs = stepMs * 1_000;
    const startUs =
      createdUs === undefined ? undefined : Math.min(us, (Math.ceil(createdUs / stepUs) - 1) * stepUs);
    return [
      of.metric.form === "histogram"
        ? { series: of, us, startUs, histogram: { count, sum, buckets } }
        : { series: of, us, startUs, value: sum },
    ];
  });
}
