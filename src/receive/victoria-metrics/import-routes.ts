/**
 * VictoriaMetrics' import API (https://docs.victoriametrics.com/#how-to-import-time-series-data): `POST /api/v1/import`
 * for JSON lines, `/api/v1/import/csv`, and `/api/v1/import/prometheus` for the text format. It is answered after the
 * commit of all samples.
 *
 * - 204: everything is stored, or was stored before.
 * - 400: valid samples are stored. The others never will be, so sending them again changes nothing. VictoriaMetrics
 *   itself logs invalid lines and answers 204; its clients (vmctl) show the text of a 400 and do not retry it.
 * - 408, 429 and 503: send the whole request again. What is stored already is not stored twice.
 */
import type { BodyLimits } from "../../http/body.ts";
import { errorHeaders, plainText } from "../../http/error-answers.ts";
import { contentTypeOf } from "../../http/negotiation.ts";
import { wrongParameter } from "../../http/parameters.ts";
import { Routes } from "../../http/routes.ts";
import { pathOf, queryText } from "../../http/url-text.ts";
import type { Ack, PushOptions } from "../../ingest/contract.ts";
import type { Counters } from "../../model/counters.ts";
import { BadInput, quote, RequestError, Unsupported } from "../../model/errors.ts";
import type { Batch, Labels, Rejection } from "../../model/sample.ts";
import { MILLISECONDS_MAX } from "../../model/time.ts";
import type { NameLimits } from "../../series/naming.ts";
import { BodyDecoder } from "../body-decoder.ts";
import { groupingLabels } from "../grouping-labels.ts";
import { PushParameters } from "../push-parameters.ts";
import { readLines } from "./read-lines.ts";
import { VICTORIA_METRICS } from "./victoria-metrics-protocol.ts";

interface ImportDependencies {
  readonly ingest: { push(batch: Batch, options?: PushOptions): Promise<Ack> };
  readonly limits: BodyLimits & NameLimits;
  readonly counters: Counters;
  /** The number of series that exist. */
  readonly seriesCount: () => number;
}

/** Decodes whole lines of a body, the first of which has a number. */
type Decode = (
  lines: Uint8Array,
  firstLine: number,
  overridden: ReadonlySet<string>,
) => readonly Batch[] | Promise<readonly Batch[]>;

/** What a format needs beside the lines: it is read before the body. */
type Prepare = (query: URLSearchParams, request: Request) => Decode | Promise<Decode>;

const IMPORT = "/api/v1/import";
const PROMETHEUS = `${IMPORT}/prometheus`;
/** Reasons that an answer lists. Its first line counts all. */
const REASONS_MAX = 10;
/** Rejected lines at which an import stops: a body of any size may be no lines of the format at all. */
const REJECTED_LINES_MAX = 100_000;
/** Sets of labels of paths. A worker always sends the same. */
const REMEMBERED_MAX = 256;

export const importRoutes = ({ ingest, limits, counters, seriesCount }: ImportDependencies) => {
  const { inProgress } = limits;
  const loadJson = async () => {
    const { JsonLinesDecoder } = await import("./json-lines.ts");
    return () => new JsonLinesDecoder(seriesCount);
  };
  const loadCsv = async () => {
    const { CsvLinesDecoder } = await import("./csv-lines.ts");
    return () => new CsvLinesDecoder(seriesCount);
  };
  const loadText = async () => {
    const { TextLinesDecoder } = await import("./text-lines.ts");
    return () => new TextLinesDecoder(seriesCount);
  };
  const json = new BodyDecoder({ load: loadJson }, inProgress);
  const csv = new BodyDecoder({ load: loadCsv }, inProgress);
  const text = new BodyDecoder({ load: loadText }, inProgress);
  const labelsOf = new RequestLabels();

  const route = (prepare: Prepare, own: readonly string[] = [], prefix?: string) => {
    const parameters = new PushParameters(limits, VICTORIA_METRICS.terms, own);
    return async (request: Request) => {
      const tally = new Tally();
      try {
        const query = queryText(request.url);
        const { extraLabels, historical } = parameters.read(query);
        const { set, overridden } = labelsOf.read(request, extraLabels, prefix);
        const decode = await prepare(new URLSearchParams(query), request);
        for await (const { lines, firstLine, lineCount } of readLines(request, limits)) {
          for (const batch of await decode(lines, firstLine, overridden))
            tally.add(await ingest.push(batch, { extraLabels: set, historical }));
          tally.lines = firstLine + lineCount;
          tally.requireFewRejected();
        }
        return tally.answer();
      } catch (error) {
        if (error instanceof RequestError) return tally.failure(error);
        throw error;
      }
    };
  };

  const readText: Prepare = (query, request) => {
    const { type } = contentTypeOf(request);
    if (type === "application/vnd.google.protobuf") {
      throw new Unsupported(
        `Content-Type ${quote(type)} is not supported; expected the text format. Clients that push protobuf can push to /metrics/job/JOB.`,
        "Content-Type",
      );
    }
    const defaultUs = readTimestampUs(query);
    return (lines, firstLine, overridden) =>
      text.decode(lines.length, function* (free) {
        const batches = yield* free.decoding(lines, firstLine, overridden, { defaultUs });
        counters.exemplarsDropped.inc(free.exemplarsDropped);
        return batches;
      });
  };
  const readCsv: Prepare = async (query) => {
    const { parseCsvFormat } = await import("./csv-format.ts");
    const format = parseCsvFormat(query.get("format"));
    return (lines, firstLine, overridden) =>
      csv.decode(lines.length, (free) => free.decoding(lines, firstLine, overridden, format));
  };
  const readJson: Prepare = () => (lines, firstLine, overridden) =>
    json.decode(lines.length, (free) => free.decoding(lines, firstLine, overridden));

  return new Routes((error) => plainText(error.status, error.message, errorHeaders(error)), { bound: "adds" })
    .on("POST", IMPORT, "push", "stores series in JSON lines of VictoriaMetrics", route(readJson))
    .on(
      "POST",
      `${IMPORT}/native`,
      "push",
      "rejects the native format of VictoriaMetrics, which is not supported",
      () =>
        plainText(
          415,
          "The native format of VictoriaMetrics is not supported; export JSON lines with /api/v1/export, and send them to /api/v1/import.",
        ),
    )
    .on("POST", `${IMPORT}/csv`, "push", "stores samples in lines of CSV", route(readCsv, ["format"]))
    .on(
      "POST",
      PROMETHEUS,
      "push",
      "stores samples in the Prometheus text format",
      route(readText, ["timestamp"]),
    )
    .on(
      ["POST", "PUT"],
      `${PROMETHEUS}/metrics/job/*`,
      "push",
      "stores samples in the Prometheus text format, with the labels of the path",
      route(readText, ["timestamp"], PROMETHEUS),
    )
    .on(
      ["POST", "PUT"],
      `${PROMETHEUS}/metrics/job@base64/*`,
      "push",
      "stores samples in the Prometheus text format, with the labels of the path in base64",
      route(readText, ["timestamp"], PROMETHEUS),
    );
};

