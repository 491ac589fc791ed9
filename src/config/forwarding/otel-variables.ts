/**
 * The variables of the exporters of OpenTelemetry (https://opentelemetry.io/docs/specs/otel/protocol/exporter/), as defaults of
 * a destination of OTLP. Those of metrics come before the general ones. No error has a header, which may be a secret.
 */
import { quote } from "../../model/errors.ts";
import { HTTP_COMPRESSIONS, type HttpCompression } from "../../model/forwarding/destination.ts";
import type { ScrapeTls } from "../../model/scrape-job.ts";
import { SettingError } from "../setting-error.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

/** What the variables say. */
export interface OtelExporter {
  readonly url?: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs?: number;
  readonly compression?: HttpCompression;
  readonly tls?: ScrapeTls;
}

const PREFIX = "OTEL_EXPORTER_OTLP_";
const TIMEOUT_MS_MAX = 600_000;

/** @throws SettingError that names the variable */
export function readOtelVariables(env: Variables): OtelExporter {
  return {
    url: endpointOf(env),
    headers: headersOf(env),
    timeoutMs: timeoutOf(env),
    compression: compressionOf(env),
    tls: tlsOf(env),
  };
}

interface Found {
  readonly variable: string;
  readonly text: string;
}

/** The variable of metrics, or the general one. An empty variable counts as not set. */
function find(env: Variables, name: string): Found | undefined {
  for (const variable of [`${PREFIX}METRICS_${name}`, PREFIX + name]) {
    const text = env[variable]?.trim() ?? "";
    if (text !== "") return { variable, text };
  }
  return undefined;
}

function fault({ variable, text }: Found, expected: string): SettingError {
  return new SettingError(`${variable} is ${quote(text)}, expected ${expected}.`);
}

/** The endpoint of metrics is used as it is. The general one is a base, to which the path of metrics is added. */
function endpointOf(env: Variables): string | undefined {
  const found = find(env, "ENDPOINT");
  if (found === undefined) return undefined;
  const url = URL.parse(found.text);
  // It may have a password, so it is not quoted.
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new SettingError(`${found.variable} is not a URL, expected http://HOST:PORT or https://HOST.`);
  const protocol = find(env, "PROTOCOL");
  if (protocol !== undefined && protocol.text !== "http/protobuf")
    throw fault(
      protocol,
      "http/protobuf: give the destination a url, and it reads no endpoint from variables",
    );
  if (found.variable === `${PREFIX}ENDPOINT`) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/metrics`;
  return url.href;
}

/** `name=value,name=value`, with values in percent-encoding, as in the header Baggage of W3C. */
function headersOf(env: Variables): [string, string][] {
  const found = find(env, "HEADERS");
  if (found === undefined) return [];
  return found.text
    .split(",")
    .map((pair) => pair.split(";", 1)[0]!.trim())
    .filter((pair) => pair !== "")
    .map((pair): [string, string] => {
      const at = pair.indexOf("=");
      const name = decoded(pair.slice(0, Math.max(0, at)).trim());
      const value = decoded(pair.slice(at + 1).trim());
      if (at < 1 || name === undefined || value === undefined || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
        throw new SettingError(`${found.variable} has a part that is not NAME=VALUE in percent-encoding.`);
      if (!/^[\t\x20-\x7e]*$/.test(value))
        throw new SettingError(`${found.variable} has no valid text for ${quote(name)}.`);
      return [name.toLowerCase(), value];
    });
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Milliseconds. */
function timeoutOf(env: Variables): number | undefined {
  const found = find(env, "TIMEOUT");
  if (found === undefined) return undefined;
  const ms = /^[0-9]+$/.test(found.text) ? Number(found.text) : 0;
  if (ms < 1 || ms > TIMEOUT_MS_MAX) throw fault(found, `milliseconds from 1 to ${TIMEOUT_MS_MAX}`);
  return ms;
}

function compressionOf(env: Variables): HttpCompression | undefined {
  const found = find(env, "COMPRESSION");
  if (found === undefined) return undefined;
  const word = HTTP_COMPRESSIONS.find((each) => each === found.text.toLowerCase());
  if (word === undefined) throw fault(found, `one of ${HTTP_COMPRESSIONS.join(", ")}`);
  return word;
}

function tlsOf(env: Variables): ScrapeTls | undefined {
  const ca = find(env, "CERTIFICATE");
  const cert = find(env, "CLIENT_CERTIFICATE");
  const key = find(env, "CLIENT_KEY");
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  if ((cert === undefined) !== (key === undefined))
    throw new SettingError(
      `${PREFIX}CLIENT_CERTIFICATE and ${PREFIX}CLIENT_KEY belong together, expected both.`,
    );
  return {
    caFile: ca?.text,
    certFile: cert?.text,
    keyFile: key?.text,
    serverName: undefined,
    insecureSkipVerify: false,
  };
}
