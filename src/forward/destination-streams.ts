/** What a destination gets, by its type: the rows of the store, and the counters of events if they do not go as rows. */
import type { Destination } from "../model/forwarding/destination.ts";
import { DatadogLogsSink } from "./datadog/datadog-logs-sink.ts";
import { DatadogSeriesSender } from "./datadog/datadog-series-sender.ts";
import type { ForwarderParts } from "./destination-forwarder.ts";
import { BulkSink } from "./elasticsearch/bulk-sink.ts";
import type { CounterStreamParts } from "./event-counters/counter-stream.ts";
import { counterDataPoints, OtlpSink } from "./otlp/otlp-points.ts";
import { OtlpSender } from "./otlp/otlp-sender.ts";
import { OtlpNames } from "./otlp/otlp-series.ts";
import { addCounterPoints } from "./remote-write/counter-points.ts";
import { OutputNames } from "./remote-write/output-series.ts";
import { PointCollector } from "./remote-write/points.ts";
import { RemoteWriteSender } from "./remote-write/remote-write-sender.ts";
import { SentExemplars } from "./remote-write/sent-exemplars.ts";
import { Bandwidth } from "./sending/bandwidth.ts";
import type { DestinationStatus } from "./sending/destination-status.ts";
import { NdjsonSink } from "./streams/ndjson-sink.ts";
import { EventLines } from "./streams/row-event-lines.ts";
import type { RowSink } from "./streams/row-lanes.ts";
import { type PointsSender, SampleSink } from "./streams/sample-sink.ts";
import { WeirSink } from "./streams/weir-sink.ts";

interface DestinationStreams {
  /** The name of the stream of rows in the outbox. */
  readonly stream: "samples" | "events";
  readonly sink: RowSink;
  /** The order of its rows, if it can have only one. */
  readonly order?: Destination["order"];
  /** Sends the counters of events. */
  readonly sendCounters?: CounterStreamParts["send"];
}

export function streamsOf(
  destination: Destination,
  status: DestinationStatus,
  parts: ForwarderParts,
): DestinationStreams {
  const { target } = destination;
  const bandwidth = new Bandwidth(destination.bytesPerSecond);
  const sending = { status, bandwidth };
  /** Samples and counters with the names of Prometheus. */
  const series = (
    sender: PointsSender,
    options: { shards: number; samplesPerRequest: number; rawEvents: boolean; hasExemplars: boolean },
  ): DestinationStreams => {
    const names = new OutputNames(destination);
    const exemplars = options.hasExemplars ? new SentExemplars({ ...parts, names }) : undefined;
    const { shards, samplesPerRequest } = options;
    return {
      stream: "samples",
      sink: new SampleSink({ ...parts, ...options, names, sender, status, exemplars }),
      async sendCounters(points, stop) {
        const collector = new PointCollector();
        addCounterPoints(collector, names, points);
        if (collector.length === 0) return;
        exemplars?.addEvents(collector, points);
        const count = Math.min(shards, Math.ceil(collector.length / samplesPerRequest));
        await Promise.all(collector.take(count).map((part) => sender.send(part, stop)));
      },
    };
  };
  const lines = (isPlain: boolean) => new EventLines({ ...parts, destination, status, isPlain });
  switch (target.type) {
    case "remote_write":
      return series(new RemoteWriteSender({ target, ...sending, now: parts.now }), {
        ...target,
        hasExemplars: true,
      });
    case "otlp": {
      const names = new OtlpNames(destination, target.resourceAttributes);
      const sender = new OtlpSender({ target, ...sending });
      return {
        stream: "samples",
        sink: new OtlpSink({ ...parts, ...target, names, sender, status }),
        sendCounters: async (points, stop) =>
          await sender.send(counterDataPoints(points, { ...parts, names }), stop),
      };
    }
    case "weir":
      return {
        stream: "events",
        sink: new WeirSink({ destination, target, lines: lines(false), ...sending }),
      };
    case "datadog":
      if (target.as === "series")
        return series(new DatadogSeriesSender({ target, ...sending }), {
          ...{ ...target, rawEvents: false, hasExemplars: false },
        });
      return { stream: "events", sink: new DatadogLogsSink({ target, lines: lines(true), ...sending }) };
    case "elasticsearch":
      return { stream: "events", sink: new BulkSink({ target, lines: lines(true), ...sending }) };
    case "ndjson":
      return {
        stream: "events",
        sink: new NdjsonSink({ path: target.path, lines: lines(false), status }),
        // Both lanes would append to one file.
        order: "oldest-first",
      };
  }
}
