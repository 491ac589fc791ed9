/**
 * `POST /api/v1/write`: Prometheus remote_write 1.0 and 2.0, answered after the commit.
 *
 * Senders act on the status alone, so each status says what the sender should do:
 *
 * - 204: everything is stored. Samples that were stored before count as stored. So it is if one request has several
 *   values for one series and time, as a Prometheus 2 sends a series that its target exposes twice: the first is
 *   stored, the others are rejected and counted. Prometheus's own receiver does the same. A 400 would count every
 *   request of that sender as failed.
 * - 400: valid samples are stored. The others never will be, so sending them again changes nothing. In 2.0 this
 *   includes exemplars. The same applies to 413 and 415, where nothing is stored. At 415 a sender of 2.0 falls back
 *   to 1.0.
 * - 503 with `Retry-After`: nothing is stored, send the same request again. Used also where other routes answer 429
 *   or 408: Prometheus drops a request at any 4xx, and at 429 too unless its settings say otherwise.
 *
 * The texts are plain, as those of Prometheus's own receiver. Senders log the first line. The answer to a 2.0 request
 * says how much of it was stored, whatever the status is.
 */

import { type BodyLimits, readEncodedBody } from "../../http/body.ts";
import { errorHeaders, plainText } from "../../http/error-answers.ts";
import { contentTypeOf } from "../../http/negotiation.ts";
import { Routes } from "../../http/routes.ts";
import { queryText } from "../../http/url-text.ts";
import { type Ack, type PushOptions, REPEATED } from "../../ingest/contract.ts";
import type { Counters } from "../../model/counters.ts";
import { quote, type RequestError, Unsupported } from "../../model/errors.ts";
import type { Batch, Rejection } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import { decompress, parseContentEncoding } from "../../wire/compression/compression.ts";
import { inflatingSnappyBlock, type SnappyOutput, snappyBlockLength } from "../../wire/compression/snappy.ts";
import type { BodyDecoder, Decoding } from "../body-decoder.ts";
import type { WrittenTask } from "../decoding/decode-messages.ts";
import type { BodiesBeside } from "../decoding/decode-workers.ts";
import { PushParameters } from "../push-parameters.ts";
import { REMOTE_WRITE } from "./remote-write-protocol.ts";
import type { RemoteWriteRequest } from "./request-gatherer.ts";

interface Decoder {
  /** Room for the message of a snappy block, until the next call. */
  reserve(block: Uint8Array, bytes: number): SnappyOutput;
  decoding(body: Uint8Array): Decoding<RemoteWriteRequest>;
}

interface RemoteWriteDependencies {
  /** By version; see src/receive/remote-write/remote-write.ts and remote-write-v2.ts. */
  readonly decoders: { readonly v1: BodyDecoder<Decoder>; readonly v2: BodyDecoder<Decoder> };
  /** Decode large bodies in other threads. */
  readonly beside?: { readonly v1: BodiesBeside<WrittenTask>; readonly v2: BodiesBeside<WrittenTask> };
  readonly ingest: { push(batch: Batch, options?: PushOptions): Promise<Ack> };
  readonly limits: BodyLimits & NameLimits;
  readonly counters: Counters;
}

const MESSAGES = { v1: "prometheus.WriteRequest", v2: "io.prometheus.write.v2.Request" } as const;
type Version = keyof typeof MESSAGES;

/** The version of VictoriaMetrics' own protocol: see `asksForVmProtocol`. */
const VM_PROTOCOL_VERSION = "1";

/** Reasons that an answer lists. Its first line counts all. */
const REASONS_MAX = 10;
const NO_EXEMPLAR =
  "their series was not stored, their time is outside retention, or their labels are wrong or too long";
/** For errors that other routes answer with another status. */
const RETRY_AFTER_SECONDS = 1;

export const remoteWriteRoutes = ({
  decoders,
  beside,
  ingest,
  limits,
  counters,
}: RemoteWriteDependencies) => {
  const parameters = new PushParameters(limits, REMOTE_WRITE.terms);
  return new Routes(failure, { bound: "adds" }).on(
    "POST",
    "/api/v1/write",
    "push",
    "stores samples of remote_write 1.0 and 2.0",
    async (request) => {
      const query = queryText(request.url);
      if (asksForVmProtocol(query)) return new Response(VM_PROTOCOL_VERSION);
      const version = versionOf(request);
      const { extraLabels, historical } = parameters.read(query);
      const sent = await receive(request, limits);
      const write =
        (beside && (await decodeBeside(sent, beside[version]))) ??
        (await decoders[version].decode(sent.bytes, (decoder) => decodingOf(decoder, sent)));
      counters.nativeHistograms.inc(write.classicHistograms);
      counters.exemplarsDropped.inc(write.exemplarsDropped);
      counters.metadataDropped.inc(write.metadataDropped);
      const ack = await ingest.push(write.batch, { extraLabels, historical });
      return answer(version, write, ack);
    },
  );
};

/**
 * Whether a request is the question of vmagent and VictoriaMetrics whether they can send in their own protocol, which is
 * version 1.0 with zstd instead of snappy. Newer ones do not ask.
 */
function asksForVmProtocol(query: string): boolean {
  return query.includes("get_vm_proto_version") && new URLSearchParams(query).has("get_vm_proto_version");
}

