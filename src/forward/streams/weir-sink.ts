/**
 * Sends rows as events to another gateway, which stores each exactly once: a request has an Idempotency-Key that is noted in
 * the outbox before the request is sent. After a kill, the same rows are sent again with the same key. If the hub has stored
 * them, it answers with the answer of the first time, or with 422 if metadata has changed the text since then.
 */
import type { Destination, DestinationTarget } from "../../model/forwarding/destination.ts";
import type { RowRange } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus, RefusedSample } from "../sending/destination-status.ts";
import { untilSent } from "../sending/retries.ts";
import { SendFailure } from "../sending/send-failure.ts";
import type { EventLines } from "./row-event-lines.ts";
import { type RowSink, RowsTooMany, type SentRows } from "./row-lanes.ts";

/** Rejected events that are reported one by one. */
const REPORTED_MAX = 20;

/** In the reason of a gateway that has another value of the series and time (src/ingest/admission/duplicates.ts). */
const OTHER_VALUE = "is already stored for this series and time";
const SAME_SERIES = "; if another gateway sends the same series, give each gateway externalLabels of its own";

interface WeirSinkParts {
  readonly destination: Pick<Destination, "name">;
  readonly target: Extract<DestinationTarget, { type: "weir" }>;
  readonly lines: Pick<EventLines, "of">;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
}

/** After a request that the hub took, the next one may have this many times as many rows, up to the number of the settings. */
const GROWTH = 1.25;

/** The answer of a gateway to a push. */
interface PushAnswer {
  readonly accepted?: number;
  readonly rejected?: number;
  readonly errors?: readonly { readonly index: number; readonly reason: string }[];
}

export class WeirSink implements RowSink {
  readonly #parts: WeirSinkParts;
  #rowsMax: number;

  constructor(parts: WeirSinkParts) {
    this.#parts = parts;
    this.#rowsMax = parts.target.samplesPerRequest;
  }

  get rowsMax(): number {
    return this.#rowsMax;
  }

  /** With the ids of the rows as they are now: a deletion can renumber them before they are sent again with this key. */
  readonly newKey = (range: RowRange): string => `${range.join("-")}/${crypto.randomUUID()}`;

  async send({ day, range, key, requireCurrent }: SentRows, stop: AbortSignal): Promise<void> {
    const { destination, target, lines, status, bandwidth } = this.#parts;
    const events = await lines.of(day, range);
    requireCurrent();
    if (events.lines === 0) return;
    const body = (await Bun.zstdCompress(events.text)) as Uint8Array<ArrayBuffer>;
    const headers = {
      "content-type": "application/x-ndjson",
      "content-encoding": "zstd",
      "idempotency-key": `${destination.name}/${dateText(day.day)}/${key}`,
    };
    await bandwidth.take(body.length, stop);
    const beginMs = performance.now();
    const answer = await untilSent(() => post(target, { headers, body }, stop), {
      stop,
      onFailure: status.failed,
    });
    const seconds = (performance.now() - beginMs) / 1_000;
    // The key was used with another body: the hub has stored these rows.
    if (answer.status === 422) return status.sent(events.lines, body.length, seconds);
    // The hub, or a proxy before it, has stored nothing of a body that is too large.
    if (answer.status === 413) {
      const rows = range[1] - range[0];
      if (rows === 1) {
        const reason = `413${reasonText(answer)}`;
        return status.dropped("refused", 1, refusedEvents(events.text, [{ index: 0, reason }]));
      }
      this.#rowsMax = Math.ceil(rows / 2);
      throw new RowsTooMany();
    }
    const result = parse(answer.text);
    if (result === undefined) throw new SendFailure(`the hub answered ${answer.status}${reasonText(answer)}`);
    this.#rowsMax = Math.min(target.samplesPerRequest, Math.ceil(this.#rowsMax * GROWTH));
    const { rejected = 0, errors = [] } = result;
    status.sent(events.lines - rejected, body.length, seconds);
    status.dropped("refused", rejected, refusedEvents(events.text, errors));
  }
}

/** What a gateway answers to a push, with 200, or with 400 if it accepts nothing of it. */
function parse(text: string): PushAnswer | undefined {
  try {
    const answer = JSON.parse(text) as PushAnswer;
    return typeof answer.accepted === "number" ? answer : undefined;
  } catch {
    return undefined;
  }
}

function refusedEvents(text: string, errors: NonNullable<PushAnswer["errors"]>): RefusedSample[] {
  if (errors.length === 0) return [];
  const lines = text.split("\n");
  return errors.slice(0, REPORTED_MAX).map(({ index, reason }) => {
    const payload = lines[index] ?? "";
    const { metric_name: metric = "", tags = {} } = JSON.parse(payload || "{}") as {
      metric_name?: string;
      tags?: Record<string, string>;
    };
    const hint = reason.includes(OTHER_VALUE) ? SAME_SERIES : "";
    return { metric, labels: tags, reason: `the hub rejected it: ${reason}${hint}`, payload };
  });
}
