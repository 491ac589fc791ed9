/**
 * The API of Datadog below `/datadog`, so that `dd_url` of an Agent can be this gateway: series of version 1 and 2, points
 * of distributions, and the Agent's sketches, each answered after its commit. What else an Agent sends is skipped
 * (skipped-messages.ts).
 *
 * A request with increments is stored once, however often it is sent: the hash of its body is its idempotency key.
 * Datadog keeps one value per series and time, so there too an equal request changes nothing.
 */
import { type BodyLimits, readBody, readEncodedBody } from "../../http/body.ts";
import { decodeWithHint } from "../../http/body-hint.ts";
import { jsonResponse } from "../../http/error-answers.ts";
import type { Log } from "../../log/log.ts";
import { contentTypeOf } from "../../http/negotiation.ts";
import { type RouteParameters, Routes } from "../../http/routes.ts";
import { pathOf, queryText } from "../../http/url-text.ts";
import type { BodyHash } from "../../wire/body-hash.ts";
import type { Ack, PushOptions } from "../../ingest/contract.ts";
import type { Counters } from "../../model/counters.ts";
import type { Batch } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import type { BodyDecoder, Decoding } from "../body-decoder.ts";
import { idempotencyOf, readIdempotencyKey } from "../idempotency-key.ts";
import { PushParameters } from "../push-parameters.ts";
import { PushWarnings } from "../push-warnings.ts";
import { type AnswerForm, acceptedAnswer, errorAnswer, seriesAnswer } from "./datadog-answers.ts";
import { DATADOG } from "./datadog-protocol.ts";
import type { DatadogRequest } from "./series-gatherer.ts";
import type { SeriesForm } from "./series-json.ts";
import { SkippedMessages } from "./skipped-messages.ts";

interface Decoders {
  readonly json: { decoding(body: Uint8Array, form: SeriesForm): Decoding<DatadogRequest> };
  readonly protobuf: { decoding(body: Uint8Array): Decoding<DatadogRequest> };
  readonly sketches: { decoding(body: Uint8Array): Decoding<DatadogRequest> };
}

interface DatadogDependencies {
  readonly decoder: BodyDecoder<Decoders>;
  readonly ingest: {
    readonly bodyHash: BodyHash;
    push(batch: Batch, options?: PushOptions): Promise<Ack>;
  };
  readonly limits: BodyLimits & NameLimits;
  readonly log: Log;
  readonly counters: Counters;
}

/** Of the idempotency keys. */
const SCOPE = "Datadog";

/** Where clients of Datadog put their key, which is a token here. */
const KEYS = [{ header: "dd-api-key" }, { query: "api_key" }];

export const datadogRoutes = ({ decoder, ingest, limits, log, counters }: DatadogDependencies) => {
  const parameters = new PushParameters(limits, DATADOG.terms);
  const warnings = new PushWarnings(log, counters);
  const skipped = new SkippedMessages(log, counters);

  const stored =
    (
      form: AnswerForm,
      decoding: (decoders: Decoders, body: Uint8Array, request: Request) => Decoding<DatadogRequest>,
    ) =>
    async (request: Request) => {
      const query = withoutKeys(queryText(request.url));
      const asked = parameters.read(query);
      const key = readIdempotencyKey(request);
      const body = await readBody(request, limits);
      const sent = await decodeWithHint(body, pathOf(request.url), () =>
        decoder.decode(body.length, (decoders) => decoding(decoders, body, request)),
      );
      const idempotency =
        sent.hasIncrements || key !== undefined ? idempotencyOf(ingest, SCOPE, key, query, body) : undefined;
      const ack = await ingest.push(sent.batch, { ...asked, idempotency });
      if (sent.batch.warnings !== undefined && ack.repeated !== true) warnings.note(sent.batch.warnings);
      return seriesAnswer(sent, ack, form);
    };

  const skip = async (request: Request, { "*": path = "" }: RouteParameters) => {
    await readEncodedBody(request, limits);
    skipped.skip(path);
    return acceptedAnswer();
  };

  return new Routes(errorAnswer, { credentials: KEYS, bound: "adds" })
    .on(
      "POST",
      "/datadog/api/v1/series",
      "push",
      "stores series of Datadog's API, version 1",
      stored("v1", (decoders, body) => decoders.json.decoding(body, "v1")),
    )
    .on(
      "POST",
      "/datadog/api/v2/series",
      "push",
      "stores series of Datadog's API, version 2",
      stored("v2", (decoders, body, request) =>
        isProtobuf(request) ? decoders.protobuf.decoding(body) : decoders.json.decoding(body, "v2"),
      ),
    )
    .on(
      "POST",
      "/datadog/api/v1/distribution_points",
      "push",
      "stores points of distributions of Datadog's API",
      stored("v1", (decoders, body) => decoders.json.decoding(body, "distribution")),
    )
    .on(
      "POST",
      "/datadog/api/beta/sketches",
      "push",
      "stores distributions of a Datadog Agent",
      stored("v1", (decoders, body) => decoders.sketches.decoding(body)),
    )
    .on(
      ["GET", "POST"],
      "/datadog/api/v1/validate",
      "push",
      "says that the key of a Datadog Agent is valid",
      () => jsonResponse(200, { valid: true }),
    )
    .on(
      "POST",
      "/datadog/*",
      "push",
      "accepts what a Datadog Agent sends beside metrics, and does not store it",
      skip,
    );
};

function isProtobuf(request: Request): boolean {
  return /^application\/(?:x-)?protobuf$/.test(contentTypeOf(request).type);
}

/** A query without the keys of Datadog, which are not needed here, and which nothing may keep. */
function withoutKeys(query: string): string {
  if (query === "") return query;
  return query
    .split("&")
    .filter((each) => !/^(?:api_key|application_key)(?:=|$)/.test(each))
    .join("&");
}
