/** Sends the samples of gauges and cumulative series by remote_write, and the values of events if that is asked for. */
import type { Series } from "../../model/sample.ts";
import type { ForwardStore } from "../outbox/stored-rows-reader.ts";
import { readRows } from "../outbox/stored-rows-reader.ts";
import type { OutputNames } from "../remote-write/output-series.ts";
import { PointCollector } from "../remote-write/points.ts";
import type { RemoteWriteSender } from "../remote-write/remote-write-sender.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import type { RowSink, SentRows } from "./row-lanes.ts";

interface SampleSinkParts {
  readonly store: ForwardStore;
  readonly seriesById: (seriesId: number) => Series | undefined;
  readonly names: OutputNames;
  readonly sender: Pick<RemoteWriteSender, "send">;
  /** Rows of a day that is being dropped have no series any more. */
  readonly status: Pick<DestinationStatus, "dropped">;
  readonly shards: number;
  readonly samplesPerRequest: number;
  readonly rawEvents: boolean;
}

export class SampleSink implements RowSink {
  readonly #parts: SampleSinkParts;

  constructor(parts: SampleSinkParts) {
    this.#parts = parts;
  }

  get rowsMax(): number {
    return this.#parts.samplesPerRequest * this.#parts.shards;
  }

  async send({ day, range }: SentRows, stop: AbortSignal): Promise<void> {
    const { store, seriesById, names, sender, status, shards, rawEvents } = this.#parts;
    const points = new PointCollector();
    let unknown = 0;
    await readRows(store, day, range, ({ length, seriesId, timestampUs, value, isStale }) => {
      for (let row = 0; row < length; row++) {
        const series = seriesById(seriesId[row]!);
        if (series === undefined) {
          unknown++;
          continue;
        }
        const { kind } = series.metric;
        if (!rawEvents && (kind === "observation" || kind === "delta")) continue;
        const output = names.raw(series);
        if (output === undefined) continue;
        points.add(output, Math.floor(timestampUs[row]! / 1_000), value[row]!, isStale(row));
      }
    });
    status.dropped("retention", unknown);
    if (points.length === 0) return;
    await Promise.all(points.take(shards).map((part) => sender.send(part, stop)));
  }
}
