/** Text of a URL that is stored or that selects what to delete. It must be exactly what the client sent. */

const REPLACEMENT = "\ufffd";

/**
 * Whether text of a URL had bytes that are not UTF-8. Bun and URLSearchParams replace each with U+FFFD, which makes
 * different texts equal. A client that sends the character itself cannot be distinguished, and is rejected too.
 */
export function holdsReplacement(text: string): boolean {
  return text.includes(REPLACEMENT);
}
