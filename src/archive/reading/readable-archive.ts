/**
 * The days of an archive that are not here any more, as SQL (src/query/sql/archived-parts.ts) and PromQL
 * (src/query/promql/archived/promql-archive.ts) read them.
 */
import { join } from "node:path";
import { Unavailable, Unprocessable } from "../../model/errors.ts";
import { prometheusName } from "../../model/names.ts";
import type { PromqlArchive, PromqlArchivedDay } from "../../query/promql/archived/promql-archive.ts";
import type {
  ArchivedTableMetric,
  ArchivedTablePart,
  FetchedParts,
  SqlArchive,
} from "../../query/sql/archived-parts.ts";
import { archivedDaysOf, manifestOf } from "../archive-contents.ts";
import { type ArchivedFile, dayFolder, type Manifest, writtenBefore } from "../manifest.ts";
import type { ArchiveTarget } from "../targets/archive-target.ts";
import type { CachedFile, PartCache } from "./part-cache.ts";

/** How often the archive is looked at, if statements ask. */
const REFRESH_MS = 60_000;
/** The same after it could not be read. */
const RETRY_MS = 5_000;
/** How long a statement waits until the archive has been read. */
const READY_MS_MAX = 5_000;
/** Days of which the manifest can still change: that of an earlier day is read once. */
const CHANGING_DAYS = 2;

interface ReadableParts {
  readonly target: ArchiveTarget;
  /** Copies of files. Undefined if the archive is a folder, whose files are read where they are. */
  readonly cache: PartCache | undefined;
  /** The most bytes of a statement. */
  readonly bytesMax: number;
  /** The days that are here, which are not read from the archive. */
  readonly days: () => Iterable<{ readonly day: number }>;
  /** How often a day that is here was dropped before. Files that were written after fewer drops have samples that are not here. */
  readonly dropsOf?: (day: number) => number;
  readonly now: () => number;
}

/** A part with the files that it is in. */
interface PartOfDay extends ArchivedTablePart {
  readonly file: CachedFile;
  readonly series: readonly CachedFile[];
}

export class ReadableArchive implements SqlArchive, PromqlArchive {
  readonly #parts: ReadableParts;
  readonly #manifests = new Map<number, Manifest>();
  #metrics: ReadonlyMap<string, ArchivedTableMetric> = new Map();
  /** The days of which `#metrics` has been made. */
  #shown = "";
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;
  /** The days that were here when the archive was read. */
  #here = new Set<number>();
  /** Those of them that were here only in part. */
  #partial = new Set<number>();
  fault: Unavailable | undefined = new Unavailable("the archive has not been read yet");

  constructor(parts: ReadableParts) {
    this.#parts = parts;
  }

  get metrics(): ReadonlyMap<string, ArchivedTableMetric> {
    this.#show();
    return this.#metrics;
  }

