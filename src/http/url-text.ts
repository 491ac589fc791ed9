/** Text that a URL carries, where it is stored or deletes what is stored: it must be what the client sent. */

const REPLACEMENT = "\ufffd";

/**
 * Whether text of a URL has bytes that were not UTF-8. Bun and URLSearchParams put U+FFFD in the place of each, which
 * makes one text of two; who means the character itself cannot be told from that, and is rejected too.
 */
export function holdsReplacement(text: string): boolean {
  return text.includes(REPLACEMENT);
}
