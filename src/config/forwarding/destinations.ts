/**
 * The setting `forward`: tables of weir.toml, `[[forward]]`, with the names of Prometheus's remote_write
 * (src/forward/README.md). Secrets are never printed: neither in errors nor by `formatDestinations`.
 */
import { isAbsolute } from "node:path";
import { type AlertMatcher, MatcherFault, parseAlertMatchers } from "../../model/alerts/alert-matcher.ts";
import { quote } from "../../model/errors.ts";
import {
  DESTINATION_TYPES,
  type Destination,
  type DestinationServer,
  type DestinationTarget,
  type DestinationType,
  HTTP_COMPRESSIONS,
  type HttpCompression,
} from "../../model/forwarding/destination.ts";
import { checkExpression, RELABEL_ACTIONS, type RelabelRule } from "../../model/forwarding/relabel-rule.ts";
import { type OtelExporter, readOtelVariables, type Variables } from "./otel-variables.ts";
import { SettingError } from "../setting-error.ts";
import { readAuthorization, readNamedTables, readTls, type SettingTable } from "../setting-table.ts";

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** A name of a header (RFC 9110), and a value without control characters. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;
/** Headers that the requests set themselves. */
const OWN_HEADERS =
  /^(authorization|host|content-(type|length|encoding)|transfer-encoding|connection|idempotency-key|user-agent|x-prometheus-remote-write-version)$/i;
const SHARDS_MAX = 64;
const SAMPLES_MAX = 100_000;

/** Where a gateway takes pushes. */
const PUSH_PATH = "/api/v1/push";
/** As in Prometheus: a destination that is slower is not there. */
const TIMEOUT_MS = 30_000;
/** Samples of a request: 300 KB before compression. Prometheus sends 2,000, vmagent 10,000. */
const SAMPLES_PER_REQUEST = 10_000;
/** As in usual pipelines of OpenTelemetry: a batch of 1,000, at least each 30 seconds. */
const OTLP_POINTS_PER_REQUEST = 1_000;
const OTLP_BATCH_MS = 30_000;
const BATCH_MS = 1_000;
const BATCH_BOUNDS = { min: 1_000, max: 600_000 };
/** Datadog takes 500 KB of series, compressed, and 1,000 logs. */
const DATADOG_SAMPLES_PER_REQUEST = 1_000;
/** About 2 MB before compression. Elasticsearch advises 5 to 15 MB. */
const BULK_DOCUMENTS = 10_000;

/**
 * Reads the destinations.
 *
 * @param name the name of the setting in errors
 * @param env variables of OpenTelemetry, which are defaults of destinations of OTLP
 * @throws SettingError
 */
export function readDestinations(raw: unknown, name: string, env: Variables = {}): Destination[] {
  if (typeof raw === "string") {
    if (raw.trim() === "") return [];
    throw new SettingError(`${name} is a text, expected tables [[forward]] in weir.toml.`);
  }
  return readNamedTables(raw, name, "[[forward]]", (table) => readDestination(table, env));
}

function readDestination(table: SettingTable, env: Variables): Destination {
  const name = table.text("name");
  if (name === undefined) throw table.fault("name", "is missing");
  if (!NAME.test(name))
    throw table.fault("name", `is ${quote(name)}, expected 1 to 64 letters, digits, "_", "." or "-"`);
  const type = table.word("type", DESTINATION_TYPES);
  const destination: Destination = {
    name,
    matchers: readMatchers(table),
    relabel: table.tables("relabel_configs").map(readRule),
    labels: readLabels(table),
    order: table.has("order") ? table.word("order", ["newest-first", "oldest-first"]) : "newest-first",
    backfill: table.flag("backfill", false),
    batchMs: table.duration("batch_timeout", type === "otlp" ? OTLP_BATCH_MS : BATCH_MS, BATCH_BOUNDS),
    bytesPerSecond: table.bytes("bytes_per_second", 0),
    target: TARGETS[type](table, env),
  };
  table.end();
  return destination;
}

