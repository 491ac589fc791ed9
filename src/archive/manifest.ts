/**
 * The manifest of an archived day: which files the day has, and what they contain. It is written after all of them, so a day with
 * a manifest is complete. Pure.
 *
 * The name of a metric in a path: letters, digits, `_`, `-` and `.` stay, and every other byte of its UTF-8 is `%XX`. Names that
 * are longer than 200 bytes then are cut, and end with `~` and the beginning of their SHA-256: the manifest has them whole.
 */
import type { Kind, MetricType } from "../model/sample.ts";
import { dateText } from "../model/time.ts";

/** The version of the format that this program writes and reads. */
export const MANIFEST_VERSION = 1;

export const MANIFEST_FILE = "manifest.json";

/** A file of a day, by its path below the folder of the day. */
export interface ArchivedFile {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
  /**
   * How often the day had been dropped by its gateway when the file was written. Absent for 0. Numbers of series are those of the
   * files of series with the same number of drops.
   */
  readonly drops?: number;
}

/** A column of a part with the values of a tag: those of labels of its series, of attributes of its samples, or of both. */
export interface ArchivedColumn {
  readonly name: string;
  readonly label?: string;
  readonly attribute?: string;
  /** Whether it has all further attributes of a sample, as a JSON object. */
  readonly more?: true;
}

/** Samples of one metric, ordered by series and time. */
export interface ArchivedPart extends ArchivedFile {
  /** The times of the first and the last sample, RFC 3339 with microseconds. */
  readonly min_ts: string;
  readonly max_ts: string;
  /** Rows whose value is NULL: markers that a series ended. */
  readonly stale: number;
  /** The columns beside `ts`, `value` and `series`. All are texts. */
  readonly columns: readonly ArchivedColumn[];
}

export interface ArchivedMetric {
  readonly name: string;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  /** The bounds of its histogram, for observations. */
  readonly buckets: readonly number[];
  readonly parts: readonly ArchivedPart[];
}

export interface Manifest {
  readonly weir_archive: number;
  readonly date: string;
  readonly gateway: {
    /** The store that has written the day. */
    readonly id: string;
    readonly version: string;
    readonly external_labels: Readonly<Record<string, string>>;
  };
  /** Identifies the writing that made it, so that a gateway that was killed knows whether it had come so far. */
  readonly writing: string;
  readonly written_at: string;
  /** Samples of all parts. */
  readonly rows: number;
  readonly bytes: number;
  readonly min_ts: string | null;
  readonly max_ts: string | null;
  /** The columns that all parts have, with their types in SQL. */
  readonly schema: Readonly<Record<string, string>>;
  readonly metrics: readonly ArchivedMetric[];
  /** Files with the number, the metric, the kind and the labels of each series. */
  readonly series: readonly ArchivedFile[];
  /** Files with exemplars. */
  readonly exemplars: readonly ArchivedFile[];
}

/** The columns that all parts have. */
export const PART_SCHEMA = { ts: "TIMESTAMP", value: "DOUBLE", series: "UINTEGER" } as const;

/**
 * Names that columns of tags cannot have: those of all parts, those of the folders, which readers make columns of, and that of the
 * numbers of rows, which the engine adds when a part is restored.
 */
export const RESERVED_COLUMNS: readonly string[] = [
  ...Object.keys(PART_SCHEMA),
  ...["date", "metric", "file_row_number"],
];

const NAME_BYTES_MAX = 200;
const CUT_BYTES = 130;

/** The name of a metric as a part of a path. */
export function escapedMetric(name: string): string {
  const escaped = Array.from(Buffer.from(name), escapedByte).join("");
  if (escaped.length <= NAME_BYTES_MAX) return escaped;
  const cut = escaped.slice(0, CUT_BYTES).replace(/%.?$/, "");
  return `${cut}~${new Bun.CryptoHasher("sha256").update(name).digest("hex").slice(0, 32)}`;
}

function escapedByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_.-]/.test(character)
    ? character
    : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** The name of a metric from a part of a path. Undefined if it was cut. */
export function unescapedMetric(escaped: string): string | undefined {
  return escaped.includes("~") ? undefined : decodeURIComponent(escaped);
}

/** The folder of a day below that of the archive, with a slash at the end. */
export function dayFolder(day: number): string {
  return `date=${dateText(day)}/`;
}

