/** The methods of OTLP over gRPC (https://opentelemetry.io/docs/specs/otlp/#otlpgrpc). */
import { readIdempotencyKey } from "../../idempotency-key.ts";
import { exportResponse, notStored } from "../otlp-answers.ts";
import type { OtlpPush } from "../otlp-push.ts";
import { type GrpcMethod, metadataText } from "./grpc-call.ts";

const COLLECTOR = "/opentelemetry.proto.collector";

/** Metrics are stored. Traces and logs are not, and their senders get the reason. */
export function otlpMethods(push: Pick<OtlpPush, "push">): ReadonlyMap<string, GrpcMethod> {
  return new Map<string, GrpcMethod>([
    [
      `${COLLECTOR}.metrics.v1.MetricsService/Export`,
      async (message, metadata) => {
        const get = (name: string) => metadataText(metadata[name]) ?? null;
        const key = readIdempotencyKey({ headers: { get } });
        return exportResponse(await push.push(message, "protobuf", { key }), "protobuf");
      },
    ],
    [`${COLLECTOR}.trace.v1.TraceService/Export`, () => Promise.reject(notStored("traces"))],
    [`${COLLECTOR}.logs.v1.LogsService/Export`, () => Promise.reject(notStored("logs"))],
  ]);
}
