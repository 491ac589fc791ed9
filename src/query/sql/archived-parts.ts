/**
 * Archived days as parts of the tables that SQL queries (src/archive/README.md). A view has an arm for each file of a day that is not
 * here. Most statements need few of them, and files of a bucket have to be fetched. So a statement is planned twice: first with a
 * placeholder in place of each file. The planner leaves out the arms whose times or metrics the statement excludes, and its plan shows
 * the others.
 *
 * A statement of a token with labels must evaluate nothing for rows of others, because errors and durations would tell of them. So it
 * reads tables with copies of its own rows. It reads only the tables and columns that its series have here.
 */
import { type RequestError, Unprocessable } from "../../model/errors.ts";
import type { Kind, Labels, MetricType } from "../../model/sample.ts";
import { quoteIdentifier, quoteText, statement } from "../../store/statements.ts";
import type { Parameters, Reader } from "../../store/store.ts";
import type { MetricTable, TagColumn } from "./tables.ts";

/** A file with samples of one metric and one day. */
export interface ArchivedTablePart {
  readonly metric: string;
  /** The times of the first and the last sample, as SQL has them. */
  readonly first: string;
  readonly last: string;
  readonly columns: readonly {
    readonly name: string;
    readonly label?: string;
    readonly attribute?: string;
  }[];
  readonly bytes: number;
}

/** A metric of the archive, with the tags that its parts have. */
export interface ArchivedTableMetric {
  readonly name: string;
  readonly prometheusName: string;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  readonly buckets: readonly number[];
  readonly labels: ReadonlySet<string>;
  readonly attributes: ReadonlySet<string>;
  readonly parts: readonly ArchivedTablePart[];
}

/** Files of this machine, which stay until `release` is called. */
export interface FetchedParts {
  /** The file of a part. */
  readonly path: (part: ArchivedTablePart) => string;
  /** The files with the series of the day of a part. */
  readonly series: (part: ArchivedTablePart) => readonly string[];
  readonly release: () => void;
}

/** What SQL needs of an archive. */
export interface SqlArchive {
  /** The metrics of the days that are not here, as they were last looked at, by name. */
  readonly metrics: ReadonlyMap<string, ArchivedTableMetric>;
  /** Whether a day is here, and some of its samples are only in the archive. */
  isPartial(day: number): boolean;
  /** Why the archive could not be read. Undefined once it was read. */
  readonly fault: RequestError | undefined;
  /**
   * Resolves when the archive has been read, or could not be, or does not answer. If it was read long ago, that begins again, and
   * nothing waits.
   */
  ready(stop: AbortSignal): Promise<void>;
  /**
   * Fetches parts. After `stop` it goes on, so that the next statement finds them.
   *
   * @throws Unprocessable if they are larger than a statement may read
   */
  fetch(parts: readonly ArchivedTablePart[], withSeries: boolean, stop: AbortSignal): Promise<FetchedParts>;
}

/** What a token with labels reads of an archive. */
export interface OwnArchived {
  readonly labels: Labels;
  /** The metrics that its series here have. */
  readonly metrics: ReadonlySet<string>;
}

/** Arms of a view that are planned: more would take seconds. */
const PARTS_MAX = 4_000;
/** The column with the labels of a series. A tag can be named `labels`, and no tag has a space in its name. */
const LABELS = quoteIdentifier("labels of series");
const NO_ID = "NULL::UINTEGER";
const PART_OF_PLAN = /archived_part\s*=\s*(\d+)/g;

/** What a statement reads of an archive: first as a plan, then as files. */
export class ArchivedStatement {
  readonly #archive: SqlArchive;
  /** As they were when the statement began. They may be read again until it is planned, and parts would have other numbers then. */
  readonly #metrics: SqlArchive["metrics"];
  readonly #fault: RequestError | undefined;
  readonly #own: OwnArchived | undefined;
  /** By number: the parts of all views. */
  readonly #parts: ArchivedTablePart[] = [];
  readonly #numbers = new Map<ArchivedTablePart, number>();
  #fetched: FetchedParts | undefined;
  #needed: ReadonlySet<number> = new Set();
  #isWithSeries = false;
  /** Stands for all parts of an archive that could not be read. */
  readonly #unknown: ArchivedTablePart;

