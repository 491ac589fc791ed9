/**
 * Reads an archived day as JSON events, as `weir export` writes them (src/query/export-lines.ts): with all that makes the same
 * series of them again. It uses a private engine, in memory.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prometheusName } from "../../model/names.ts";
import type { Kind, Labels, Metric, Series } from "../../model/sample.ts";
import { type AttributeColumns, EventWriter, IMPLIED_TYPES } from "../../query/export-lines.ts";
import { type Connection, Database } from "../../store/engine/duckdb.ts";
import { statement } from "../../store/statements.ts";
import type { Cell } from "../../store/store.ts";
import {
  ArchiveFault,
  type ArchivedColumn,
  type ArchivedFile,
  type ArchivedPart,
  dayFolder,
  type Manifest,
} from "../manifest.ts";
import type { ArchiveTarget } from "../targets/archive-target.ts";
import { hashOfFile } from "../targets/file-hash.ts";

const MEMORY_BYTES = 256 * 1_048_576;
/** Some 5 MB of lines. */
const ROWS_AT_ONCE = 20_000;
/** As many as a gateway decodes in some 10 ms. */
const EXEMPLARS_AT_ONCE = 2_000;
const NO_ATTRIBUTES: AttributeColumns = { named: [], rest: undefined };

/** Lines of some rows of a part. */
export interface ArchivedRowsText {
  readonly fromRow: number;
  readonly toRow: number;
  readonly text: string;
}

export class ArchivedLines {
  readonly #target: ArchiveTarget;
  readonly #folder: string;
  readonly #database: Database;
  readonly #connection: Connection;

  private constructor(target: ArchiveTarget, folder: string, database: Database, connection: Connection) {
    this.#target = target;
    this.#folder = folder;
    this.#database = database;
    this.#connection = connection;
  }

  static async open(target: ArchiveTarget): Promise<ArchivedLines> {
    const folder = mkdtempSync(join(tmpdir(), "weir-archive-"));
    const database = await Database.open(":memory:", {
      memoryLimitBytes: MEMORY_BYTES,
      threads: 1,
      temporaryDirectory: join(folder, "spill"),
    });
    return new ArchivedLines(target, folder, database, await database.connect());
  }

  /**
   * The series of the parts of a day, by their number. The key is how often the day had been dropped when the parts were written.
   *
   * @throws ArchiveFault if a file is damaged
   */
  async series(day: number, manifest: Manifest, drops: number): Promise<Map<number, Series>> {
    const metrics = metricsOf(manifest);
    const found = new Map<number, Series>();
    for (const file of manifest.series.filter((each) => (each.drops ?? 0) === drops)) {
      const path = await this.#fetch(day, file);
      const { chunks } = await this.#connection.stream(statement("archive/series_of_file"), [path]);
      for await (const rows of chunks())
        for (const [series, name, labels, exposed] of rows) {
          const metric = metrics.get(name as string);
          if (metric === undefined) continue;
          const seriesId = series as number;
          found.set(seriesId, { seriesId, metric, labels: labelsOf(labels), exposed: exposed === true });
        }
      rmSync(path);
    }
    return found;
  }

  /**
   * The rows of a part from a row on.
   *
   * @param series as `series` returns them
   * @throws ArchiveFault if the file is damaged
   */
  async *lines(
    day: number,
    part: ArchivedPart,
    series: ReadonlyMap<number, Series>,
    fromRow: number,
  ): AsyncGenerator<ArchivedRowsText, void, undefined> {
    const path = await this.#fetch(day, part);
    try {
      const columns = columnsOf(part.columns);
      // Attributes are written as such, whatever the settings of the target are.
      const writer = new EventWriter(
        (id) => series.get(id),
        () => false,
      );
      for (let from = fromRow; from < part.rows; from += ROWS_AT_ONCE) {
        const to = Math.min(part.rows, from + ROWS_AT_ONCE);
        const { chunks } = await this.#connection.stream(statement("archive/part_rows"), { path, from, to });
        let text = "";
        for await (const rows of chunks()) {
          const own = rows.map((row) => withoutLabels(row, part, series.get(row[0] as number)));
          text += writer.lines(own, columns);
        }
        yield { fromRow: from, toRow: to, text };
      }
    } finally {
      rmSync(path);
    }
  }

