/** The rows of the store that this thread owns: series from the registry, and samples from the day tables. */
import { ConcurrencyLimit } from "../../../model/concurrency-limit.ts";
import { dayOf, type Labels } from "../../../model/sample.ts";
import type { Store } from "../../../store/store.ts";
import { callerMatchers } from "../../caller-series.ts";
import { Catalog, seriesCounter, type SeriesRegistry, type Source } from "../catalog/catalog.ts";
import { Slices } from "../catalog/slices.ts";
import type { GridCells } from "../cells/grid-cells.ts";
import { formatMatcher } from "../matchers.ts";
import { FoundSeries } from "../catalog/found-series.ts";
import type { HeldOf } from "./held.ts";
import { StoreStorage, type StoreStorageOptions } from "./store-storage.ts";
import type { LargeReads, StoredRows } from "./stored-rows.ts";
import { StoreTableReader } from "./table-reader.ts";

export interface OwnRowsOptions {
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: SeriesRegistry & { readonly changes: number };
  /** The last sample of a series of a Pushgateway group; if absent, no series is of a group. */
  readonly heldOf?: HeldOf;
  /** Gets the metrics of the series that a selector found, by their names in Prometheus. */
  readonly onAsked?: (metrics: Iterable<string>) => void;
  /** Series that one selector can find. */
  readonly promqlSeriesMax?: number;
  /** The samples of the upstream, if there is one. */
  readonly upstream?: StoredRows["upstream"];
  /** Recent rows that are kept; if absent, all rows are read. */
  readonly cells?: GridCells;
}

export class OwnRows implements StoredRows {
  readonly catalog: Catalog;
  /** Shared by all queries: two large reads at once can exceed the engine's memory. */
  readonly large: LargeReads = new ConcurrencyLimit(1, {
    tasks: "large reads",
    waitingPerRunning: Number.POSITIVE_INFINITY,
  });
  readonly #options: OwnRowsOptions;
  readonly #found: FoundSeries;

  constructor(options: OwnRowsOptions) {
    this.#options = options;
    this.#found = new FoundSeries(options.registry);
    this.catalog = new Catalog(withHeld(options));
  }

  days: StoredRows["days"] = () => this.#options.store.days();

  find: StoredRows["find"] = async (matchers, firstDay, lastDay, signal) => {
    const key = `${firstDay} ${lastDay} ${matchers.map(formatMatcher).join()}`;
    const found = await this.#found.find(key, async () => {
      const countSeries = seriesCounter(this.#options.promqlSeriesMax ?? Number.POSITIVE_INFINITY);
      return await this.catalog.find(matchers, firstDay, lastDay, { signal, countSeries });
    });
    const slices = new Slices(signal);
    const metrics = new Set<string>();
    /** A copy, if a source is held: held values change with each push. */
    let withLast: Source[] | undefined;
    for (const [at, source] of found.entries()) {
      metrics.add(source.metric.prometheusName);
      const own = this.#withLast(source);
      if (own !== source) withLast ??= [...found];
      if (withLast !== undefined) withLast[at] = own;
      if (slices.isDue) await slices.pause();
    }
    this.#options.onAsked?.(metrics);
    return withLast ?? found;
  };

  numberOf: StoredRows["numberOf"] = (sources) => this.#found.numberOf(sources);

  withSamplesIn: StoredRows["withSamplesIn"] = async (seriesIds, firstDay, lastDay) => {
    const found = new Set<number>();
    const slices = new Slices();
    for (const id of seriesIds) {
      if (this.#options.registry.hasSamplesIn(id, firstDay, lastDay)) found.add(id);
      if (slices.isDue) await slices.pause();
    }
    return found;
  };

  cells: StoredRows["cells"] = async (seriesIds, asked) => {
    return this.#options.cells?.read(seriesIds, asked);
  };

  samples: StoredRows["samples"] = async (seriesIds, asked) => {
    const { cells } = this.#options;
    await cells?.sorted(seriesIds);
    return cells?.samples(seriesIds, asked);
  };

  get shared(): StoredRows["shared"] {
    const shared = this.#options.cells?.shared;
    return (
      shared && {
        read: async (seriesIds, asked) => shared.read(seriesIds, asked),
        settle: (ticket, result) => shared.settle(ticket, result),
      }
    );
  }

  codes: StoredRows["codes"] = async (seriesIds, asked) => {
    return await this.#options.cells?.codes.read(seriesIds, asked);
  };

  get upstream(): StoredRows["upstream"] {
    return this.#options.upstream;
  }

  tables: StoredRows["tables"] = (signal) => new StoreTableReader(this.#options.store, signal);

  /** The same rows for rules, which ask again and again: what they ask for is kept from the first time on. */
  repeated(): StoredRows {
    const { cells } = this.#options;
    const { days, find, numberOf, withSamplesIn, large, tables } = this;
    return {
      ...{ days, find, numberOf, withSamplesIn, large, tables },
      cells: async (seriesIds, asked) =>
        await cells?.whenKept(
          async () => cells.read(seriesIds, asked, true),
          () => true,
        ),
      samples: async (seriesIds, asked) =>
        await cells?.whenKept(
          async () => {
            await cells.sorted(seriesIds);
            return cells.samples(seriesIds, asked, true);
          },
          (found) => found.seriesIds.length === seriesIds.length,
        ),
    };
  }

  /** A series of a group is one stored series. */
  #withLast(source: Source): Source {
    const { kind } = source.metric;
    if (kind === "observation" || kind === "delta") return source;
    const held = this.#options.heldOf?.(source.seriesIds[0]);
    return held === undefined ? source : { ...source, held };
  }
}

