/**
 * The text of a web.yml, the web configuration file of Prometheus and its exporters
 * (https://prometheus.io/docs/prometheus/latest/configuration/https/). Pure: paths are resolved, and no file is read.
 *
 * Reading is strict, as in Prometheus: an unknown field, a field that is given twice and an unknown name are errors. A
 * message names the field. It never quotes a password, a key, or a line of the file.
 */
import { isAbsolute, join } from "node:path";
import type { SecureVersion } from "node:tls";
import { parseDurationMs } from "../model/duration.ts";
import { quote } from "../model/errors.ts";
import { nearest } from "../model/nearest.ts";
import { yaml } from "../program/deferred-libraries.ts";
import { CIPHERS, CIPHERS_13, CURVES, TLS_VERSIONS } from "./tls-names.ts";

/** A file, or a certificate or key, cannot be used. The message names it and the reason, a sentence. */
export class WebConfigError extends Error {
  override readonly name = "WebConfigError";
}

/** PEM, in a file or in the configuration itself. `field` names the source for errors. */
export type PemSource =
  | { readonly field: string; readonly file: string; readonly text?: undefined }
  | { readonly field: string; readonly text: string; readonly file?: undefined };

/**
 * What is expected of the certificate of a client: `none` is not asked for, `request` is asked for and may be any,
 * `any` must be there and may be any, `verify given` is verified if there is one, `verify` must be there and is verified.
 */
export type ClientAuth = "none" | "request" | "any" | "verify given" | "verify";

export interface TlsConfig {
  readonly cert: PemSource;
  readonly key: PemSource;
  readonly clientAuth: ClientAuth;
  readonly clientCa: PemSource | undefined;
  /** Of which a client certificate must have one. Undefined if any is allowed. */
  readonly allowedSans: readonly string[] | undefined;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  /** In the words of the TLS library; undefined for its defaults. */
  readonly ciphers: string | undefined;
  readonly curves: string | undefined;
  readonly prefersServerCiphers: boolean;
}

export interface WebConfig {
  readonly tls: TlsConfig | undefined;
  /** Only if the file says so. */
  readonly http2: boolean;
  readonly headers: readonly (readonly [string, string])[];
  /** The bcrypt hash of the password of each user. */
  readonly users: ReadonlyMap<string, string>;
  /** Undefined if requests are not limited. */
  readonly rateLimit: { readonly intervalMs: number; readonly burst: number } | undefined;
}

/** TLS with a certificate and nothing else, as in a web.yml with these two files only. */
export function tlsOfFiles(cert: PemSource, key: PemSource): TlsConfig {
  return {
    cert,
    key,
    clientAuth: "none",
    clientCa: undefined,
    allowedSans: undefined,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ciphers: undefined,
    curves: undefined,
    prefersServerCiphers: true,
  };
}

const CLIENT_AUTH: Readonly<Record<string, ClientAuth>> = {
  NoClientCert: "none",
  RequestClientCert: "request",
  RequireAnyClientCert: "any",
  // The name of older versions.
  RequireClientCert: "any",
  VerifyClientCertIfGiven: "verify given",
  RequireAndVerifyClientCert: "verify",
};

/** The headers that a file may set, with their values if only some are allowed. */
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  "Content-Security-Policy": [],
  "X-Frame-Options": ["deny", "sameorigin"],
  "X-Content-Type-Options": ["nosniff"],
  "X-XSS-Protection": [],
  "Strict-Transport-Security": [],
};

/** bcrypt in its usual form: version, cost, and 53 characters of salt and hash. */
const BCRYPT = /^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$/;

/**
 * Reads the text of a file.
 *
 * @param name the file, for errors
 * @param directory what its paths are relative to
 * @throws WebConfigError
 */
