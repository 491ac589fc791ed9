/**
 * OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp): `POST /v1/metrics`, and the same at
 * `/api/v1/otlp/v1/metrics`, where Prometheus has it. A request is answered after its commit, in its own encoding.
 *
 * - 200: all points are stored, or `partial_success` says how many are not, and why. They never will be, so a sender
 *   does not send them again.
 * - 429 and 503 with `Retry-After`: nothing is stored, send the same request again.
 * - Any other status: nothing is stored, and sending the request again changes nothing. Internal faults are 500.
 *
 * Traces and logs are not stored. Their routes exist, so that a sender gets the reason in a form that it can show.
 */
import { type BodyLimits, readBody } from "../../http/body.ts";
import { errorHeaders } from "../../http/error-answers.ts";
import { Routes } from "../../http/routes.ts";
import { quote, type RequestError, Unsupported } from "../../model/errors.ts";
import type { NameLimits } from "../../series/naming.ts";
import { readIdempotencyKey } from "../idempotency-key.ts";
import { PushParameters } from "../push-parameters.ts";
import { exportResponse, notStored, otlpError, statusBody } from "./otlp-answers.ts";
import { OTLP } from "./otlp-protocol.ts";
import type { OtlpEncoding, OtlpPush } from "./otlp-push.ts";

interface OtlpRoutesDependencies {
  readonly push: Pick<OtlpPush, "push">;
  readonly limits: BodyLimits & NameLimits;
}

const CONTENT_TYPES: Record<OtlpEncoding, string> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

export const otlpRoutes = ({ push, limits }: OtlpRoutesDependencies) => {
  const parameters = new PushParameters(limits, OTLP.terms);
  const metrics = (request: Request) =>
    answered(request, async (encoding) => {
      const at = request.url.indexOf("?");
      const query = at < 0 ? "" : request.url.slice(at + 1);
      const { extraLabels, historical } = parameters.read(query);
      const key = readIdempotencyKey(request);
      const body = await readBody(request, limits);
      return await push.push(body, encoding, { extraLabels, historical, key, query });
    });
  const traces = (request: Request) => answered(request, () => Promise.reject(notStored("traces")));
  const logs = (request: Request) => answered(request, () => Promise.reject(notStored("logs")));
  return new Routes(otlpErrorAnswer, { bound: "adds" })
    .on("POST", "/v1/metrics", "push", "stores metrics of OpenTelemetry", metrics)
    .on(
      "POST",
      "/api/v1/otlp/v1/metrics",
      "push",
      "stores metrics of OpenTelemetry, at the path of Prometheus",
      metrics,
    )
    .on("POST", "/v1/traces", "push", "rejects traces, which are not stored", traces)
    .on("POST", "/v1/logs", "push", "rejects logs, which are not stored", logs);
};

/** Answers a request in its own encoding. */
async function answered(
  request: Request,
  handle: (encoding: OtlpEncoding) => Promise<Parameters<typeof exportResponse>[0]>,
): Promise<Response> {
  const encoding = encodingOf(request.headers.get("content-type"));
  if (encoding === undefined) throw unknownType(request.headers.get("content-type"));
  const body = exportResponse(await handle(encoding), encoding);
  return new Response(body, { headers: { "content-type": CONTENT_TYPES[encoding] } });
}

/** Answers an error in the encoding of the request, or in JSON if it has none. */
export function otlpErrorAnswer(error: RequestError, request: Request): Response {
  const encoding = encodingOf(request.headers.get("content-type")) ?? "json";
  const failure = otlpError(error);
  const headers: Record<string, string> = { ...errorHeaders(error), "content-type": CONTENT_TYPES[encoding] };
  if (failure.retryAfterSeconds !== undefined) headers["retry-after"] = String(failure.retryAfterSeconds);
  return new Response(statusBody(failure, encoding), { status: failure.status, headers });
}

function encodingOf(contentType: string | null): OtlpEncoding | undefined {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  if (type === CONTENT_TYPES.protobuf) return "protobuf";
  return type === CONTENT_TYPES.json ? "json" : undefined;
}

function unknownType(contentType: string | null): Unsupported {
  const is = contentType === null ? "is missing" : `${quote(contentType)} is not supported`;
  return new Unsupported(
    `Content-Type ${is}; expected ${CONTENT_TYPES.protobuf} or ${CONTENT_TYPES.json}.`,
    "Content-Type",
  );
}