/** The day of a path below the archive. Undefined if the path is in no folder of a day. */
export function dayOfPath(path: string): number | undefined {
  const date = /^date=(\d{4}-\d\d-\d\d)\//.exec(path)?.[1];
  const ms = date === undefined ? Number.NaN : Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(ms) ? undefined : ms / 86_400_000;
}

/** All files of a day. */
export function filesOf({ metrics, series, exemplars }: Manifest): ArchivedFile[] {
  const files = [...metrics.flatMap(({ parts }) => parts), ...series, ...exemplars];
  return [...new Map(files.map((file) => [file.file, file])).values()];
}

/** What a manifest has of files that were written before the day was dropped so often. */
export function writtenBefore(drops: number, manifest: Manifest): Manifest {
  const earlier = <File extends ArchivedFile>(files: readonly File[]) =>
    files.filter((file) => (file.drops ?? 0) < drops);
  return totalled({
    ...manifest,
    metrics: manifest.metrics
      .map((metric) => ({ ...metric, parts: earlier(metric.parts) }))
      .filter(({ parts }) => parts.length > 0),
    series: earlier(manifest.series),
    exemplars: earlier(manifest.exemplars),
  });
}

/**
 * The manifest of a day to which parts were added.
 *
 * @param drops how often the day was dropped
 */
export function withAdded(before: Manifest, added: Manifest, drops: number): Manifest {
  const metrics = new Map(before.metrics.map((metric) => [metric.name, metric]));
  for (const metric of added.metrics) {
    const parts = [...(metrics.get(metric.name)?.parts ?? []), ...metric.parts];
    metrics.set(metric.name, { ...metric, parts: distinctFiles(parts) });
  }
  return totalled({
    ...added,
    metrics: [...metrics.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    series: distinctFiles([...before.series, ...added.series]),
    // The exemplars of a day that are here are written again as a whole.
    exemplars: [...writtenBefore(drops, before).exemplars, ...added.exemplars],
  });
}

function distinctFiles<File extends ArchivedFile>(files: readonly File[]): File[] {
  return [...new Map(files.map((file) => [`${file.drops ?? 0} ${file.file}`, file])).values()];
}

/** The manifest with the sums and the times of its files. */
export function totalled(manifest: Manifest): Manifest {
  const parts = manifest.metrics.flatMap((metric) => metric.parts);
  const times = [...parts.map(({ min_ts }) => min_ts), ...parts.map(({ max_ts }) => max_ts)].sort();
  return {
    ...manifest,
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    bytes: filesOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0),
    min_ts: times[0] ?? null,
    max_ts: times.at(-1) ?? null,
  };
}

/** The archive has something that this program cannot use, or that does not belong to this gateway. */
export class ArchiveFault extends Error {
  override readonly name = "ArchiveFault";
}

/**
 * Reads the text of a manifest.
 *
 * @param path for errors
 * @throws ArchiveFault
 */
export function readManifest(text: string, path: string): Manifest {
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text) as Manifest;
  } catch {
    // Its text has the names of metrics and labels, and a token with labels may see the error.
    throw new ArchiveFault(`${path} is not JSON; it has ${Buffer.byteLength(text)} bytes`);
  }
  const version: unknown = manifest?.weir_archive;
  if (version !== MANIFEST_VERSION)
    throw new ArchiveFault(
      `${path} has ${typeof version === "number" ? `the version ${version}` : "no version"}, expected ${MANIFEST_VERSION}`,
    );
  const isFile = (each: ArchivedFile) =>
    isBelow(each?.file) && /^[0-9a-f]{64}$/.test(each.sha256) && Number.isSafeInteger(each.bytes);
  const isList = [manifest.metrics, manifest.series, manifest.exemplars].every(Array.isArray);
  if (!isList || typeof manifest.gateway?.id !== "string" || !filesOf(manifest).every(isFile))
    throw new ArchiveFault(`${path} is not a manifest of an archived day`);
  return manifest;
}

/** Whether a path stays below the folder that it is in. */
function isBelow(path: unknown): boolean {
  return (
    typeof path === "string" && /^[\w.=%~-]+(\/[\w.=%~-]+)*$/.test(path) && !/(^|\/)\.\.?(\/|$)/.test(path)
  );
}
