/**
 * What the requests have in common that the gateway itself sends, of scrapes and notifications: credentials, certificates,
 * bodies with a limit, and reasons of failures. No error has a secret.
 */
import type { ScrapeAuthorization, ScrapeTls, Secret } from "../model/scrape-job.ts";
import { ByteParts } from "./byte-parts.ts";

const SECRET_BYTES_MAX = 65_536;

/** Words for the codes of the errors of a connection. */
const CONNECTION_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the target",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the name of the host cannot be resolved at the moment",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "the network is unreachable",
};

/** A secret or a certificate cannot be used. The message does not contain it. */
export class SecretFault extends Error {
  override readonly name = "SecretFault";
}

/** A body has more bytes than a limit. */
export class BodyOverLimit extends Error {
  override readonly name = "BodyOverLimit";
}

/**
 * The value of the header Authorization.
 *
 * @throws SecretFault
 */
export async function authorizationHeader(authorization: ScrapeAuthorization): Promise<string> {
  if (authorization.is === "header")
    return `${authorization.type} ${await secretText(authorization.credentials)}`;
  const { username, password } = authorization;
  return `Basic ${Buffer.from(`${username}:${await secretText(password)}`).toString("base64")}`;
}

/**
 * A secret. A file is read each time, so that it can be replaced.
 *
 * @throws SecretFault
 */
export async function secretText(secret: Secret): Promise<string> {
  const text = "file" in secret ? (await textOfFile(secret.file)).trim() : secret.text;
  // Another request could follow a line feed.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds control characters
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new SecretFault("the password or the credentials contain a control character");
  return text;
}

async function textOfFile(path: string): Promise<string> {
  try {
    const file = Bun.file(path);
    if (file.size > SECRET_BYTES_MAX) throw new Error("it is too large");
    return await file.text();
  } catch (error) {
    const why = (error as { code?: string }).code ?? (error as Error).message;
    throw new SecretFault(`the file ${JSON.stringify(path)} cannot be read: ${why}`);
  }
}

/**
 * The options of a TLS connection, as `fetch` takes them.
 *
 * @throws SecretFault
 */
export async function tlsOptions({ caFile, certFile, keyFile, serverName, insecureSkipVerify }: ScrapeTls) {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await textOfFile(path));
  return {
    ca: await read(caFile),
    cert: await read(certFile),
    key: await read(keyFile),
    ...(serverName === undefined ? {} : { serverName }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}

/**
 * The body of an answer.
 *
 * @throws BodyOverLimit
 */
export async function readLimitedBody(response: Response, bytesMax: number): Promise<Uint8Array> {
  const parts = new ByteParts();
  for await (const chunk of response.body ?? []) {
    // Leaving the loop cancels the body.
    if (parts.length + chunk.length > bytesMax) throw new BodyOverLimit();
    parts.add(chunk);
  }
  return parts.take();
}

/** Why a connection failed. */
export function connectionFault(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === "string" ? CONNECTION_ERRORS[code] : undefined;
  return known ?? String(message ?? error).slice(0, 200);
}
