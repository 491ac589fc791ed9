/** Opens SQL, PromQL and what is built on them, and makes the routes that answer questions with them. */
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { type Config, externalLabels, listSettings, pickSettings, settingTexts } from "./config/config.ts";
import type { Access } from "./access/access.ts";
import type { BodyLimits } from "./http/body.ts";
import { activeQueriesRoutes, queryCaller } from "./http/operation/active-queries-routes.ts";
import { exemplarsRoutes } from "./http/prometheus/exemplars-routes.ts";
import { federateRoutes } from "./http/prometheus/federate.ts";
import { fleetRoutes } from "./http/prometheus/fleet-routes.ts";
import { metricUsageRoutes } from "./http/prometheus/metric-usage-routes.ts";
import { metricsProxyRoutes } from "./http/prometheus/metrics-proxy.ts";
import { prometheusApiRoutes } from "./http/prometheus/prometheus-api.ts";
import { prometheusStatusRoutes } from "./http/prometheus/prometheus-api-status.ts";
import { searchRoutes } from "./http/prometheus/search-routes.ts";
import { sqlRoutes } from "./http/query/sql-routes.ts";
import { summariesRoutes } from "./http/query/summaries-routes.ts";
import { tablesRoutes } from "./http/query/tables-routes.ts";
import type { Routes } from "./http/routes.ts";
import type { Totals } from "./exposition/totals/totals.ts";
import type { Owner } from "./receive/receiver.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { prometheusName } from "./model/names.ts";
import { AskedMetrics } from "./query/asked-metrics.ts";
import { ActiveQueries } from "./query/active-queries.ts";
import { CallerSeries } from "./query/caller-series.ts";
import { Fleet } from "./query/fleet/fleet-questions.ts";
import { createFormats } from "./query/formats/all.ts";
import type { PromqlArchive } from "./query/promql/archived/promql-archive.ts";
import { ExemplarSearch } from "./query/promql/exemplar-search.ts";
import { Federation } from "./query/promql/federation.ts";
import type { GridCells } from "./query/promql/cells/grid-cells.ts";
import { Promql } from "./query/promql/promql-queries.ts";
import type { HeldOf } from "./query/promql/store/held.ts";
import type { SqlArchive } from "./query/sql/archived-parts.ts";
import { SqlEngine } from "./query/sql/sql-engine.ts";
import { listTables } from "./query/sql/table-list.ts";
import { UpstreamServer } from "./query/upstream/upstream-server.ts";
import { Summaries, storeFacts } from "./query/summaries/summaries.ts";
import type { Registry } from "./series/registry.ts";
import { Snapshots } from "./store/backup/snapshots.ts";
import type { DuckDBStore } from "./store/duckdb-store.ts";

/** What queries need of the other rooms. */
interface QueryParts {
  readonly config: Config;
  readonly now: () => number;
  readonly log: Log;
  readonly counters: Counters;
  readonly temporaryDirectory: string;
  readonly store: DuckDBStore;
  readonly registry: Registry;
  readonly totals: Totals;
  /** Knows the caller whose request is being handled. */
  readonly access: Pick<Access, "caller">;
  /** The limits on bodies, which all routes share. */
  readonly limits: BodyLimits;
}

/** The memory of a database that writes a Parquet answer. It gets the rows in chunks. */
const PARQUET_BYTES_MAX = 64 * 1_048_576;