  /**
   * @param firstDay the date of the first day that is here as a whole, as all later ones are, or of today
   * @param own if set, only series with the labels, and of the metrics, are read
   */
  constructor(archive: SqlArchive, firstDay: string, own?: OwnArchived) {
    this.#archive = archive;
    this.#own = own;
    this.#metrics = archive.metrics;
    this.#fault = archive.fault;
    this.#unknown = { metric: "", first: "0001-01-01", last: firstDay, columns: [], bytes: 0 };
  }

  /** Whether no table of the statement has archived parts. */
  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /**
   * Arms of the view of a metric's table.
   *
   * @param withIds whether the view has ids of series. Archived rows have none
   */
  metricArms({ metrics, tags }: Pick<MetricTable, "metrics" | "tags">, withIds = false): string[] {
    const parts = this.#known() ?? metrics.flatMap((metric) => this.#metrics.get(metric)?.parts ?? []);
    return this.#arms(parts, (part, source) => {
      const selected = tags.map((tag) => `${tagOf(tag, part, source)} AS ${quoteIdentifier(tag.name)}`);
      return `SELECT ${["ts", "value", ...selected, ...(withIds ? [NO_ID] : [])].join(", ")} FROM ${source.from} WHERE ${source.where} AND value IS NOT NULL`;
    });
  }

  /** Arms of the view of all samples, as `metricArms`. */
  sampleArms(tags: readonly TagColumn[], withIds = false): string[] {
    this.#isWithSeries = true;
    const metrics = [...this.#metrics.values()].filter(
      ({ name }) => this.#own === undefined || this.#own.metrics.has(name),
    );
    const parts = this.#known() ?? metrics.flatMap((metric) => metric.parts);
    return this.#arms(parts, (part, source) => {
      const selected = tags.map((tag) => `${tagOf(tag, part, source)} AS ${quoteIdentifier(tag.name)}`);
      const columns = [
        "ts",
        `${quoteText(part.metric)} AS metric`,
        `${LABELS} AS labels`,
        "value",
        ...selected,
        ...(withIds ? [NO_ID] : []),
      ];
      return `SELECT ${columns.join(", ")} FROM ${source.fromWithLabels} WHERE ${source.where}`;
    });
  }

  #known(): readonly ArchivedTablePart[] | undefined {
    return this.#fault === undefined ? undefined : [this.#unknown];
  }

  #arms(parts: readonly ArchivedTablePart[], text: (part: ArchivedTablePart, source: PartSource) => string) {
    return parts.flatMap((part) => {
      const number = this.#numberOf(part);
      const fetched = this.#fetched;
      if (fetched !== undefined && !this.#needed.has(number)) return [];
      const times = `ts >= TIMESTAMP ${quoteText(part.first)} AND ts <= TIMESTAMP ${quoteText(part.last)}`;
      if (fetched === undefined) {
        const from = "temp.main.archived_placeholder";
        const where = `archived_part = ${number} AND ${times}`;
        return [text(part, { from, fromWithLabels: from, where, isPlaceholder: true })];
      }
      if (this.#own !== undefined) {
        const copy = `temp.main.${quoteIdentifier(`own archived ${number}`)}`;
        return [text(part, { from: copy, fromWithLabels: copy, where: times, isPlaceholder: false })];
      }
      const from = parquet([fetched.path(part)]);
      const fromWithLabels = this.#isWithSeries
        ? `${from} JOIN (SELECT series, labels AS ${LABELS} FROM ${parquet(fetched.series(part))}) USING (series)`
        : from;
      return [text(part, { from, fromWithLabels, where: times, isPlaceholder: false })];
    });
  }

  #numberOf(part: ArchivedTablePart): number {
    const known = this.#numbers.get(part);
    if (known !== undefined) return known;
    if (this.#parts.length >= PARTS_MAX)
      throw new Unprocessable(
        `The tables of the statement have more than ${PARTS_MAX} files in the archive; tables of single metrics have fewer.`,
        "sql",
      );
    this.#numbers.set(part, this.#parts.length);
    return this.#parts.push(part) - 1;
  }

  /**
   * Finds which parts a statement reads, with its views in place, and fetches them. The arms are then those of files.
   *
   * @throws Unprocessable if they are too large, Unavailable if the archive cannot be read
   */
  async plan(
    reader: Reader,
    sql: string,
    parameters: Parameters | undefined,
    stop: AbortSignal,
  ): Promise<void> {
    // A statement that cannot be planned fails when it runs, with the error that its author expects.
    const plan = await reader
      .all<Record<string, unknown>>(`EXPLAIN (FORMAT json) ${sql}`, parameters)
      .catch(() => []);
    const text = plan.flatMap((row) => Object.values(row).map(String)).join("\n");
    this.#needed = new Set(Array.from(text.matchAll(PART_OF_PLAN), ([, number]) => Number(number)));
    // A literal of the statement can have the text of an arm's condition.
    const needed = [...this.#needed]
      .map((number) => this.#parts[number])
      .filter((part) => part !== undefined);
    if (this.#fault !== undefined && needed.includes(this.#unknown)) throw this.#fault;
    const isOwn = this.#own !== undefined;
    try {
      this.#fetched = await this.#archive.fetch(needed, this.#isWithSeries || isOwn, stop);
    } catch (error) {
      if (!isOwn || !(error instanceof Unprocessable)) throw error;
      // Its numbers are those of others too.
      throw new Unprocessable(
        "The statement reads more of the archive than a statement may read (archiveCacheBytes); a narrower range of ts may help.",
        "sql",
      );
    }
  }

  /** The statements that make the copies for a token with labels. They come before the views. */
  get copies(): string[] {
    const [own, fetched] = [this.#own, this.#fetched];
    if (own === undefined || fetched === undefined) return [];
    const labels = Array.from(
      own.labels,
      ([name, value]) => ` AND labels[${quoteText(name)}] = ${quoteText(value)}`,
    );
    return [...this.#needed].flatMap((number) => {
      const part = this.#parts[number];
      if (part === undefined) return [];
      return `CREATE OR REPLACE TEMP TABLE ${quoteIdentifier(`own archived ${number}`)} AS
SELECT * FROM ${parquet([fetched.path(part)])}
JOIN (
  SELECT series, labels AS ${LABELS} FROM ${parquet(fetched.series(part))} WHERE metric = ${quoteText(part.metric)}${labels.join("")}
) USING (series)`;
    });
  }

  /** The statement that makes the placeholder. */
  get placeholder(): string {
    return statement("archive/placeholder");
  }

  release(): void {
    this.#fetched?.release();
  }
}

interface PartSource {
  readonly from: string;
  /** With the column LABELS. */
  readonly fromWithLabels: string;
  readonly where: string;
  readonly isPlaceholder: boolean;
}

function parquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(quoteText).join(", ")}], hive_partitioning = false)`;
}

/** The values of a tag in a part. */
function tagOf(
  { labels, attributes }: TagColumn,
  { columns }: ArchivedTablePart,
  { isPlaceholder }: PartSource,
): string {
  const held = columns.filter(
    ({ label, attribute }) =>
      (label !== undefined && labels.includes(label)) ||
      (attribute !== undefined && attributes.includes(attribute)),
  );
  if (held.length === 0) return "NULL::VARCHAR";
  if (isPlaceholder) return "tag";
  const names = held.map(({ name }) => quoteIdentifier(name));
  return names.length === 1 ? names[0]! : `coalesce(${names.join(", ")})`;
}

/** The metrics that SQL knows: those that are here, and those of the archive, with the tags of both. */
export function withArchived<Known extends { readonly name: string; labelNames(): Iterable<string> }>(
  registry: { metrics(): Iterable<Known> },
  archived: ReadonlyMap<string, ArchivedTableMetric>,
): {
  metrics(): Iterable<
    Omit<ArchivedTableMetric, "labels" | "attributes" | "parts"> & { labelNames(): Iterable<string> }
  >;
} {
  return {
    *metrics() {
      const seen = new Set<string>();
      for (const metric of registry.metrics()) {
        seen.add(metric.name);
        const more = archived.get(metric.name);
        yield (
          more === undefined
            ? metric
            : {
                ...metric,
                labelNames: () => new Set([...metric.labelNames(), ...more.labels]),
              }
        ) as never;
      }
      for (const metric of archived.values())
        if (!seen.has(metric.name)) yield { ...metric, labelNames: () => metric.labels };
    },
  };
}