  async ready(stop: AbortSignal): Promise<void> {
    const here = this.#daysHere();
    for (const day of this.#partial) {
      if (here.has(day)) continue;
      // It was archived again, perhaps after its manifest was read.
      this.#manifests.delete(day);
      this.#partial.delete(day);
    }
    const isDropped = this.#isDropped;
    if (this.#parts.now() - this.#refreshedMs >= REFRESH_MS || isDropped)
      this.#refreshing ??= this.#read().finally(() => {
        this.#refreshing = undefined;
      });
    // Statements about days that are here must not wait for an archive that does not answer.
    if (this.fault !== undefined || isDropped)
      await until(this.#refreshing, AbortSignal.any([stop, AbortSignal.timeout(READY_MS_MAX)])).catch(
        () => undefined,
      );
  }

  get bytesMax(): number {
    return this.#parts.bytesMax;
  }

  get missing(): Unavailable | undefined {
    if (this.fault !== undefined) return this.fault;
    return this.#isDropped ? unavailable(`a day that is not here any more has not been read yet`) : undefined;
  }

  days(firstDay: number, lastDay: number): readonly PromqlArchivedDay[] {
    return this.#readable()
      .filter(([day]) => day >= firstDay && day <= lastDay)
      .map(([day, { rows, series, metrics }]) => {
        const folder = dayFolder(day);
        const fileOf = ({ file, sha256, bytes, drops = 0 }: ArchivedFile) => ({
          path: folder + file,
          ...{ sha256, bytes, drops },
        });
        return {
          ...{ day, rows, series: series.map(fileOf) },
          metrics: metrics.map(({ parts, ...metric }) => ({
            ...metric,
            parts: parts.map(({ columns, ...part }) => ({
              ...fileOf(part),
              labels: columns.flatMap(({ label }) => label ?? []),
            })),
          })),
        };
      });
  }

  isPartial(day: number): boolean {
    return (this.#parts.dropsOf?.(day) ?? 0) > 0 && this.#daysHere().has(day);
  }

  #daysHere(): Set<number> {
    return new Set(Array.from(this.#parts.days(), ({ day }) => day));
  }

  /** The days of which the archive has samples that are not here, with those, in ascending order. */
  #readable(): [day: number, manifest: Manifest][] {
    const here = this.#daysHere();
    return [...this.#manifests]
      .flatMap(([day, manifest]): [number, Manifest][] => {
        if (!here.has(day)) return [[day, manifest]];
        const drops = this.#parts.dropsOf?.(day) ?? 0;
        return drops === 0 ? [] : [[day, writtenBefore(drops, manifest)]];
      })
      .sort(([a], [b]) => a - b);
  }

  /** The archive has a day that was dropped since it was read, and its manifest was not read. */
  get #isDropped(): boolean {
    const here = this.#daysHere();
    return [...this.#here].some((day) => !here.has(day) && !this.#manifests.has(day));
  }

  async #read(): Promise<void> {
    const { target, now } = this.#parts;
    this.#refreshedMs = now();
    try {
      const days = await archivedDaysOf(target);
      const newest = [...this.#manifests.keys()].sort((a, b) => b - a).slice(0, CHANGING_DAYS);
      const here = this.#daysHere();
      for (const day of this.#manifests.keys()) if (!days.includes(day)) this.#manifests.delete(day);
      for (const day of days) {
        const isHere = here.has(day);
        if (isHere && !this.isPartial(day)) continue;
        if (!isHere && this.#manifests.has(day) && !newest.includes(day)) continue;
        const manifest = await manifestOf(target, day);
        if (manifest !== undefined) this.#manifests.set(day, manifest);
      }
      this.#here = here;
      this.#partial = new Set([...here].filter((day) => this.isPartial(day)));
      this.fault = undefined;
    } catch (error) {
      // What was read before stays.
      if (this.fault !== undefined) this.fault = unavailable(error);
      this.#refreshedMs = now() - REFRESH_MS + RETRY_MS;
    }
    this.#shown = "";
  }

  /** Makes the metrics of the days that are not here. A day can have been dropped, or restored, since. */
  #show(): void {
    const days = this.#readable();
    const shown = `${days.map(([day, { rows }]) => `${day}:${rows}`).join(" ")}.`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const metrics = new Map<string, Growing>();
    for (const [day, manifest] of days) addDay(metrics, day, manifest);
    this.#metrics = metrics;
  }

  async fetch(
    parts: readonly ArchivedTablePart[],
    withSeries: boolean,
    stop: AbortSignal,
  ): Promise<FetchedParts> {
    const { bytesMax } = this.#parts;
    const asked = parts as readonly PartOfDay[];
    const files = new Map(
      asked
        .flatMap((part) => [part.file, ...(withSeries ? part.series : [])])
        .map((file) => [file.path, file]),
    );
    const bytes = files.values().reduce((sum, file) => sum + file.bytes, 0);
    if (bytes > bytesMax)
      throw new Unprocessable(
        `The statement reads ${bytes} bytes of the archive, and may read ${bytesMax} (archiveCacheBytes); a narrower range of ts may help.`,
        "sql",
      );
    const { path, release } = await this.hold([...files.values()], stop);
    return {
      path: (part) => path((part as PartOfDay).file),
      series: (part) => (part as PartOfDay).series.map(path),
      release,
    };
  }

  async hold(files: readonly CachedFile[], stop: AbortSignal): ReturnType<PromqlArchive["hold"]> {
    const { cache, target } = this.#parts;
    const holding = cache?.hold(files);
    let release: (() => void) | undefined;
    try {
      release = await until(holding, stop);
    } catch (error) {
      void holding?.then(
        (late) => late(),
        () => undefined,
      );
      throw unavailable(error);
    }
    let isReleased = false;
    return {
      path: (file) => cache?.pathOf(file) ?? join(target.text, file.path),
      release() {
        if (!isReleased) release?.();
        isReleased = true;
      },
    };
  }
}

/** A result, unless a signal aborts before it is there. */
async function until<Result>(
  work: Promise<Result> | undefined,
  signal: AbortSignal,
): Promise<Result | undefined> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function unavailable(error: unknown): Unavailable {
  const reason = error instanceof Error ? error.message : String(error);
  return new Unavailable(`the archive cannot be read: ${reason}`);
}

interface Growing extends ArchivedTableMetric {
  readonly labels: Set<string>;
  readonly attributes: Set<string>;
  readonly parts: ArchivedTablePart[];
}

function addDay(metrics: Map<string, Growing>, day: number, manifest: Manifest): void {
  const folder = dayFolder(day);
  const seriesOf = (ofPart: number) =>
    manifest.series
      .filter(({ drops = 0 }) => drops === ofPart)
      .map(({ file, sha256, bytes }) => ({ path: folder + file, sha256, bytes }));
  for (const { parts, ...metric } of manifest.metrics) {
    const known: Growing = metrics.get(metric.name) ?? {
      ...metric,
      prometheusName: prometheusName(metric.name),
      ...{ labels: new Set(), attributes: new Set(), parts: [] },
    };
    metrics.set(metric.name, known);
    for (const { file, sha256, bytes, min_ts, max_ts, columns, drops = 0 } of parts) {
      for (const { label, attribute } of columns) {
        if (label !== undefined) known.labels.add(label);
        if (attribute !== undefined) known.attributes.add(attribute);
      }
      const part: PartOfDay = {
        metric: metric.name,
        first: sqlTime(min_ts),
        last: sqlTime(max_ts),
        ...{ columns, bytes, series: seriesOf(drops) },
        file: { path: folder + file, sha256, bytes },
      };
      known.parts.push(part);
    }
  }
}

function sqlTime(text: string): string {
  return text.replace("T", " ").replace("Z", "");
}
