/** The path of a group in Pushgateway's API. Pure. */

/** The labels of a group as a selector: `{instance="db-1", job="backup"}`. */
export function groupText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `{${pairs.join(", ")}}`;
}

/**
 * `/metrics/job@base64/…`, which `DELETE` deletes. Values are in base64, because a value may contain a slash, a dot or
 * nothing.
 */
export function groupPath({ job = "", ...others }: Readonly<Record<string, string>>): string {
  const parts = Object.entries(others).map(([name, value]) => `/${name}@base64/${base64(value)}`);
  return `/metrics/job@base64/${base64(job)}${parts.join("")}`;
}

/** base64url of UTF-8. An empty text is `=`, as a part of a path cannot be empty. */
function base64(text: string): string {
  if (text === "") return "=";
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_");
}