/** A body that was read: a message, or a snappy block of one. */
interface SentBody {
  body: Uint8Array;
  readonly isSnappy: boolean;
  /** Of the message. */
  readonly bytes: number;
  readonly inflatedBytesMax: number;
}

function* decodingOf(decoder: Decoder, sent: SentBody): Decoding<RemoteWriteRequest> {
  const { body, inflatedBytesMax } = sent;
  if (!sent.isSnappy) return yield* decoder.decoding(body);
  const reserve = (length: number) => decoder.reserve(body, length);
  return yield* decoder.decoding(yield* inflatingSnappyBlock(body, inflatedBytesMax, reserve));
}

const NO_POSITIONS: ReadonlySet<number> = new Set();

/** What another thread decoded. Undefined if the first thread has to decode the body. */
async function decodeBeside(
  sent: SentBody,
  bodies: BodiesBeside<WrittenTask>,
): Promise<RemoteWriteRequest | undefined> {
  // A message takes a fourth of the time of events of its size.
  if (!sent.isSnappy || !bodies.takes(sent.bytes / 4)) return undefined;
  const { batch, samples, body } = await bodies.decode({ kind: bodies.kind, bytes: sent.bytes }, sent.body);
  if (batch === undefined) {
    sent.body = body;
    return undefined;
  }
  // Requests with anything else are left to the first thread.
  const none = { histograms: 0, exemplars: 0, exemplarsDropped: 0, classicHistograms: 0, metadataDropped: 0 };
  return { batch, samples, ...none, histogramPositions: NO_POSITIONS };
}

/** Reads a body: in a snappy block, as the specification says, or in the encodings of other routes. */
async function receive(request: Request, limits: BodyLimits): Promise<SentBody> {
  // Old senders omit the header.
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() || "snappy";
  const { inflatedBytesMax } = limits;
  const layers = encoding === "snappy" ? [] : parseContentEncoding(encoding);
  const body = await readEncodedBody(request, limits);
  if (encoding === "snappy")
    return { body, isSnappy: true, bytes: snappyBlockLength(body, inflatedBytesMax), inflatedBytesMax };
  const message = await decompress(body, layers, inflatedBytesMax);
  return { body: message, isSnappy: false, bytes: message.length, inflatedBytesMax };
}

/** The version by content type: 1.0 if it names no message. Throws `Unsupported` for any other. */
function versionOf(request: Request): Version {
  const { type, parameters } = contentTypeOf(request);
  if (type === "") return "v1";
  if (type === "application/x-protobuf") {
    const message = parameters.proto ?? MESSAGES.v1;
    if (message === MESSAGES.v1) return "v1";
    if (message === MESSAGES.v2) return "v2";
  }
  throw new Unsupported(
    `Content-Type ${quote(request.headers.get("content-type"))} is not supported; expected application/x-protobuf with proto=` +
      `${MESSAGES.v1} or proto=${MESSAGES.v2}.`,
    "Content-Type",
  );
}

function answer(version: Version, write: RemoteWriteRequest, ack: Ack): Response {
  const { samples, histograms, exemplars, histogramPositions } = write;
  // A histogram becomes many samples. If one of them is rejected, the histogram is not stored completely.
  const refused = new Set(ack.rejected.map(({ index }) => index));
  const reported = ack.rejected.filter(({ cause }) => cause !== REPEATED);
  const refusedHistograms = [...refused].filter((position) => histogramPositions.has(position)).length;
  const headers = written(version, {
    samples: samples - (refused.size - refusedHistograms),
    histograms: histograms - refusedHistograms,
    exemplars: ack.exemplars,
  });
  const lines: string[] = [];
  if (reported.length > 0) {
    const [first, ...others] = reported.slice(0, REASONS_MAX).map(explain);
    lines.push(
      `${refused.size} of ${samples + histograms} samples were not stored; the first: ${first}`,
      ...others,
    );
  }
  // In 1.0 exemplars were experimental, so their rejection is not reported.
  if (version === "v2" && ack.exemplars < exemplars)
    lines.push(`${exemplars - ack.exemplars} of ${exemplars} exemplars were not stored: ${NO_EXEMPLAR}`);
  return lines.length === 0
    ? new Response(null, { status: 204, headers })
    : plainText(400, lines.join("\n"), headers);
}

/** The reason, with the rejected sample. */
function explain({ reason, payload }: Rejection): string {
  return payload === "" || reason.includes(payload) ? reason : `${reason}: ${payload}`;
}

/** The answer to a request of which nothing was stored. */
function failure(error: RequestError, request: Request): Response {
  const isV2 = contentTypeOf(request).parameters.proto === MESSAGES.v2;
  const headers = {
    ...errorHeaders(error),
    ...written(isV2 ? "v2" : "v1", { samples: 0, histograms: 0, exemplars: 0 }),
  };
  const passing = error.status === 429 || error.status === 408 || error.status >= 500;
  if (!passing) return plainText(error.status, error.message, headers);
  return plainText(503, error.message, { "retry-after": String(RETRY_AFTER_SECONDS), ...headers });
}

function written(version: Version, counts: Record<"samples" | "histograms" | "exemplars", number>) {
  const headers: Record<string, string> = {};
  if (version === "v1") return headers;
  for (const [what, count] of Object.entries(counts))
    headers[`x-prometheus-remote-write-${what}-written`] = String(count);
  return headers;
}
