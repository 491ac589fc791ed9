/** The parts of a URL as text. Text that is stored or that selects what to delete must be exactly what was sent. */

/** The path of an absolute URL, without its query: `http://localhost:9091/metrics?x=1` → `/metrics`. */
export function pathOf(url: string): string {
  const begin = url.indexOf("/", url.indexOf("://") + 3);
  if (begin === -1) return "/";
  const end = url.indexOf("?", begin);
  return end === -1 ? url.slice(begin) : url.slice(begin, end);
}

/** The query of a URL as it is written, without its `?`. */
export function queryText(url: string): string {
  const begin = url.indexOf("?");
  return begin === -1 ? "" : url.slice(begin + 1);
}

/** The query of a request's URL. Parses nothing else of the URL, because most URLs have no query. */
export function queryOf(url: string): URLSearchParams {
  return new URLSearchParams(queryText(url));
}

const REPLACEMENT = "\ufffd";

/**
 * Whether text of a URL had bytes that are not UTF-8. Bun and URLSearchParams replace each with U+FFFD, which makes
 * different texts equal. A client that sends the character itself cannot be distinguished, and is rejected too.
 */
export function holdsReplacement(text: string): boolean {
  return text.includes(REPLACEMENT);
}
