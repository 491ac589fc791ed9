/**
 * Sends each event to Datadog's endpoint of logs (https://docs.datadoghq.com/api/latest/logs/#send-logs), in the shape of the
 * metric files of workers, which Datadog reads as logs. Datadog knows no keys: a request without an answer is sent again, and
 * its events can be there twice.
 */
import type { DestinationTarget } from "../../model/forwarding/destination.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { compressedBody } from "../sending/body-compression.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus } from "../sending/destination-status.ts";
import { type Refusal, sendDivided } from "../sending/divided-request.ts";
import { untilSent } from "../sending/retries.ts";
import { type PlainEvent, plainLines, refusedLine } from "../streams/plain-events.ts";
import type { EventLines } from "../streams/row-event-lines.ts";
import type { RowSink, SentRows } from "../streams/row-lanes.ts";

interface DatadogLogsSinkParts {
  readonly target: Extract<DestinationTarget, { type: "datadog" }>;
  readonly lines: Pick<EventLines, "of">;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
}

export class DatadogLogsSink implements RowSink {
  readonly #parts: DatadogLogsSinkParts;

  constructor(parts: DatadogLogsSinkParts) {
    this.#parts = parts;
  }

  get rowsMax(): number {
    return this.#parts.target.samplesPerRequest;
  }

  async send({ day, range, requireCurrent }: SentRows, stop: AbortSignal): Promise<void> {
    const { lines, status } = this.#parts;
    const { text } = await lines.of(day, range);
    requireCurrent();
    const events = plainLines(text);
    await sendDivided(
      events.length,
      {
        send: async (from, to) => await this.#sendOnce(events.slice(from, to), stop),
        describe: (at, reason) => refusedLine(events[at]!, reason),
      },
      status,
    );
  }

  async #sendOnce(events: readonly string[], stop: AbortSignal): Promise<Refusal | undefined> {
    const { target, status, bandwidth } = this.#parts;
    const text = `[${events.map((line) => this.#logOf(line)).join(",")}]`;
    const { body, headers } = await compressedBody(text, target.compression);
    await bandwidth.take(body.length, stop);
    const beginMs = performance.now();
    const request = { headers: { ...headers, "content-type": "application/json" }, body };
    const answer = await untilSent(() => post(target, request, stop), { stop, onFailure: status.failed });
    if (answer.status < 200 || answer.status >= 300)
      return { reason: `the destination answered ${answer.status}${reasonText(answer)}` };
    status.sent(events.length, body.length, (performance.now() - beginMs) / 1_000);
    return undefined;
  }

  /** The event itself, with what Datadog reads of each log. */
  #logOf(line: string): string {
    const { source, service } = this.#parts.target;
    const { metric_name: name, value, tags } = JSON.parse(line) as PlainEvent;
    const host = tags.host ?? tags.instance;
    const more = JSON.stringify({
      ...{ ddsource: source, service, message: `${name} ${value}` },
      ...(host === undefined ? {} : { hostname: host }),
    });
    return `${line.slice(0, -1)},${more.slice(1)}`;
  }
}