/** What each type reads of its table. */
const TARGETS: {
  readonly [Type in DestinationType]: (table: SettingTable, env: Variables) => DestinationTarget;
} = {
  remote_write: (table) => ({
    type: "remote_write",
    ...readServer(table),
    version: table.has("version") ? versionOf(table) : 1,
    compression: table.has("compression") ? table.word("compression", ["snappy", "zstd"]) : "snappy",
    shards: countOf(table, "shards", 4, SHARDS_MAX),
    samplesPerRequest: countOf(table, "samples_per_request", SAMPLES_PER_REQUEST, SAMPLES_MAX),
    rawEvents: table.flag("raw_events", false),
  }),
  otlp: (table, env) => {
    const variables = readOtelVariables(env);
    return {
      type: "otlp",
      ...readServer(table, TIMEOUT_MS, variables),
      compression: compressionOf(table, variables.compression ?? "gzip"),
      shards: countOf(table, "shards", 1, SHARDS_MAX),
      samplesPerRequest: countOf(table, "samples_per_request", OTLP_POINTS_PER_REQUEST, SAMPLES_MAX),
      resourceAttributes: textsOf(table, "resource_attributes"),
    };
  },
  datadog: (table) => {
    const as = table.has("as") ? table.word("as", ["series", "logs"]) : "series";
    const key = table.secret("api_key");
    const server = readServer(table);
    if (key !== undefined && server.authorization !== undefined)
      throw table.fault("api_key", "is given beside other credentials, expected one of them");
    return {
      type: "datadog",
      ...server,
      ...(key === undefined ? {} : { secretHeaders: [["dd-api-key", key]] as const }),
      as,
      compression: compressionOf(table, "gzip"),
      shards: countOf(table, "shards", 1, SHARDS_MAX),
      samplesPerRequest: countOf(table, "samples_per_request", DATADOG_SAMPLES_PER_REQUEST, SAMPLES_MAX),
      source: table.text("source") ?? "weir",
      service: table.text("service") ?? "weir",
    };
  },
  elasticsearch: (table) => {
    const key = table.secret("api_key");
    const server = readServer(table);
    if (key !== undefined && server.authorization !== undefined)
      throw table.fault("api_key", "is given beside other credentials, expected one of them");
    return {
      type: "elasticsearch",
      ...server,
      ...(key === undefined
        ? {}
        : { authorization: { is: "header", type: "ApiKey", credentials: key } as const }),
      compression: compressionOf(table, "gzip"),
      index: indexOf(table),
      samplesPerRequest: countOf(table, "samples_per_request", BULK_DOCUMENTS, SAMPLES_MAX),
    };
  },
  weir: (table) => ({
    type: "weir",
    ...withPushPath(readServer(table)),
    samplesPerRequest: countOf(table, "samples_per_request", SAMPLES_PER_REQUEST, SAMPLES_MAX),
  }),
  ndjson: (table) => {
    const path = table.text("path");
    if (path === undefined) throw table.fault("path", "is missing");
    if (!isAbsolute(path)) throw table.fault("path", `is ${quote(path)}, expected an absolute path`);
    return { type: "ndjson", path };
  },
};

/** A gateway takes pushes at one path, so its address alone is enough. A URL with a path, as behind a proxy, stays. */
function withPushPath(server: DestinationServer): DestinationServer {
  const url = "text" in server.url ? URL.parse(server.url.text) : null;
  if (url === null || url.pathname !== "/") return server;
  url.pathname = PUSH_PATH;
  return { ...server, url: { text: url.href } };
}

function versionOf(table: SettingTable): 1 | 2 {
  const version = table.number("version");
  if (version === 1 || version === 2) return version;
  throw table.fault("version", `is ${version}, expected 1 or 2`);
}

function countOf(table: SettingTable, key: string, otherwise: number, max: number): number {
  if (!table.has(key)) return otherwise;
  const count = table.count(key);
  if (count >= 1 && count <= max) return count;
  throw table.fault(key, `is ${count}, expected a number from 1 to ${max}`);
}

function compressionOf(table: SettingTable, otherwise: HttpCompression): HttpCompression {
  return table.has("compression") ? table.word("compression", HTTP_COMPRESSIONS) : otherwise;
}

