/** The gRPC listener with a method of a test's own, on a free port. */
import { UNBOUND } from "../../../../src/access/access.ts";
import { BodiesInProgress } from "../../../../src/http/body.ts";
import { createCounters } from "../../../../src/model/counters.ts";
import type { GrpcMethod } from "../../../../src/receive/otlp/grpc/grpc-call.ts";
import { GrpcService } from "../../../../src/receive/otlp/grpc/grpc-service.ts";
import { EXPORT } from "./grpc-client.ts";

interface Times {
  readonly timeoutMs?: number;
  readonly stopTimeoutMs?: number;
  readonly idleMs?: number;
}

/** Serves a method as Export of OTLP. `logged` has the lines of its log. */
export async function serveGrpc(
  method: GrpcMethod,
  { timeoutMs = 60_000, stopTimeoutMs = 8_000, idleMs }: Times = {},
) {
  const logged: string[] = [];
  const counters = createCounters();
  const service = new GrpcService({
    methods: new Map([[EXPORT, method]]),
    addresses: [{ hostname: "127.0.0.1", port: 0 }],
    flag: "--otlp-grpc-listen",
    advice: "",
    limits: {
      bodyBytesMax: 1_000_000,
      inflatedBytesMax: 1_000_000,
      timeoutMs,
      inProgress: new BodiesInProgress(),
    },
    guard: {
      receive: () => undefined,
      prepare: () => undefined,
      admit: (_request, _route, handle) => handle(UNBOUND),
      finish: () => undefined,
    },
    // The error of a failed request has a stack.
    log: (event, fields) =>
      void logged.push(event === "request_failed" ? event : `${event} ${JSON.stringify(fields)}`),
    requestLogging: {},
    counters,
    socketMode: undefined,
    stopTimeoutMs,
    idleMs,
  });
  await service.start((error) => void logged.push(String(error)));
  return { service, url: service.urls[0]!, logged, counters };
}
