/** The parts of an address that become tags. Pure; never throws. */

export const UNKNOWN = "unknown";

/** The address without query, fragment and credentials; `unknown` if it is missing or invalid. */
export function urlWithoutQuery(url: unknown): string {
  const parsed = parse(url);
  if (parsed === undefined) return UNKNOWN;
  const text = String(url).trim();
  return text.replace(/[?#].*$/s, "").replace(/^([^:]*:\/\/)[^/]*@/, "$1");
}

/** The host of an address without its port; `unknown` if the address is missing or invalid. */
export function domainOf(url: unknown): string {
  return parse(url)?.hostname ?? UNKNOWN;
}

function parse(url: unknown): URL | undefined {
  try {
    const parsed = new URL(String(url));
    return parsed.hostname === "" ? undefined : parsed;
  } catch {
    return undefined;
  }
}
