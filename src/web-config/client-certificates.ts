/** Whether the certificate of a client is what the configuration expects, after the handshake. */
import type { TLSSocket } from "node:tls";
import { nodeNet } from "../program/deferred-libraries.ts";
import type { TlsVersion } from "./certificates.ts";

/** How a connection asks for a certificate, as options of node:tls. What they do not check, `clientFault` does. */
export function certificateRequest({ clientAuth }: Pick<TlsVersion, "clientAuth">): {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
} {
  return { requestCert: clientAuth !== "none", rejectUnauthorized: clientAuth === "verify" };
}

/** Why a client may not connect, without a secret. Undefined if it may. */
export function clientFault(
  socket: Pick<TLSSocket, "authorized" | "authorizationError" | "getPeerX509Certificate">,
  { clientAuth, allowedSans }: Pick<TlsVersion, "clientAuth" | "allowedSans">,
): string | undefined {
  if (clientAuth === "none" || clientAuth === "request") return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined)
    return clientAuth === "verify given" ? undefined : "the client has no certificate";
  if (clientAuth !== "any" && !socket.authorized)
    return `the certificate of the client is not valid (${String(socket.authorizationError)})`;
  if (allowedSans === undefined) return undefined;
  const names = alternativeNames(certificate.subjectAltName ?? "");
  return allowedSans.some((allowed) => names.has(canonical(allowed)))
    ? undefined
    : "the certificate of the client has none of the names of client_allowed_sans";
}

/**
 * The names of an extension subjectAltName: of DNS, of mail, of IP addresses and of URIs. node:crypto lists them as
 * `DNS:a, IP Address:::1`, and writes a value that could be mistaken for two as a text of JSON.
 */
export function alternativeNames(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [, kind, value] of text.matchAll(
    /(?:^|, )([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/g,
  )) {
    if (!["DNS", "email", "IP Address", "URI"].includes(kind!)) continue;
    const name = value!.startsWith('"') ? (JSON.parse(value!) as string) : value!;
    names.add(kind === "IP Address" ? canonical(name) : name);
  }
  return names;
}

/** An IPv6 address in its short form, as Prometheus compares it. Any other text as it is. */
function canonical(name: string): string {
  return nodeNet().isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
}
