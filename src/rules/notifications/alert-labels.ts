/** Labels of alerts: the fingerprint and the text that Prometheus and Alertmanager have for them. Pure. */

export type AlertLabels = Readonly<Record<string, string>>;

/** The names of labels in ascending order of their code points, as Go sorts them. */
export function sortedNames(labels: AlertLabels): string[] {
  return Object.keys(labels).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

const SEPARATOR = 255;

/**
 * The fingerprint of a label set, 16 hexadecimal digits: FNV-1a with 64 bits over names and values, each followed by a
 * byte that UTF-8 does not have (github.com/prometheus/common, model/signature.go).
 */
export function fingerprintOf(labels: AlertLabels): string {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  const add = (byte: number) => {
    low = (low ^ byte) >>> 0;
    // Times the prime 2^40 + 435, modulo 2^64, in two halves.
    const product = low * 435;
    high = (Math.imul(high, 435) + Math.floor(product / 2 ** 32) + (low << 8)) >>> 0;
    low = product >>> 0;
  };
  for (const name of sortedNames(labels)) {
    for (const text of [name, labels[name]!]) {
      for (const byte of Buffer.from(text)) add(byte);
      add(SEPARATOR);
    }
  }
  return [high, low].map((half) => half.toString(16).padStart(8, "0")).join("");
}

/** Labels as Alertmanager writes them: `{alertname="Hot", job="gpu"}`. */
export function labelsText(labels: AlertLabels): string {
  return `{${sortedNames(labels)
    .map((name) => `${name}=${JSON.stringify(labels[name])}`)
    .join(", ")}}`;
}

/** The labels in ascending order of their names, as Go writes maps in JSON. */
export function sortedLabels(labels: AlertLabels): Record<string, string> {
  return Object.fromEntries(sortedNames(labels).map((name) => [name, labels[name]!]));
}

/** Orders alerts as Alertmanager does: by job, by instance, and then by all labels. */
export function compareLabels(a: AlertLabels, b: AlertLabels): number {
  for (const name of ["job", "instance"]) {
    const order = compareTexts(a[name] ?? "", b[name] ?? "");
    if (order !== 0) return order;
  }
  return compareTexts(labelsText(a), labelsText(b));
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
