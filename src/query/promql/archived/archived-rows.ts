/**
 * Rows of the store and of archived days as one. A query that reads back to days that are not here gets them in a Worker
 * (`withArchivedDays`), and the thread that owns the store answers it (`besideArchive`). All of PromQL's storage is the same then,
 * except for what is kept of recent rows.
 */
import type { Store } from "../../../store/store.ts";
import type { Source } from "../catalog/catalog.ts";
import type { StoredRows } from "../store/stored-rows.ts";
import { type StoredDay, StoreTableReader } from "../store/table-reader.ts";
import type { ArchiveQuery } from "./archive-query.ts";

/** The rows for a query that may read archived days, on the thread that owns the store. */
export function besideArchive(
  rows: StoredRows,
  query: ArchiveQuery,
  store: Pick<Store, "reader">,
): StoredRows {
  return {
    ...rows,
    days: () => rows.days(),
    find: (...asked) => rows.find(...asked),
    withSamplesIn: (...asked) => rows.withSamplesIn(...asked),
    large: rows.large,
    ...(rows.shared === undefined ? {} : { shared: rows.shared }),
    ...(rows.upstream === undefined ? {} : { upstream: rows.upstream }),
    tables: (signal) => new StoreTableReader(store, signal, query),
    archive: {
      open: (firstDay, lastDay) => query.open(firstDay, lastDay),
      find: async (...asked) => merged(await rows.find(...asked), await query.find(...asked)),
      withSamplesIn: async (ids, firstDay, lastDay) => {
        const found = await rows.withSamplesIn(query.storedOf(ids), firstDay, lastDay);
        return new Set([...found, ...query.seriesIn(ids, firstDay, lastDay)]);
      },
    },
  };
}

/** Series of both. One that both have is one, of all their stored series. */
function merged(stored: readonly Source[], archived: readonly Source[]): readonly Source[] {
  if (archived.length === 0) return stored;
  const byKey = new Map(stored.map((source) => [source.labels.key, source]));
  for (const source of archived) {
    const { key } = source.labels;
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, source);
    // As in the catalog: of a part of an observation and a series of that name, the stored one counts.
    else if (known.shape === source.shape)
      byKey.set(key, { ...known, seriesIds: [...new Set([...known.seriesIds, ...source.seriesIds])] });
  }
  return [...byKey.values()];
}

/** The rows of the store and of archived days, which `open` has returned. */
export function withArchivedDays(rows: StoredRows, days: readonly StoredDay[]): StoredRows {
  const { archive } = rows;
  if (archive === undefined) return rows;
  // The view of a day that is here in part has the rows of its table too.
  const archived = new Set(days.map(({ day }) => day));
  const all = [...rows.days().filter(({ day }) => !archived.has(day)), ...days].sort((a, b) => a.day - b.day);
  return {
    days: () => all,
    find: (...asked) => archive.find(...asked),
    withSamplesIn: (...asked) => archive.withSamplesIn(...asked),
    large: rows.large,
    upstream: rows.upstream && ((...asked) => rows.upstream!(...asked)),
    tables: (signal) => rows.tables(signal),
  };
}