export function readWebConfig(text: string, name: string, directory: string): WebConfig {
  // Prometheus reads YAML 1.1, in which `yes` and `on` are true.
  const document = yaml().parseDocument(text, { version: "1.1", prettyErrors: false, logLevel: "silent" });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = text.slice(0, error.pos[0]).split("\n").length;
    throw new WebConfigError(`${name} is not valid YAML in line ${line} (${error.code}).`);
  }
  let root: unknown;
  try {
    root = document.toJS({ maxAliasCount: 100 });
  } catch {
    throw new WebConfigError(`${name} has too many aliases.`);
  }
  const fields = new Fields(root, name, "");
  const tls = readTls(fields.object("tls_server_config"), directory);
  const http = fields.object("http_server_config");
  const config: WebConfig = {
    tls,
    http2: http.flag("http2", false),
    headers: readHeaders(http.object("headers")),
    users: readUsers(fields.object("basic_auth_users")),
    rateLimit: readRateLimit(fields.object("rate_limit")),
  };
  http.end();
  fields.end();
  return config;
}

function readTls(fields: Fields, directory: string): TlsConfig | undefined {
  const source = (field: string): PemSource | undefined => {
    const text = fields.text(field);
    const path = fields.text(`${field}_file`);
    if (path !== "") return { field: `${field}_file`, file: isAbsolute(path) ? path : join(directory, path) };
    return text === "" ? undefined : { field, text };
  };
  const cert = source("cert");
  const key = source("key");
  const clientCa = source("client_ca");
  const authText = fields.text("client_auth_type");
  const ciphers = fields.texts("cipher_suites") ?? [];
  const curves = fields.texts("curve_preferences") ?? [];
  const allowedSans = fields.texts("client_allowed_sans");
  const prefersServerCiphers = fields.flag("prefer_server_cipher_suites", true);
  const version = (field: string, otherwise: string) =>
    fields.one(field, TLS_VERSIONS, fields.text(field) || otherwise);
  let minVersion = version("min_version", "TLS12");
  const maxVersion = version("max_version", "TLS13");
  const clientAuth = fields.one("client_auth_type", CLIENT_AUTH, authText || "NoClientCert");
  const known = { ...CIPHERS, ...Object.fromEntries(CIPHERS_13.map((cipher) => [cipher, ""])) };
  const cipherNames = ciphers.map((cipher) => fields.one("cipher_suites", known, cipher)).filter(Boolean);
  const curveNames = curves.map((curve) => fields.one("curve_preferences", CURVES, curve));
  fields.end();

  const isGiven = [cert, key, clientCa].some((each) => each !== undefined) || authText !== "";
  if (!isGiven) return undefined;
  if (cert === undefined) throw fields.fault("cert_file", "is missing");
  if (key === undefined) throw fields.fault("key_file", "is missing");
  if (minVersion > maxVersion) throw fields.fault("min_version", "is newer than max_version");
  if (clientCa !== undefined && clientAuth === "none") {
    throw fields.fault(
      clientCa.field,
      "is given, but client_auth_type asks for no client certificates, expected RequireAndVerifyClientCert",
    );
  }
  if (allowedSans !== undefined && clientAuth !== "any" && clientAuth !== "verify") {
    throw fields.fault(
      "client_allowed_sans",
      "is given, but client_auth_type does not require a client certificate, expected RequireAndVerifyClientCert " +
        "or RequireAnyClientCert",
    );
  }
  // Without a cipher of TLS 1.2, only TLS 1.3 works.
  if (ciphers.length > 0 && cipherNames.length === 0) {
    if (maxVersion !== "TLSv1.3")
      throw fields.fault("cipher_suites", "has only ciphers of TLS 1.3, which max_version does not allow");
    minVersion = "TLSv1.3";
  }
  return {
    cert,
    key,
    clientAuth,
    clientCa,
    allowedSans,
    minVersion,
    maxVersion,
    ciphers: cipherNames.length === 0 ? undefined : cipherNames.join(":"),
    curves: curveNames.length === 0 ? undefined : curveNames.join(":"),
    prefersServerCiphers,
  };
}

function readHeaders(fields: Fields): [string, string][] {
  return fields.names().flatMap((header): [string, string][] => {
    const allowed = Object.hasOwn(HEADERS, header) ? HEADERS[header]! : undefined;
    if (allowed === undefined)
      throw fields.fault(header, `cannot be set, expected one of ${Object.keys(HEADERS).join(", ")}`);
    const value = fields.text(header);
    if (allowed.length > 0 && !allowed.includes(value))
      throw fields.fault(header, `is ${quote(value)}, expected ${allowed.join(" or ")}`);
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value)) throw fields.fault(header, "is not the value of a header");
    return value === "" ? [] : [[header, value]];
  });
}

