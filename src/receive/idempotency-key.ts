/** Idempotency keys: a push that is sent again with the same key is stored once. */
import type { BodyHash } from "../wire/body-hash.ts";
import type { Idempotency } from "../ingest/contract.ts";
import { BadInput, quote } from "../model/errors.ts";

/** Long enough for a UUID with a prefix. Keys are kept in memory for a day. */
const KEY_LENGTH_MAX = 255;

/** The key of a request, if it has one. Throws `BadInput` if the key is invalid. */
export function readIdempotencyKey({
  headers,
}: {
  readonly headers: Pick<Headers, "get">;
}): string | undefined {
  const header = headers.get("idempotency-key");
  if (header === null) return undefined;
  if (header.length <= KEY_LENGTH_MAX && /^[\x20-\x7e]+$/.test(header)) return header;
  const is = header.length > KEY_LENGTH_MAX ? `has ${header.length} characters` : `is ${quote(header)}`;
  throw new BadInput(
    `Idempotency-Key ${is}; expected 1 to ${KEY_LENGTH_MAX} printable ASCII characters.`,
    "Idempotency-Key",
  );
}

/**
 * The idempotency of a push whose body is the same push whenever it is sent: without a key of the sender, the hash of the
 * query and the body is its key.
 *
 * @param scope a name that the keys of no other protocol have
 */
export function idempotencyOf(
  { bodyHash: hash }: { readonly bodyHash: Pick<BodyHash, "of"> },
  scope: string,
  key: string | undefined,
  query: string,
  body: Uint8Array,
): Idempotency {
  const bodyHash = hash.of(query, body);
  return key === undefined ? { scope: `${scope} body`, key: bodyHash, bodyHash } : { scope, key, bodyHash };
}
