/**
 * Certificates and keys, read from their files and made ready for connections. Everything that is wrong with them is a
 * `WebConfigError` here, before a connection needs them. Errors quote no key.
 */
import type { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { SecureContext } from "node:tls";
import { nodeCrypto, nodeTls } from "../program/deferred-libraries.ts";
import { quote, shellWord } from "../model/errors.ts";
import { type ClientAuth, type PemSource, type TlsConfig, WebConfigError } from "./web-config.ts";

/** What a listener needs to accept connections. */
export interface TlsVersion {
  readonly context: SecureContext;
  readonly clientAuth: ClientAuth;
  readonly allowedSans: readonly string[] | undefined;
  /** The certificate of the gateway. */
  readonly certificate: X509Certificate;
}

/** Reads the files of a configuration. Throws `WebConfigError`. */
export function loadTls(config: TlsConfig): TlsVersion {
  const cert = read(config.cert);
  const key = read(config.key);
  const ca = config.clientCa === undefined ? undefined : read(config.clientCa);
  const [certificate] = certificatesIn(cert, config.cert);
  if (ca !== undefined && config.clientCa !== undefined) certificatesIn(ca, config.clientCa);
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: .*ENCRYPTED/m.test(key))
    throw new WebConfigError(`${nameOf(config.key)} is encrypted, expected a key without a passphrase.`);
  try {
    const context = nodeTls().createSecureContext({
      cert,
      key,
      ca,
      minVersion: config.minVersion,
      maxVersion: config.maxVersion,
      ciphers: config.ciphers,
      ecdhCurve: config.curves,
      honorCipherOrder: config.prefersServerCiphers,
    });
    const { clientAuth, allowedSans } = config;
    return { context, clientAuth, allowedSans, certificate: certificate! };
  } catch (error) {
    throw new WebConfigError(reasonOf(error, config));
  }
}

/** The files that a configuration names. */
export function filesOf({ cert, key, clientCa }: TlsConfig): string[] {
  return [cert, key, clientCa].flatMap((source) => (source?.file === undefined ? [] : [source.file]));
}

const SOON_MS = 14 * 86_400_000;

/** Whether clients will reject the certificate at this time, and what else an administrator should know. */
export function tlsFindings(
  config: TlsConfig,
  { certificate }: TlsVersion,
  nowMs: number,
): { readonly state: "fault" | "warning"; readonly text: string }[] {
  const findings: { state: "fault" | "warning"; text: string }[] = [];
  const name = nameOf(config.cert);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const at = (ms: number) => new Date(ms).toISOString();
  if (nowMs > to) findings.push({ state: "fault", text: `${name} expired at ${at(to)}.` });
  else if (nowMs < from) findings.push({ state: "fault", text: `${name} is not valid before ${at(from)}.` });
  else if (to - nowMs < SOON_MS) findings.push({ state: "warning", text: `${name} expires at ${at(to)}.` });
  const { file } = config.key;
  const mode = file === undefined ? 0 : (statSync(file, { throwIfNoEntry: false })?.mode ?? 0);
  if ((mode & 0o007) !== 0) {
    const octal = (mode & 0o777).toString(8);
    findings.push({
      state: "warning",
      text: `${nameOf(config.key)} has the mode ${octal}, so every user of this machine can use it: run "chmod 640 ${shellWord(file!)}".`,
    });
  }
  return findings;
}

function nameOf(source: PemSource): string {
  return source.file === undefined ? source.field : `${source.field} ${quote(source.file)}`;
}

function read(source: PemSource): string {
  if (source.file === undefined) return source.text;
  try {
    return readFileSync(source.file, "utf8");
  } catch (error) {
    throw new WebConfigError(`${nameOf(source)} cannot be read: ${(error as Error).message}.`);
  }
}

function certificatesIn(pem: string, source: PemSource): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new WebConfigError(`${nameOf(source)} has no certificate in PEM.`);
  try {
    return blocks.map((block) => new (nodeCrypto().X509Certificate)(block));
  } catch {
    throw new WebConfigError(`${nameOf(source)} has a certificate that cannot be read.`);
  }
}

function reasonOf(error: unknown, config: TlsConfig): string {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  const [cert, key] = [nameOf(config.cert), nameOf(config.key)];
  if (/KEY_(VALUES|TYPE)_MISMATCH/.test(code)) return `${key} does not belong to ${cert}.`;
  if (/PEM|DECODE|ASN1/.test(code)) return `${key} is not a private key in PEM.`;
  return `${cert} and ${key} cannot be used: ${code || message}.`;
}