  /**
   * The exemplars of a file from a row on, as events with a field `exemplar` (src/receive/events/exemplar-lines.ts).
   *
   * @throws ArchiveFault if the file is damaged
   */
  async *exemplars(
    day: number,
    manifest: Manifest,
    file: ArchivedFile,
    fromRow: number,
  ): AsyncGenerator<ArchivedRowsText, void, undefined> {
    const path = await this.#fetch(day, file);
    try {
      const metrics = metricsOf(manifest);
      const series = new Map<number, Series>();
      const writer = new EventWriter(
        (id) => series.get(id),
        () => false,
      );
      for (let from = fromRow; from < file.rows; from += EXEMPLARS_AT_ONCE) {
        const to = Math.min(file.rows, from + EXEMPLARS_AT_ONCE);
        const { chunks } = await this.#connection.stream(statement("archive/exemplar_rows"), {
          ...{ path, from, to },
        });
        let text = "";
        for await (const rows of chunks())
          for (const row of rows) {
            const [id, , , name, kind, labels, exposed, exemplar] = row;
            series.getOrInsertComputed(id as number, () => ({
              seriesId: id as number,
              // The day can have exemplars of a metric, and no samples.
              metric: metrics.get(name as string) ?? bareMetric(name as string, kind as Kind),
              labels: labelsOf(labels),
              exposed: exposed === true,
            }));
            const event = writer.lines([row], NO_ATTRIBUTES);
            text += `${event.slice(0, -2)},"exemplar":${JSON.stringify(exemplar)}}\n`;
          }
        yield { fromRow: from, toRow: to, text };
      }
    } finally {
      rmSync(path);
    }
  }

  /** A copy of a file, after its hash was compared. */
  async #fetch(day: number, { file, sha256, bytes }: ArchivedFile): Promise<string> {
    const from = dayFolder(day) + file;
    const path = join(this.#folder, `${sha256}.parquet`);
    await this.#target.fetch(from, path);
    if ((await hashOfFile(path)).hash !== sha256)
      throw new ArchiveFault(`${from} has other contents than were written (${bytes} bytes)`);
    return path;
  }

  close(): void {
    this.#connection.close();
    this.#database.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function metricsOf({ metrics }: Manifest): Map<string, Metric> {
  return new Map(
    metrics.map(({ parts: _, ...metric }) => [
      metric.name,
      { ...metric, prometheusName: prometheusName(metric.name) },
    ]),
  );
}

/** A metric of which only the name and the kind are known. */
function bareMetric(name: string, kind: Kind): Metric {
  const type = IMPLIED_TYPES[kind];
  return { name, prometheusName: prometheusName(name), kind, type, unit: "", help: "", buckets: [] };
}

function labelsOf(labels: Cell): Labels {
  return new Map(Object.entries(labels as Record<string, string>).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The columns of attributes, behind the fixed ones. */
function columnsOf(columns: readonly ArchivedColumn[]): AttributeColumns {
  const at = (index: number) => index + EventWriter.fixedColumns;
  const rest = columns.findIndex(({ more }) => more === true);
  return {
    named: columns.flatMap(({ attribute }, index) =>
      attribute === undefined ? [] : [{ tag: attribute, at: at(index) }],
    ),
    rest: rest < 0 ? undefined : at(rest),
  };
}

/** A row whose columns of tags have attributes only: a column can have labels of some series, and attributes of others. */
function withoutLabels(
  row: readonly Cell[],
  { columns, file }: ArchivedPart,
  series: Series | undefined,
): readonly Cell[] {
  if (series === undefined) throw new ArchiveFault(`${file} has a series that is not in the file of series`);
  if (!columns.some(({ label, attribute }) => label !== undefined && attribute !== undefined)) return row;
  return row.map((cell, index) => {
    const column = columns[index - EventWriter.fixedColumns];
    const isLabel = column?.label !== undefined && series.labels.has(column.label);
    return isLabel ? null : cell;
  });
}
