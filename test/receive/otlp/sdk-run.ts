/** Runs sdk-application.mjs under Node. */
import { expect } from "bun:test";
import { join } from "node:path";

/** Undefined if this machine has no Node. */
export const NODE = Bun.which("node") ?? undefined;
const APPLICATION = join(import.meta.dir, "sdk-application.mjs");

export type Protocol = "http/protobuf" | "http/json" | "grpc";

interface Run {
  readonly protocol: Protocol;
  readonly endpoint: string;
  readonly service: string;
  readonly temporality: "delta" | "cumulative";
  /** OTEL_RESOURCE_ATTRIBUTES. */
  readonly resource?: string;
  readonly args?: readonly string[];
  /** The file of the certificate that it trusts. */
  readonly caFile?: string;
}

/** Runs the application to its end. Returns what it logged: failed exports and rejected points. */
export async function runApplication(run: Run): Promise<string> {
  const { protocol, endpoint, service, temporality, resource, args = [], caFile } = run;
  const child = Bun.spawn([NODE!, APPLICATION, ...args], {
    env: {
      ...process.env,
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: temporality,
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
      OTEL_SERVICE_NAME: service,
      OTEL_RESOURCE_ATTRIBUTES: resource,
      OTEL_EXPORTER_OTLP_CERTIFICATE: caFile,
    },
    stdout: "ignore",
    stderr: "pipe",
  });
  const output = await new Response(child.stderr).text();
  expect(await child.exited).toBe(0);
  return output;
}
