/**
 * Sends the samples of gauges and cumulative series to a destination that has Prometheus's series, and the values of events if
 * that is asked for.
 */
import type { Series } from "../../model/sample.ts";
import type { ForwardStore } from "../outbox/stored-rows-reader.ts";
import { readRows } from "../outbox/stored-rows-reader.ts";
import type { OutputNames, OutputSeries } from "../remote-write/output-series.ts";
import type { SentExemplars } from "../remote-write/sent-exemplars.ts";
import { PointCollector, type Points } from "../remote-write/points.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import type { RowSink, SentRows } from "./row-lanes.ts";

/** Sends samples of series. */
export interface PointsSender {
  /** Resolves when each sample was taken or given up. Rejects with the reason of `stop`. */
  send(points: Points, stop: AbortSignal): Promise<void>;
}

interface SampleSinkParts {
  readonly store: ForwardStore;
  readonly seriesById: (seriesId: number) => Series | undefined;
  readonly names: OutputNames;
  readonly sender: PointsSender;
  /** Rows of a day that is being dropped have no series any more. */
  readonly status: Pick<DestinationStatus, "dropped" | "replaced">;
  readonly shards: number;
  readonly samplesPerRequest: number;
  readonly rawEvents: boolean;
  /** Absent if the destination takes no exemplars. */
  readonly exemplars?: Pick<SentExemplars, "addStored">;
}

/** The rows of a row group of the engine: it is read as a whole, so smaller ranges would read it several times. */
const ROW_GROUP_ROWS = 122_880;
const NOT_SENT = -1;
const UNKNOWN = -2;

export class SampleSink implements RowSink {
  readonly #parts: SampleSinkParts;

  constructor(parts: SampleSinkParts) {
    this.#parts = parts;
  }

  get rowsMax(): number {
    return Math.min(ROW_GROUP_ROWS, 3 * this.#parts.samplesPerRequest * this.#parts.shards);
  }

  async send({ day, range, requireCurrent }: SentRows, stop: AbortSignal): Promise<void> {
    const { store, seriesById, names, sender, status, shards, samplesPerRequest, rawEvents } = this.#parts;
    const points = new PointCollector();
    let unknown = 0;
    let [fromUs, toUs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const outputs = new Map<number, OutputSeries>();
    // By series: its place, or one of these.
    const places = new Map<number, number>();
    const placeOf = (id: number) => {
      const series = seriesById(id);
      if (series === undefined) return UNKNOWN;
      const { kind } = series.metric;
      if (!rawEvents && (kind === "observation" || kind === "delta")) return NOT_SENT;
      const output = names.raw(series);
      if (output === undefined) return NOT_SENT;
      outputs.set(id, output);
      return points.placeOf(output);
    };
    await readRows(store, day, range, ({ length, seriesId, timestampUs, value, isStale }) => {
      for (let row = 0; row < length; row++) {
        const id = seriesId[row]!;
        let place = places.get(id);
        if (place === undefined) {
          place = placeOf(id);
          places.set(id, place);
        }
        if (place >= 0) {
          const us = timestampUs[row]!;
          if (us < fromUs) fromUs = us;
          if (us > toUs) toUs = us;
          points.add(place, Math.floor(us / 1_000), value[row]!, isStale(row));
        } else if (place === UNKNOWN) unknown++;
      }
    });
    requireCurrent();
    status.dropped("retention", unknown);
    if (points.length === 0) return;
    await this.#parts.exemplars?.addStored(points, (id) => outputs.get(id), { fromUs, toUs });
    const count = Math.min(shards, Math.ceil(points.length / samplesPerRequest));
    const parts = points.take(count);
    status.replaced(points.length - parts.reduce((sum, { length }) => sum + length, 0));
    await Promise.all(parts.map((part) => sender.send(part, stop)));
  }
}