/** The name of an index, with at most one date. Elasticsearch rejects the other characters. */
function indexOf(table: SettingTable): string {
  const index = table.text("index") ?? "weir-metrics-%{+YYYY.MM.dd}";
  const name = index.replace("%{+YYYY.MM.dd}", "2026.01.31");
  if (/^[^-_+A-Z\s\\/*?"<>|,#:%{}][^A-Z\s\\/*?"<>|,#:%{}]{0,200}$/.test(name)) return index;
  throw table.fault(
    "index",
    `is ${quote(index)}, expected lower case letters, digits, "-", "_" and ".", and %{+YYYY.MM.dd} for the date`,
  );
}

/**
 * Reads where requests go, and how.
 *
 * @param timeoutMs the time limit of a request if the table has none
 * @param otherwise defaults of variables
 */
export function readServer(
  table: SettingTable,
  timeoutMs = TIMEOUT_MS,
  otherwise?: OtelExporter,
): DestinationServer {
  const given = table.secret("url");
  const url = given ?? (otherwise?.url === undefined ? undefined : { text: otherwise.url });
  if (url === undefined)
    throw table.fault(
      "url",
      otherwise === undefined ? "is missing" : "is missing, and OTEL_EXPORTER_OTLP_ENDPOINT is not set",
    );
  if ("text" in url) {
    const parsed = URL.parse(url.text);
    if (parsed === null || !/^https?:$/.test(parsed.protocol) || parsed.hash !== "")
      throw table.fault("url", "is not a URL, expected http://HOST:PORT/PATH or https://HOST/PATH");
    if (parsed.username !== "" || parsed.password !== "")
      throw table.fault("url", "has a user or a password, expected them in basic_auth");
  }
  const authorization = readAuthorization(table);
  const headers = readHeaders(table);
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  if (authorization !== undefined) names.add("authorization");
  return {
    url,
    authorization,
    tls: readTls(table.table("tls_config")) ?? otherwise?.tls,
    headers: [...(otherwise?.headers ?? []).filter(([name]) => !names.has(name)), ...headers],
    timeoutMs: table.duration("timeout", otherwise?.timeoutMs ?? timeoutMs, { min: 100, max: 600_000 }),
  };
}

function readHeaders(table: SettingTable): [string, string][] {
  return table.entries("headers").map(([name, value]): [string, string] => {
    if (!HEADER_NAME.test(name) || OWN_HEADERS.test(name))
      throw table.fault("headers", `has ${quote(name)}, expected a header that Weir does not set itself`);
    // It may be a secret.
    if (typeof value !== "string" || !HEADER_VALUE.test(value))
      throw table.fault("headers", `has no valid text for ${quote(name)}`);
    return [name, value];
  });
}

/** Names with texts that are not empty. */
function textsOf(table: SettingTable, key: string): Record<string, string> {
  return Object.fromEntries(
    table.entries(key).map(([name, value]) => {
      if (name !== "" && typeof value === "string" && value !== "") return [name, value];
      throw table.fault(key, `has ${quote(value)} for ${quote(name)}, expected a text that is not empty`);
    }),
  );
}

function readMatchers(table: SettingTable): AlertMatcher[] {
  return table.textOrTexts("matchers").flatMap((text) => {
    try {
      return parseAlertMatchers(text);
    } catch (error) {
      if (error instanceof MatcherFault) throw table.fault("matchers", `is invalid: ${error.message}`);
      throw error;
    }
  });
}

function readLabels(table: SettingTable): Record<string, string> {
  return Object.fromEntries(
    table.entries("labels").map(([name, value]) => {
      if (!LABEL_NAME.test(name)) throw table.fault("labels", `has ${quote(name)}, expected names of labels`);
      if (typeof value !== "string" || value === "")
        throw table.fault("labels", `has ${quote(value)} for ${name}, expected a text that is not empty`);
      return [name, value];
    }),
  );
}

/** One relabel_config, with Prometheus's defaults and its rules of what each action needs. */
function readRule(table: SettingTable): RelabelRule {
  const has = (key: string) => table.has(key);
  const action = has("action") ? table.word("action", RELABEL_ACTIONS) : "replace";
  const given = {
    source: has("source_labels"),
    separator: has("separator"),
    regex: has("regex"),
    replacement: has("replacement"),
  };
  const maybeEmpty = (key: string, otherwise: string) => table.textOrEmpty(key) ?? otherwise;
  const rule: RelabelRule = {
    sourceLabels: table.textOrTexts("source_labels"),
    separator: maybeEmpty("separator", ";"),
    regex: maybeEmpty("regex", "(.*)"),
    modulus: table.count("modulus"),
    targetLabel: table.text("target_label") ?? "",
    replacement: maybeEmpty("replacement", "$1"),
    action,
  };
  try {
    checkExpression(rule.regex);
  } catch (error) {
    throw table.fault("regex", `is ${quote(rule.regex)}, which is invalid: ${(error as Error).message}`);
  }
  table.end();
  const needsTarget = ["replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"];
  if (needsTarget.includes(action) && rule.targetLabel === "")
    throw table.fault("target_label", `is missing, expected one for the action ${action}`);
  if (needsTarget.slice(1).includes(action) && !LABEL_NAME.test(rule.targetLabel))
    throw table.fault("target_label", `is ${quote(rule.targetLabel)}, expected the name of a label`);
  if (action === "hashmod" && rule.modulus === 0)
    throw table.fault("modulus", "is missing, expected a number from 1 on for the action hashmod");
  if (["keepequal", "dropequal"].includes(action) && (given.regex || given.replacement || given.separator))
    throw table.fault("action", `is ${action}, which has only source_labels and target_label`);
  if (["labeldrop", "labelkeep"].includes(action) && (given.source || rule.targetLabel !== ""))
    throw table.fault("action", `is ${action}, which has only regex`);
  return rule;
}

/** The destinations for people, without secrets: name, type and where they are. */
export function formatDestinations(destinations: readonly Destination[]): string {
  return destinations
    .map(({ name, target }) => {
      if (target.type === "ndjson") return `${name}=ndjson:${target.path}`;
      const { url } = target;
      return `${name}=${target.type}:${"file" in url ? url.file : (URL.parse(url.text)?.origin ?? "")}`;
    })
    .join(" ");
}
