/**
 * Requests for samples as they are stored, in three protocols: VictoriaMetrics's export, which Weir has too
 * (https://docs.victoriametrics.com/#how-to-export-data-in-json-line-format), Prometheus's remote_read
 * (https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/), and a range selector for servers that have only
 * queries. The last one has no stale markers.
 */
import type { UpstreamProtocol } from "../../model/forwarding/upstream.ts";
import { snappy } from "../../program/deferred-libraries.ts";
import { ProtobufWriter } from "../../wire/protobuf-writer.ts";
import { formatMatcher } from "../promql/matchers.ts";
import type { UpstreamAsked, UpstreamMatcher } from "./upstream-messages.ts";

/** A request of the API: the path after the URL, and the body of a POST. */
export interface ApiRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

export function samplesRequest(protocol: UpstreamProtocol, asked: UpstreamAsked): ApiRequest {
  const selector = selectorText(asked.matchers);
  const { startMs, endMs } = asked;
  switch (protocol) {
    case "export":
      return formRequest("/api/v1/export", [
        ["match[]", selector],
        ["start", seconds(startMs)],
        ["end", seconds(endMs)],
        // Other servers ignore it.
        ["totals_from", seconds(asked.totalsFromMs)],
      ]);
    case "remote_read":
      return {
        path: "/api/v1/read",
        headers: {
          "content-type": "application/x-protobuf",
          "content-encoding": "snappy",
          "x-prometheus-remote-read-version": "0.1.0",
        },
        body: snappy().compress(readMessage(asked)) as Uint8Array<ArrayBuffer>,
      };
    case "query":
      // Some servers include the sample at the beginning of the range, and some do not.
      return formRequest("/api/v1/query", [
        ["query", `${selector}[${endMs - startMs + 1}ms]`],
        ["time", seconds(endMs)],
      ]);
  }
}

export function formRequest(path: string, parameters: readonly (readonly [string, string])[]): ApiRequest {
  return {
    path,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(parameters as [string, string][]).toString(),
  };
}

/** The text of a selector. */
export function selectorText(matchers: readonly UpstreamMatcher[]): string {
  return `{${matchers.map((each) => formatMatcher({ ...each, matches: () => false })).join(",")}}`;
}

/** Seconds with three digits after the point. */
export function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

const TYPES = ["=", "!=", "=~", "!~"] as const;
/** Tags of protobuf: the number of a field times 8, and 0 for a number or 2 for bytes. */
const [FIRST_BYTES, FIRST_NUMBER, SECOND_NUMBER, SECOND_BYTES, THIRD_BYTES] = [0x0a, 0x08, 0x10, 0x12, 0x1a];

/** A ReadRequest with one Query (prompb/remote.proto). Without accepted types the answer has samples. */
function readMessage({ matchers, startMs, endMs }: UpstreamAsked): Uint8Array {
  const query = message((writer) => {
    number(writer, FIRST_NUMBER, Math.max(0, startMs));
    number(writer, SECOND_NUMBER, Math.max(0, endMs));
    for (const { name, operator, value } of matchers) {
      const matcher = message((inner) => {
        number(inner, FIRST_NUMBER, TYPES.indexOf(operator));
        bytes(inner, SECOND_BYTES, Buffer.from(name));
        bytes(inner, THIRD_BYTES, Buffer.from(value));
      });
      bytes(writer, THIRD_BYTES, matcher);
    }
  });
  return message((writer) => bytes(writer, FIRST_BYTES, query));
}

function message(write: (writer: ProtobufWriter) => void): Uint8Array {
  const writer = new ProtobufWriter(256);
  write(writer);
  return writer.bytes.slice();
}

function number(writer: ProtobufWriter, tag: number, value: number): void {
  writer.reserve(11);
  writer.byte(tag);
  writer.varint(value);
}

function bytes(writer: ProtobufWriter, tag: number, value: Uint8Array): void {
  writer.reserve(11 + value.length);
  writer.byte(tag);
  writer.varint(value.length);
  writer.raw(value);
}
