/**
 * What the beginning of a body looks like, for a request that came to the wrong route: which format it is, and where
 * that format is accepted. A guess for a message, never a decision.
 */
import { BadInput } from "../model/errors.ts";

/** Enough for the first lines of whatever is pushed. */
export const HEAD_BYTES = 4_096;

const FORMATS: readonly (readonly [looks: RegExp, hint: string])[] = [
  // First, since "SELECT 1" would pass for a metric and its value.
  [/^\s*(?:SELECT|WITH|FROM|DESCRIBE|SHOW)\s/i, "The body looks like SQL: send it to /api/v1/sql."],
  // # TYPE name counter; name{label="value"} 1.5; name 1.5
  [
    /^(?:\s*#[^\n]*\n)*\s*(?:#\s*(?:TYPE|HELP|UNIT)\s|[a-zA-Z_:][\w:]*(?:\{[^\n]*\})?[ \t]+[-+.\w]+(?:[ \t]+-?[\d.]+)?[ \t]*(?:\n|$))/,
    "The body looks like Prometheus text: push it to /metrics/job/NAME.",
  ],
  [
    /^\s*[[{][\s\S]*"(?:metric_name|name|value|tags)"\s*:/,
    "The body looks like JSON events: push them to /api/v1/push.",
  ],
  [
    /^[^\s,{}="]+(?:,[^\s=]+=[^\s]+)* [^\s=]+=[^\n]+/,
    "The body looks like InfluxDB line protocol, which is not supported: push JSON events to /api/v1/push.",
  ],
];

/** Compressed data that came without `Content-Encoding`, by their magic numbers (RFC 1952, RFC 8878). */
const ENCODINGS: readonly (readonly [encoding: string, magic: readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/**
 * What `decode` gives for a body. Where it finds the body malformed, and the body looks like a format that another route
 * takes, or like compressed data, the message says so too; `own` is the route's own path.
 */
export function decodeWithHint<Decoded>(body: Uint8Array, own: string, decode: () => Decoded): Decoded {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof BadInput) || Object.getPrototypeOf(error) !== BadInput.prototype) throw error;
    const hint = encodingHint(body) ?? bodyHint(body.subarray(0, HEAD_BYTES));
    if (hint === undefined || hint.includes(`${own}.`)) throw error;
    throw new BadInput(`${error.message.replace(/\.?$/, ".")} ${hint}`, error.field);
  }
}

/** The sentence on a body that begins with these bytes; undefined where it looks like nothing known. */
export function bodyHint(head: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(head);
  return FORMATS.find(([looks]) => looks.test(text))?.[1];
}

function encodingHint(body: Uint8Array): string | undefined {
  const found = ENCODINGS.find(([, magic]) => magic.every((byte, index) => body[index] === byte))?.[0];
  return (
    found && `The body looks compressed with ${found}: send the header "Content-Encoding: ${found}" with it.`
  );
}
