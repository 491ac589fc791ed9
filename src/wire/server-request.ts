/**
 * What the requests to a server of the settings have in common: its URL, credentials and certificates, and texts of it
 * without secrets.
 */
import manifest from "../../package.json" with { type: "json" };
import type { DestinationServer } from "../model/forwarding/destination.ts";
import { authorizationHeader, SecretFault, secretText, tlsOptions } from "./outgoing-request.ts";

/** The rest of the options of `fetch`, and what belongs to the answer. */
export interface ServerRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Redirects are not followed, since another host would get the credentials. */
  readonly options: BunFetchRequestInit;
  /** A text of the server without secrets: some servers quote the headers of the request, or its query. */
  withoutSecrets(text: string): string;
}

const LOOPBACK = /^(localhost|127(\.[0-9]+){3}|\[::1\])$/;
/** A shorter text is no secret, and may be a part of any word. */
const SECRET_CHARACTERS_MIN = 4;

/**
 * Prepares a request. Files of secrets are read each time, so that they can be replaced.
 *
 * @throws SecretFault if a file is missing or has no valid text
 */
export async function serverRequest({
  url: given,
  headers,
  secretHeaders = [],
  authorization,
  tls,
}: DestinationServer): Promise<ServerRequest> {
  const url = URL.parse(await secretText(given));
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new SecretFault("the file of the URL has no http or https URL");
  const sent: Record<string, string> = {
    ...Object.fromEntries(headers),
    "user-agent": `weir/${manifest.version}`,
  };
  for (const [name, value] of secretHeaders) sent[name] = await secretText(value);
  if (authorization !== undefined) sent.authorization = await authorizationHeader(authorization);
  return {
    url,
    headers: sent,
    options: {
      redirect: "manual",
      // By default, Bun stops after five minutes,
      timeout: false,
      ...(tls === undefined ? {} : { tls: await tlsOptions(tls) }),
      // and uses the proxy of the environment also for this machine.
      ...(LOOPBACK.test(url.hostname) ? { proxy: false } : {}),
    } as unknown as BunFetchRequestInit,
    withoutSecrets: (text) => withoutSecrets(text, url, sent),
  };
}

/** Headers whose values are secrets, whoever set them. */
const SECRET_HEADER = /auth|key|token|secret|password/i;

function withoutSecrets(
  text: string,
  { search, searchParams }: URL,
  headers: Readonly<Record<string, string>>,
): string {
  const { authorization } = headers;
  const kept = Object.entries(headers).filter(([name]) => SECRET_HEADER.test(name));
  const [, credentials = ""] = authorization?.split(" ") ?? [];
  const decoded = /^Basic /.test(authorization ?? "") ? Buffer.from(credentials, "base64").toString() : "";
  return [
    ...[credentials, decoded, decoded.slice(decoded.indexOf(":") + 1), search, ...searchParams.values()],
    ...kept.map(([, value]) => value),
  ]
    .filter((secret) => secret.length >= SECRET_CHARACTERS_MIN)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
}