function readUsers(fields: Fields): Map<string, string> {
  return new Map(
    fields.names().map((user): [string, string] => {
      const hash = fields.text(user);
      // The hash is a secret. A password in plain text even more so.
      if (!BCRYPT.test(hash))
        throw fields.fault(user, 'is not a hash of bcrypt, expected the output of "htpasswd -nBC 10 USER"');
      return [user, hash];
    }),
  );
}

/** Go's integers are nanoseconds. */
const NS_PER_MS = 1e6;

function readRateLimit(fields: Fields): WebConfig["rateLimit"] {
  const text = fields.text("interval");
  const burst = Number(fields.text("burst") || "0");
  const intervalMs = /^[0-9]+$/.test(text)
    ? Number(text) / NS_PER_MS
    : text === ""
      ? 0
      : parseDurationMs(text, "decimals");
  if (intervalMs === undefined)
    throw fields.fault("interval", `is ${quote(text)}, expected a duration such as 100ms`);
  if (!Number.isSafeInteger(burst) || burst < 0)
    throw fields.fault("burst", `is ${quote(fields.text("burst"))}, expected a whole number`);
  fields.end();
  if (intervalMs === 0) return undefined;
  // Otherwise every request would be rejected.
  if (burst === 0) throw fields.fault("burst", "is missing, expected at least 1");
  return { intervalMs, burst };
}

/** The fields of one object, each of which must be read. */
class Fields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #file: string;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(value: unknown, file: string, path: string) {
    this.#file = file;
    this.#path = path;
    if (value !== undefined && value !== null && (typeof value !== "object" || Array.isArray(value)))
      throw new WebConfigError(`${path === "" ? "The content" : path} of ${file} is not a map of fields.`);
    this.#values = new Map(Object.entries(value ?? {}));
  }

  fault(field: string, why: string): WebConfigError {
    const path = this.#path === "" ? field : `${this.#path}.${field}`;
    return new WebConfigError(`${path} of ${this.#file} ${why}.`);
  }

  names(): string[] {
    return [...this.#values.keys()];
  }

  object(field: string): Fields {
    this.#read.add(field);
    const path = this.#path === "" ? field : `${this.#path}.${field}`;
    return new Fields(this.#values.get(field), this.#file, path);
  }

  /** A text, or a number or a word as it is a text in YAML. Empty if it is absent. */
  text(field: string): string {
    this.#read.add(field);
    const value = this.#values.get(field) ?? "";
    if (typeof value === "string") return value;
    if (typeof value === "object") throw this.fault(field, "is not a text");
    return String(value);
  }

  /** Undefined if it is absent or null. */
  texts(field: string): string[] | undefined {
    this.#read.add(field);
    const value = this.#values.get(field) ?? undefined;
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((each) => typeof each === "object"))
      throw this.fault(field, "is not a list of texts");
    return value.map(String);
  }

  flag(field: string, otherwise: boolean): boolean {
    this.#read.add(field);
    const value = this.#values.get(field) ?? otherwise;
    if (typeof value !== "boolean") throw this.fault(field, "is not true or false");
    return value;
  }

  /** What a name stands for. */
  one<T>(field: string, table: Readonly<Record<string, T>>, name: string): T {
    if (Object.hasOwn(table, name)) return table[name]!;
    const near = nearest(name, Object.keys(table));
    const hint =
      near === undefined ? `expected one of ${Object.keys(table).join(", ")}` : `did you mean ${near}?`;
    throw new WebConfigError(
      `${this.#path}.${field} of ${this.#file} is ${quote(name)}, which is unknown; ${hint.replace(/([^?])$/, "$1.")}`,
    );
  }

  /** Rejects the fields that were not read. */
  end(): void {
    const unknown = this.names().find((name) => !this.#read.has(name));
    if (unknown === undefined) return;
    const near = nearest(unknown, this.#read);
    throw this.fault(
      quote(unknown).slice(1, -1),
      `is not a field of web.yml${near === undefined ? "" : `, expected ${near}`}`,
    );
  }
}
