/**
 * Sends each event as a document to Elasticsearch or OpenSearch by `_bulk`, in the shape of the metric files of workers. Each
 * document has an id that is the same when it is sent again, and is only created, never replaced. So each event is there once.
 * Documents that are refused are given up one by one, and those for which there is no room are sent again.
 */
import type { DestinationTarget } from "../../model/forwarding/destination.ts";
import type { RowRange } from "../../model/records.ts";
import type { Bandwidth } from "../sending/bandwidth.ts";
import { compressedBody } from "../sending/body-compression.ts";
import { post, reasonText } from "../sending/destination-http.ts";
import type { DestinationStatus, RefusedSample } from "../sending/destination-status.ts";
import { type Refusal, sendDivided } from "../sending/divided-request.ts";
import { untilSent } from "../sending/retries.ts";
import { SendFailure } from "../sending/send-failure.ts";
import { plainLines, refusedLine, timeOfLine } from "../streams/plain-events.ts";
import type { EventLines } from "../streams/row-event-lines.ts";
import type { RowSink, SentRows } from "../streams/row-lanes.ts";
import { readBulkAnswer } from "./bulk-answer.ts";

/** Refused documents that are reported one by one. */
const REPORTED_MAX = 20;

interface BulkSinkParts {
  readonly target: Extract<DestinationTarget, { type: "elasticsearch" }>;
  readonly lines: Pick<EventLines, "of">;
  readonly status: DestinationStatus;
  readonly bandwidth: Bandwidth;
}

interface BulkDocument {
  readonly line: string;
  /** The line of the action, with the index and the id. */
  readonly action: string;
}

export class BulkSink implements RowSink {
  readonly #parts: BulkSinkParts;

  constructor(parts: BulkSinkParts) {
    this.#parts = parts;
  }

  get rowsMax(): number {
    return this.#parts.target.samplesPerRequest;
  }

  /** A part of the ids. It is noted before the rows are sent, so that it is the same after a kill. */
  readonly newKey = (_range: RowRange): string => crypto.randomUUID();

  async send({ day, range, key, requireCurrent }: SentRows, stop: AbortSignal): Promise<void> {
    const { lines, status } = this.#parts;
    const { text } = await lines.of(day, range);
    requireCurrent();
    const documents = this.#documentsOf(plainLines(text), key);
    await sendDivided(
      documents.length,
      {
        send: async (from, to) => await this.#sendAll(documents.slice(from, to), stop),
        describe: (at, reason) => refusedLine(documents[at]!.line, reason),
      },
      status,
    );
  }

  /**
   * An id is the hash of the key and of the event itself: a deletion of other events between two attempts does not change it.
   * Equal events of one request are numbered.
   */
  #documentsOf(lines: readonly string[], key: string): BulkDocument[] {
    const { index } = this.#parts.target;
    const seen = new Map<string, number>();
    return lines.map((line) => {
      const number = seen.get(line) ?? 0;
      seen.set(line, number + 1);
      const id = new Bun.CryptoHasher("sha256").update(`${key}\n${line}\n${number}`).digest("base64url");
      const date = new Date(timeOfLine(line)).toISOString().slice(0, 10).replaceAll("-", ".");
      const action = { create: { _index: index.replace("%{+YYYY.MM.dd}", date), _id: id.slice(0, 24) } };
      return { line, action: JSON.stringify(action) };
    });
  }

  /** Sends documents until each is stored or refused. Returns the reason if they are refused as a whole. */
  async #sendAll(documents: readonly BulkDocument[], stop: AbortSignal): Promise<Refusal | undefined> {
    const { target, status, bandwidth } = this.#parts;
    let left = documents;
    return await untilSent(
      async () => {
        const text = left.map(({ action, line }) => `${action}\n${line}\n`).join("");
        const { body, headers } = await compressedBody(text, target.compression);
        await bandwidth.take(body.length, stop);
        const beginMs = performance.now();
        const request = { headers: { ...headers, "content-type": "application/x-ndjson" }, body };
        const answer = await post(target, request, stop);
        if (answer.status < 200 || answer.status >= 300)
          return { reason: `the destination answered ${answer.status}${reasonText(answer)}` };
        const fates = readBulkAnswer(answer.text, left.length);
        if (fates === undefined)
          throw new SendFailure(`the destination did not answer as Elasticsearch does${reasonText(answer)}`);
        const refused: RefusedSample[] = [];
        const busy: BulkDocument[] = [];
        let refusals = 0;
        let why = "";
        fates.forEach((fate, at) => {
          if (fate.is === "busy") {
            busy.push(left[at]!);
            why = answer.withoutSecrets(fate.reason);
          } else if (fate.is === "refused") {
            refusals++;
            if (refused.length < REPORTED_MAX)
              refused.push(
                refusedLine(
                  left[at]!.line,
                  `the destination refused it: ${answer.withoutSecrets(fate.reason)}`,
                ),
              );
          }
        });
        const stored = left.length - refusals - busy.length;
        if (stored > 0) status.sent(stored, body.length, (performance.now() - beginMs) / 1_000);
        status.dropped("refused", refusals, refused);
        left = busy;
        if (busy.length > 0)
          throw new SendFailure(`the destination did not store ${busy.length} events: ${why}`);
        return undefined;
      },
      { stop, onFailure: status.failed },
    );
  }
}