/** The time of samples without one, µs. As VictoriaMetrics: milliseconds; 0 is none. */
function readTimestampUs(query: URLSearchParams): number {
  const text = query.get("timestamp");
  if (text === null || text === "" || text === "0") return Number.NaN;
  const ms = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(Math.abs(ms) <= MILLISECONDS_MAX)) throw wrongParameter("timestamp", text, "milliseconds since 1970");
  return ms * 1000;
}

interface SetLabels {
  /** Added to samples that lack them. */
  readonly set: Labels | undefined;
  /** The names of labels that lines cannot set themselves. */
  readonly overridden: ReadonlySet<string>;
}

/**
 * The labels that a request sets: `extra_label`, and those of the path. They replace the lines' own labels, as with
 * VictoriaMetrics. Equal requests get the same object, which admission need not compare.
 */
class RequestLabels {
  readonly #remembered = new Map<string, SetLabels>();

  /** @param prefix what is before `/metrics/job` in the path; undefined if the path has no labels */
  read(request: Request, extraLabels: Labels | undefined, prefix: string | undefined): SetLabels {
    const path = prefix === undefined ? "" : pathOf(request.url);
    const key = `${path}?${extraLabels === undefined ? "" : queryText(request.url)}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    // Between an encoded path and its labels there is more than one slash to decode.
    const ofPath =
      prefix === undefined
        ? new Map<string, string>()
        : groupingLabels(path.replace(/\/$/, "").slice(path.indexOf(prefix) + prefix.length));
    const all = new Map([...ofPath, ...(extraLabels ?? [])]);
    const set = [...all].filter(([, value]) => value !== "").sort(([a], [b]) => (a < b ? -1 : 1));
    const labels = {
      set: prefix === undefined ? extraLabels : new Map(set),
      overridden: new Set(all.keys()),
    };
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(key, labels);
    return labels;
  }
}

/** What became of the lines of a request. */
class Tally {
  /** Lines that were read. */
  lines = 0;
  #accepted = 0;
  #rejectedLines = 0;
  #lastRejected = -1;
  readonly #first: Rejection[] = [];

  add({ accepted, duplicates, rejected }: Ack): void {
    this.#accepted += accepted + duplicates;
    for (const each of rejected) {
      // They are in the order of the body. A line can have thousands of wrong samples: one stands for all.
      if (each.index === this.#lastRejected) continue;
      this.#lastRejected = each.index;
      this.#rejectedLines++;
      if (this.#first.length < REASONS_MAX) this.#first.push(each);
    }
  }

  /** Throws if more lines were rejected than a body of this format can be expected to have. */
  requireFewRejected(): void {
    if (this.#rejectedLines <= REJECTED_LINES_MAX) return;
    throw new BadInput(
      `The import stopped at line ${this.lines}, because ${this.#rejectedLines} lines were rejected. The first: ${explain(this.#first[0]!)}.`,
    );
  }

  answer(): Response {
    const count = this.#rejectedLines;
    if (count === 0) return new Response(null, { status: 204 });
    const [first, ...others] = this.#first.map(explain);
    const stored = this.#accepted === 0 ? "Nothing was stored." : "The others are stored.";
    return plainText(
      400,
      [
        `${count} of ${this.lines} lines were not stored, or only partly. ${stored} The first: ${first}`,
        ...others,
      ].join("\n"),
    );
  }

  failure(error: RequestError): Response {
    const stored =
      this.#accepted === 0 ? "" : ` ${this.#accepted} samples of earlier lines of the request are stored.`;
    return plainText(error.status, `${error.message}${stored}`, errorHeaders(error));
  }
}

/** The reason, with the number of the line, counted from 1. */
function explain({ index, reason, payload }: Rejection): string {
  const shown = payload === "" || reason.includes(payload) ? "" : `: ${payload}`;
  return `line ${index + 1}: ${reason}${shown}`;
}