/** SQL, PromQL and what is built on them. `stop` interrupts them, and resolves when none runs. */
export function openQueries(
  { config, now, log, counters, temporaryDirectory, store, registry, totals, access }: QueryParts,
  owners: readonly Owner[],
  cells: GridCells,
  archive?: SqlArchive & PromqlArchive,
) {
  const asked = new AskedMetrics(now);
  const active = new ActiveQueries({ now, caller: () => queryCaller(access.caller) });
  const sql = new SqlEngine({
    active,
    store,
    onAsked: (metrics) => asked.note([...metrics].map(prometheusName)),
    registry,
    own: (labels) => CallerSeries.find(promql.catalog, labels),
    timeoutMs: config.sqlTimeoutMs,
    rowsMax: config.sqlRowsMax,
    textBytesMax: config.sqlTextBytesMax,
    concurrencyMax: config.sqlConcurrencyMax,
    memoryGrowthBytesMax: config.sqlMemoryGrowthBytesMax,
    counters,
    log,
    archive,
  });
  const heldOf: HeldOf = (seriesId) => {
    for (const owner of owners) {
      const last = owner.heldValue(seriesId);
      if (last !== undefined) return last;
    }
    return undefined;
  };
  const limits = pickSettings(
    config,
    "promqlMemoryBytesMax",
    "promqlSamplesMax",
    "promqlSeriesMax",
    "promqlTimeoutMs",
  );
  const [upstream] = config.upstream;
  const upstreamServer =
    upstream &&
    new UpstreamServer({
      ...{ settings: upstream, log, now, metrics: counters.registry },
      externalLabels: externalLabels(config),
    });
  const promql = new Promql({
    active,
    store,
    onAsked: (metrics) => asked.note(metrics),
    registry,
    ...limits,
    ...pickSettings(config, "lookbackMs", "observationStepMs", "seriesIdleMs"),
    ...pickSettings(config, "promqlConcurrencyMax", "promqlMemoryGrowthBytesMax"),
    ...{ heldOf, cells, counters, now, upstreamServer, archive },
  });
  const search = { store, catalog: promql.catalog, selectors: promql.selectors, ...limits };
  const federation = new Federation({
    ...search,
    registry,
    totals,
    heldOf,
    ...pickSettings(config, "lookbackMs", "seriesIdleMs"),
  });
  const exemplars = new ExemplarSearch({ ...search, ...pickSettings(config, "attributes") });
  const directory = join(config.data, "snapshots");
  const snapshots = new Snapshots({ store, directory, temporaryDirectory, now });
  snapshots.removeAbandoned();
  const summaries = new Summaries({ engine: sql, facts: () => storeFacts(store, config.data), now });
  const stop = async () => {
    await sql.close();
    await Promise.all([promql, cells, federation, exemplars, snapshots].map((each) => each.close()));
  };
  return { active, asked, sql, summaries, promql, upstreamServer, federation, exemplars, snapshots, stop };
}

/** The routes that answer questions. */
export function queryRoutes(
  { config, now, counters, temporaryDirectory, store, registry, limits, access }: QueryParts,
  { active, asked, sql, summaries, promql, federation, exemplars }: ReturnType<typeof openQueries>,
): readonly Routes[] {
  const formats = createFormats({ directory: temporaryDirectory, memoryLimitBytes: PARQUET_BYTES_MAX });
  return [
    sqlRoutes({ engine: sql, formats, limits }),
    summariesRoutes({ summaries, formats }),
    tablesRoutes({ tables: (pattern, signal, labels) => listTables(sql, pattern, signal, labels), formats }),
    prometheusApiRoutes({ promql, limits, now }),
    metricsProxyRoutes({ promql, limits }),
    searchRoutes({ discovery: promql.discovery, limits, now }),
    prometheusStatusRoutes({
      discovery: promql.discovery,
      seriesCount: () => registry.seriesCount,
      days: () => store.days(),
      ...{ flags: () => settingTexts(config), settings: () => listSettings(config) },
      version: manifest.version,
      retentionDays: config.retentionDays,
      now,
    }),
    metricUsageRoutes({ asked, metrics: () => registry.metrics() }),
    activeQueriesRoutes({ queries: active, caller: () => queryCaller(access.caller) }),
    exemplarsRoutes({ exemplars, limits }),
    fleetRoutes({ fleet: new Fleet({ peers: config.peers, metrics: counters.registry, now }), limits, now }),
    federateRoutes({ federation, now, externalLabels: externalLabels(config) }),
  ];
}
