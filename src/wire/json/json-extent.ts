/** Finds where JSON values and lines end, from brackets and quotation marks alone. Checks nothing else. */

const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, QUOTE, BACKSLASH] = [9, 10, 13, 32, 34, 92];
const [COMMA, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [44, 91, 93, 123, 125];
const DEPTH_MAX = 64;

/** The first position from `at` on that is not white space, or `limit`, which may be behind the end. */
export function skipSpace(bytes: Uint8Array, at: number, limit = bytes.length): number {
  const end = Math.min(limit, bytes.length);
  let position = at;
  while (position < end) {
    const byte = bytes[position]!;
    if (byte !== SPACE && byte !== LINE_FEED && byte !== CARRIAGE_RETURN && byte !== TAB) break;
    position++;
  }
  return position;
}

/** The position of the next line feed, or the end. */
export function endOfLine(bytes: Uint8Array, at: number): number {
  const feed = bytes.indexOf(LINE_FEED, at);
  return feed < 0 ? bytes.length : feed;
}

/** The position after the value that begins at `at`; -1 if `limit` truncates it, or it is nested too deep. */
export function endOfValue(bytes: Uint8Array, at: number, limit = bytes.length): number {
  const first = bytes[at];
  if (first === COMMA || first === CLOSE_BRACKET || first === CLOSE_BRACE) return -1;
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return endOfScalar(bytes, at, limit);
  let depth = 0;
  for (let position = at; position < limit; position++) {
    const byte = bytes[position];
    if (byte === QUOTE) {
      position = endOfString(bytes, position, limit) - 1;
      if (position < 0) return -1;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > DEPTH_MAX) return -1;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth === 0) return position + 1;
    }
  }
  return -1;
}

function endOfScalar(bytes: Uint8Array, at: number, limit: number): number {
  if (bytes[at] === QUOTE) return endOfString(bytes, at, limit);
  for (let position = at; position < limit; position++) {
    const byte = bytes[position]!;
    if (byte === COMMA || byte === CLOSE_BRACKET || byte === CLOSE_BRACE || byte <= SPACE) return position;
  }
  return limit;
}

/** The position after a string that opens at `at`; -1 if it is truncated. */
function endOfString(bytes: Uint8Array, at: number, limit: number): number {
  for (let position = at + 1; position < limit; position++) {
    const byte = bytes[position];
    if (byte === BACKSLASH) position++;
    else if (byte === QUOTE) return position + 1;
  }
  return -1;
}