/** The same rows with only those series that have the labels of a caller's token. */
export function narrowedRows(rows: StoredRows, labels: Labels): StoredRows {
  const own = callerMatchers(labels);
  return {
    days: () => rows.days(),
    cells: rows.cells && ((...asked) => rows.cells!(...asked)),
    samples: rows.samples && ((...asked) => rows.samples!(...asked)),
    codes: rows.codes && ((...asked) => rows.codes!(...asked)),
    ...(rows.shared === undefined ? {} : { shared: rows.shared }),
    find: (matchers, firstDay, lastDay, signal) =>
      rows.find([...matchers, ...own], firstDay, lastDay, signal),
    numberOf: rows.numberOf && ((sources) => rows.numberOf!(sources)),
    withSamplesIn: (seriesIds, firstDay, lastDay) => rows.withSamplesIn(seriesIds, firstDay, lastDay),
    large: rows.large,
    upstream:
      rows.upstream &&
      ((asked, signal) => rows.upstream!({ ...asked, matchers: [...asked.matchers, ...own] }, signal)),
    tables: (signal) => rows.tables(signal),
  };
}

/** A storage over the store that this thread owns. */
export function ownStorage(options: OwnRowsOptions & Omit<StoreStorageOptions, "rows">): StoreStorage {
  return new StoreStorage({ ...options, rows: new OwnRows(options) });
}

/**
 * The registry, except that a held series has samples in each day since its first, and also since its last sample. A
 * series that ended has them up to its end.
 */
function withHeld({ registry, heldOf = () => undefined }: OwnRowsOptions): SeriesRegistry {
  const isHeldIn = (seriesId: number, firstDay: number, lastDay: number) => {
    const last = heldOf(seriesId);
    if (last === undefined) return false;
    const day = dayOf(last.timestampMs * 1000);
    if (last.value === undefined ? day < firstDay : day <= lastDay) return last.value !== undefined;
    return registry.hasSamplesIn(seriesId, Number.NEGATIVE_INFINITY, lastDay);
  };
  return {
    get epoch() {
      return registry.epoch;
    },
    metrics: () => registry.metrics(),
    isAttribute: (metric, tag) => registry.isAttribute(metric, tag),
    hasSamplesIn: (seriesId, firstDay, lastDay) =>
      registry.hasSamplesIn(seriesId, firstDay, lastDay) || isHeldIn(seriesId, firstDay, lastDay),
  };
}
