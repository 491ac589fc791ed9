/**
 * Guesses the format of a body that was sent to the wrong route, and says where that format is accepted. The guess is
 * used in messages, never for a decision.
 */
import { BadInput } from "../model/errors.ts";

/** Enough for the first lines of any supported format. */
export const HEAD_BYTES = 4_096;

const FORMATS: readonly (readonly [looks: RegExp, hint: string])[] = [
  // First, because "SELECT 1" would match as a metric and its value.
  [/^\s*(?:SELECT|WITH|FROM|DESCRIBE|SHOW)\s/i, "The body looks like SQL: send it to /api/v1/sql."],
  // # TYPE name counter; name{label="value"} 1.5; name 1.5
  [
    /^(?:\s*#[^\n]*\n)*\s*(?:#\s*(?:TYPE|HELP|UNIT)\s|[a-zA-Z_:][\w:]*(?:\{[^\n]*\})?[ \t]+[-+]?(?:[\d.][-+.\w]*|Inf|NaN)(?:[ \t]+-?[\d.]+)?[ \t]*(?:\n|$))/,
    "The body looks like Prometheus text: push it to /metrics/job/NAME.",
  ],
  [
    /^\s*\{\s*"resource(?:M|_m)etrics"\s*:/,
    "The body looks like metrics of OpenTelemetry: send them to /v1/metrics.",
  ],
  [
    /^\s*\{\s*"resource(?:S|_s)pans"\s*:/,
    "The body looks like traces of OpenTelemetry: Weir stores metrics only.",
  ],
  [
    /^\s*\{\s*"resource(?:L|_l)ogs"\s*:/,
    "The body looks like logs of OpenTelemetry: Weir stores metrics only.",
  ],
  [
    /^\s*\{\s*"series"\s*:[\s\S]*"points"\s*:\s*\[\s*\{/,
    "The body looks like series of Datadog: send them to /datadog/api/v2/series.",
  ],
  [
    /^\s*\{\s*"series"\s*:[\s\S]*"points"\s*:\s*\[\s*\[/,
    "The body looks like series of Datadog: send them to /datadog/api/v1/series.",
  ],
  [
    /^\s*\{\s*"metric"\s*:\s*\{[^\n]*"(?:values|timestamps)"\s*:\s*\[/,
    "The body looks like JSON lines of VictoriaMetrics: send them to /api/v1/import.",
  ],
  [
    /^\s*[[{][\s\S]*"(?:metric_name|name|value|tags)"\s*:/,
    "The body looks like JSON events: push them to /api/v1/push.",
  ],
  [
    // No comma in a value, so that there is one way to match.
    /^[^\s,{}="]+(?:,[^\s=,]+=[^\s,]+)* [^\s=]+=[^\n]+/,
    "The body looks like InfluxDB line protocol: send it to /write.",
  ],
];

/** Compressed data that came without `Content-Encoding`, by their magic numbers (RFC 1952, RFC 8878). */
const ENCODINGS: readonly (readonly [encoding: string, magic: readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/**
 * Returns the result of `decode`. If the body is malformed and looks like a format that another route accepts, the
 * message says so. `own` is the path of the route itself.
 */
export async function decodeWithHint<Decoded>(
  body: Uint8Array,
  own: string,
  decode: () => Decoded | Promise<Decoded>,
): Promise<Decoded> {
  try {
    return await decode();
  } catch (error) {
    if (!(error instanceof BadInput) || Object.getPrototypeOf(error) !== BadInput.prototype) throw error;
    const hint = unreadHint(body, own);
    if (hint === "") throw error;
    throw new BadInput(`${error.message.replace(/\.?$/, ".")} ${hint}`, error.field);
  }
}

/**
 * A sentence about a body of which the route whose path is `own` could read nothing: its encoding, or its format. Empty if
 * neither is recognised.
 */
export function unreadHint(body: Uint8Array, own: string): string {
  const hint = encodingHint(body) ?? bodyHint(body.subarray(0, HEAD_BYTES)) ?? "";
  return hint.includes(`${own}.`) ? "" : hint;
}

/** A sentence about the format of a body that begins with these bytes. Undefined if it matches no known format. */
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
