/**
 * Formats and parses numbers and strings as PromQL does. The rules are those of Go's strconv, because every
 * client of Prometheus expects them.
 */

/** The shortest decimal that reads back as the same number, never with an exponent: Go's format 'f'. */
export function formatDecimal(value: number): string {
  const short = formatFloat(value);
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(short);
  if (match === null) return short;
  const [, sign, first, rest = "", exponent] = match;
  const digits = first + rest;
  const point = 1 + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return sign + digits.padEnd(point, "0");
}

/** A sample's value in JSON: the shortest form, with an exponent below 1e-6 and from 1e21 on, as in Prometheus. */
export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Parses a decimal as Go's ParseFloat does; undefined if it is invalid, like hexadecimals without an exponent. */
export function parseFloatStrict(text: string): number | undefined {
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  if (!/^[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d[\d_]*)?$/i.test(text)) return undefined;
  // Underscores are only allowed between digits.
  if (/_(?!\d)|(?<!\d)_/.test(text)) return undefined;
  return Number(text.replaceAll("_", ""));
}

/**
 * Bytes that are not UTF-8 are kept in a string as lone surrogates U+DC80 to U+DCFF, so that they can be detected,
 * rejected and printed.
 */
const BYTE_ESCAPE = 0xdc00;

/** Whether UTF-8 can represent a string. */
export function isValidText(text: string): boolean {
  return text.isWellFormed();
}

/** Quotes as Go's %q does. */
export function quoteText(text: string): string {
  let quoted = "";
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (character === '"' || character === "\\") quoted += `\\${character}`;
    else if (character === "\n") quoted += "\\n";
    else if (character === "\t") quoted += "\\t";
    else if (character === "\r") quoted += "\\r";
    else if (code >= BYTE_ESCAPE + 0x80 && code <= BYTE_ESCAPE + 0xff)
      quoted += `\\x${(code - BYTE_ESCAPE).toString(16)}`;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else quoted += character;
  }
  return `"${quoted}"`;
}

const SIMPLE_ESCAPES: Record<string, number> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  "'": 39,
  '"': 34,
};

/** Parses a quoted string with Go's escapes; undefined if it is invalid. Backquotes have no escapes. */
export function unquoteText(quoted: string): string | undefined {
  const quote = quoted[0];
  if (quoted.length < 2 || quoted.at(-1) !== quote) return undefined;
  const body = quoted.slice(1, -1);
  if (quote === "`") return body.includes("`") ? undefined : body;
  if (quote !== '"' && quote !== "'") return undefined;
  if (!body.includes("\\")) return body.includes("\n") || body.includes(quote) ? undefined : body;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  const sequence = /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
  for (let at = 0; at < body.length; ) {
    if (body[at] !== "\\") {
      const character = String.fromCodePoint(body.codePointAt(at)!);
      if (character === quote || character === "\n") return undefined;
      bytes.push(...encoder.encode(character));
      at += character.length;
      continue;
    }
    sequence.lastIndex = at;
    const match = sequence.exec(body);
    if (match === null) return undefined;
    const [whole, simple, hex, octal, short, long] = match;
    if (simple !== undefined) bytes.push(SIMPLE_ESCAPES[simple]);
    else if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else if (octal !== undefined) bytes.push(Number.parseInt(octal, 8) & 0xff);
    else {
      const code = Number.parseInt(short ?? long, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
      bytes.push(...encoder.encode(String.fromCodePoint(code)));
    }
    at += whole.length;
  }
  return decodeBytes(Uint8Array.from(bytes));
}

/** Decodes UTF-8, and keeps each invalid byte as a lone surrogate. */
function decodeBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const length = bytes[at] < 0x80 ? 1 : bytes[at] >= 0xf0 ? 4 : bytes[at] >= 0xe0 ? 3 : 2;
      const piece = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(at, at + length));
      const whole = at + length <= bytes.length && !piece.includes("\ufffd");
      text += whole ? piece : String.fromCharCode(BYTE_ESCAPE + bytes[at]);
      at += whole ? length : 1;
    }
    return text;
  }
}
