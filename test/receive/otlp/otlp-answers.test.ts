/** The answers of OTLP: which errors a sender should retry, and both encodings as the reference package reads them. */
import { describe, expect, test } from "bun:test";
import {
  BadInput,
  Busy,
  Forbidden,
  InternalFault,
  NotFound,
  type RequestError,
  Timeout,
  TooLarge,
  Unavailable,
  Unprocessable,
  Unsupported,
} from "../../../src/model/errors.ts";
import { exportResponse, otlpError, statusBody } from "../../../src/receive/otlp/otlp-answers.ts";
import { read } from "./otlp-messages.ts";

describe("an error is", () => {
  // Code of google.rpc.Status, status of HTTP, seconds of Retry-After.
  const ok = (error: RequestError, code: number, status: number, retryAfterSeconds?: number) =>
    test(`${status} with code ${code} for ${error.constructor.name}`, () => {
      const failure = otlpError(error);
      expect(failure).toEqual({ code, status, retryAfterSeconds, message: "why" });
      expect(read("Status", statusBody(failure, "protobuf"))).toEqual({ code, message: "why" });
      const details =
        retryAfterSeconds === undefined
          ? undefined
          : [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: `${retryAfterSeconds}s` }];
      expect(JSON.parse(Buffer.from(statusBody(failure, "json")).toString())).toEqual({
        code,
        message: "why",
        details,
      });
    });
  ok(new BadInput("why"), 3, 400);
  ok(new Unprocessable("why"), 3, 422);
  ok(new Forbidden("why"), 7, 403);
  ok(new NotFound("why"), 12, 404);
  ok(new Unsupported("why"), 12, 415);
  ok(new TooLarge("why"), 8, 413);
  ok(new InternalFault("why"), 13, 500);
  // Retried: 429 and 503 only, each with the time after which.
  ok(new Busy("why", 3), 14, 429, 3);
  ok(new Busy("why", 1.5), 14, 429, 2);
  ok(new Unavailable("why"), 14, 503, 1);
  ok(new Timeout("why"), 14, 503, 1);
});

describe("an accepted request is answered", () => {
  const ok = (name: string, rejectedPoints: number, message: string, protobuf: object | null, json: object) =>
    test(name, () => {
      const partial = { rejectedPoints, message };
      expect(read("ExportMetricsServiceResponse", exportResponse(partial, "protobuf"))).toEqual({
        partialSuccess: protobuf,
      });
      expect(JSON.parse(Buffer.from(exportResponse(partial, "json")).toString())).toEqual(json);
    });
  ok("without a field if everything was stored", 0, "", null, {});
  ok(
    "with the number of rejected points and the reason",
    300,
    "größe",
    { rejectedDataPoints: "300", errorMessage: "größe" },
    { partialSuccess: { rejectedDataPoints: "300", errorMessage: "größe" } },
  );
  ok(
    "with a warning and no rejected point",
    0,
    "x".repeat(200),
    { rejectedDataPoints: "0", errorMessage: "x".repeat(200) },
    { partialSuccess: { rejectedDataPoints: "0", errorMessage: "x".repeat(200) } },
  );
});
