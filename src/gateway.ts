/**
 * The wiring: config → store → registry → totals → ingest → queries → HTTP application. This module does not
 * listen and does not sample (see commands/serve.ts), so that an import without a server can use it too.
 *
 * A start reads the file's records, restores the totals of the last snapshot, and replays the rows past it. A
 * close commits waiting samples, writes a whole snapshot, interrupts readers, checkpoints, and closes the file.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { type Config, pickSettings, settingTexts } from "./config/config.ts";
import { hideFiles, makeTemporaryDirectory, openDataFolder } from "./data-folder.ts";
import { Exposition } from "./exposition/exposition.ts";
import { EXPOSITION_INFO, isOwnSample, ownMetricType } from "./exposition/own.ts";
import { Totals } from "./exposition/totals/totals.ts";
import { type App, createApp } from "./http/app.ts";
import { BodiesInProgress } from "./http/body.ts";
import { healthRoutes } from "./http/health.ts";
import { importsRoutes } from "./http/imports-routes.ts";
import { createLog, type Log } from "./http/log.ts";
import { metricsRoutes, render } from "./http/metrics.ts";
import { adminRoutes } from "./http/prometheus/admin.ts";
import { exemplarsRoutes } from "./http/prometheus/exemplars-routes.ts";
import { federateRoutes } from "./http/prometheus/federate.ts";
import { prometheusApiRoutes } from "./http/prometheus/prometheus-api.ts";
import { prometheusStatusRoutes } from "./http/prometheus/prometheus-api-status.ts";
import { exportRoutes } from "./http/query/export-routes.ts";
import { sqlRoutes } from "./http/query/sql-routes.ts";
import { summariesRoutes } from "./http/query/summaries-routes.ts";
import { tablesRoutes } from "./http/query/tables-routes.ts";
import { Echoes } from "./ingest/admission/echoes.ts";
import { IdempotencyKeys } from "./ingest/idempotency.ts";
import { Imports } from "./ingest/imports.ts";
import { Ingest } from "./ingest/ingest.ts";
import { type Counters, createCounters } from "./model/counters.ts";
import { isExposed } from "./model/protocol.ts";
import { labelText } from "./model/spelling.ts";
import { exportLines } from "./query/export-lines.ts";
import { createFormats } from "./query/formats/all.ts";
import { seriesToDelete } from "./query/promql/series-to-delete.ts";
import { ExemplarSearch } from "./query/promql/exemplar-search.ts";
import { Federation } from "./query/promql/federation.ts";
import { Promql } from "./query/promql/promql-queries.ts";
import { SqlEngine } from "./query/sql/sql-engine.ts";
import { listTables } from "./query/sql/table-list.ts";
import { Summaries, storeFacts } from "./query/summaries/summaries.ts";
import { Groups } from "./receive/pushgateway/groups/groups.ts";
import { expireGroups } from "./receive/pushgateway/pushgateway.ts";
import { RECEIVERS } from "./receive/receivers.ts";
import { SAMPLER_PROTOCOLS } from "./sampler/sampler-protocols.ts";
import { bucketsFor } from "./series/buckets.ts";
import { Registry } from "./series/registry.ts";
import { Snapshots } from "./store/backup/snapshots.ts";
import { DiskFull } from "./store/disk-room.ts";
import { type DuckDBStore, openStore } from "./store/duckdb-store.ts";
import { faultOf } from "./store/engine/faults.ts";
import { BucketLayouts } from "./wire/bucket-layout.ts";

export interface GatewayOptions {
  /** The clock, in milliseconds since the epoch. The default is the system's. */
  readonly now?: () => number;
  readonly log?: Log;
  /** Called when the engine gave up on the file and could not open it again. Only a new process can read it. */
  readonly onFatal?: () => void;
  /** The mode of the Unix sockets. The default depends on the umask. */
  readonly socketMode?: number;
  /** Stops the program, if requests may do that. */
  readonly quit?: () => void;
}

/** The memory of a database that writes a Parquet answer. It gets the rows in chunks. */
const PARQUET_BYTES_MAX = 64 * 1_048_576;

/** A gateway without its sockets. */
export interface Gateway {
  readonly app: App;
  readonly store: DuckDBStore;
  readonly registry: Registry;
  readonly ingest: Ingest;
  readonly totals: Totals;
  readonly counters: Counters;
  readonly log: Log;
  /** Deletes expired groups. */
  expireGroups(): Promise<void>;
  /** Interrupts running queries. Their error says that the gateway is stopping. */
  stopQueries(): Promise<void>;
  /** Commits the accepted samples, checkpoints and closes the file. */
  close(): Promise<void>;
}

/** Opens the file of a configuration, and everything that uses it. */
export async function openGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const now = options.now ?? Date.now;
  const log = options.log ?? createLog(config.logLevel);
  const temporaryDirectory = join(config.data, "tmp");
  // Read at scrapes, when the store and ingest are open.
  const counters = createCounters({
    disk: () => store.room(),
    waiting: () => {
      const { samples, bytes, oldestMs } = ingest.waiting;
      const oldestSeconds = oldestMs === undefined ? 0 : Math.max(0, now() - oldestMs) / 1000;
      return { samples, bytes, oldestSeconds };
    },
  });
  openDataFolder(config.data);
  const { store, stored } = await openStore({
    path: join(config.data, "store.duckdb"),
    memoryLimitBytes: config.memoryLimitBytes,
    threads: config.threads,
    temporaryDirectory,
    counters,
    reserveBytes: config.diskReserveBytes,
    onFault: (message, error) => log.error(message, { error: String(error) }),
    onFatal: options.onFatal,
    onRoom: ({ freeBytes, isFull }) => {
      const fields = { freeBytes, diskReserveBytes: config.diskReserveBytes };
      if (isFull) log.error("disk full: pushes are rejected until there is room", fields);
      else log.warn("the disk has room again: pushes are accepted", fields);
    },
  });
  // After the store is open, because only the owner of the file may clear what an earlier process left.
  rmSync(temporaryDirectory, { recursive: true, force: true });
  makeTemporaryDirectory(temporaryDirectory);
  hideFiles(config.data);

  const registry = new Registry(
    {
      ...pickSettings(
        config,
        "attributes",
        "labelValuesMax",
        "metricsMax",
        "nameBytesMax",
        "seriesPerMetricMax",
        "seriesStoredMax",
        "tagNamesMax",
        "tagsMax",
        "tagValueBytesMax",
      ),
      bucketsFor,
      counters,
    },
    stored,
  );
  const totals = new Totals({
    ...pickSettings(config, "exemplarsMax", "exposeGaugesForMs", "seriesIdleMs"),
    counters,
  });
  for (const series of registry.series()) totals.define(series);
  totals.restore(stored.totals);
  for (const { job, instance, pushedAtMs } of stored.lastPushes)
    totals.noteLastPush(job, instance, pushedAtMs);
  // The time of arrival is unknown, so each row's own time counts. Series that had left /metrics stay away.
  await store.replay((rows) => totals.apply(rows));
  const groups = new Groups(
    {
      series: registry,
      values: totals,
      ownType: (name) => ownMetricType(counters.registry, name),
      counters,
    },
    pickSettings(config, "groupsMax", "groupSumGauges", "groupTtlMs"),
    stored.groups,
  );
  const id = crypto.randomUUID();
  const storesOwn = config.sampler && config.samplerParts.includes("gateway");
  const protocols = [...RECEIVERS.map(({ protocol }) => protocol), ...SAMPLER_PROTOCOLS];
  const isReturnedExposed = protocols.some(
    (protocol) => protocol.returnsEchoes && isExposed(protocol, config.exposeProtocols),
  );
  const echoes = new Echoes(
    {
      info: { name: EXPOSITION_INFO, id },
      registry,
      totals,
      isInGroup: (seriesId) => groups.holds(seriesId),
      isOwn: (name) => storesOwn && isOwnSample(counters.registry, name),
      isProtocolExposed: isReturnedExposed,
      onLearned: (added) =>
        log.info(
          "a server that writes here also scrapes /metrics: samples of /metrics that it writes back are dropped",
          {
            labels: labelText(added),
          },
        ),
      now,
    },
    stored.scrapers,
  );
  const ingest = new Ingest(
    {
      store,
      registry,
      totals,
      groups,
      echoes,
      keys: new IdempotencyKeys(stored.pushes, config.idempotencyBytesMax, counters),
      imports: new Imports(stored.imports),
      protocols,
    },
    {
      ...pickSettings(
        config,
        "checkpointLogBytes",
        "exposeProtocols",
        "futureMs",
        "idempotencyTtlMs",
        "queueBytesMax",
        "queueSamplesMax",
        "rejectedMax",
        "retentionBytes",
        "retentionDays",
        "seriesMax",
        "snapshotIntervalMs",
        "snapshotRows",
        "totalsLateMs",
      ),
      counters,
      now,
      onFault: (message, error) => {
        log.error(message, { error: String(error) });
        if (faultOf(error) === "invalidated") options.onFatal?.();
      },
    },
  );
  const exposition = new Exposition({ counters, id, totals, groups });
  const sql = new SqlEngine({
    store,
    registry,
    timeoutMs: config.sqlTimeoutMs,
    rowsMax: config.sqlRowsMax,
    textBytesMax: config.sqlTextBytesMax,
    concurrencyMax: config.sqlConcurrencyMax,
    memoryGrowthBytesMax: config.sqlMemoryGrowthBytesMax,
    counters,
    log,
  });
  // The stale marker of an exposed series comes from its group, unless series that servers write are exposed too.
  const endedWithItsGroup = (seriesId: number) =>
    totals.isStale(seriesId) && !isReturnedExposed && registry.seriesById(seriesId)?.exposed === true;
  const heldOf = (seriesId: number) =>
    groups.holds(seriesId) || endedWithItsGroup(seriesId)
      ? { timestampMs: totals.lastUs(seriesId) / 1_000, value: totals.level(seriesId) }
      : undefined;
  const promqlLimits = pickSettings(
    config,
    "promqlMemoryBytesMax",
    "promqlSamplesMax",
    "promqlSeriesMax",
    "promqlTimeoutMs",
  );
  const promql = new Promql({
    store,
    registry,
    ...promqlLimits,
    ...pickSettings(config, "lookbackMs", "observationStepMs", "promqlConcurrencyMax", "seriesIdleMs"),
    heldOf,
    counters,
    now,
  });
  const { catalog } = promql;
  const federation = new Federation({
    store,
    catalog,
    registry,
    totals,
    heldOf,
    ...promqlLimits,
    ...pickSettings(config, "lookbackMs", "seriesIdleMs"),
  });
  const exemplars = new ExemplarSearch({
    store,
    catalog,
    ...promqlLimits,
    ...pickSettings(config, "attributes"),
  });
  const snapshots = new Snapshots({
    store,
    directory: join(config.data, "snapshots"),
    temporaryDirectory,
    now,
  });
  const formats = createFormats({ directory: temporaryDirectory, memoryLimitBytes: PARQUET_BYTES_MAX });
  const summaries = new Summaries({ engine: sql, facts: () => storeFacts(store, config.data), now });
  const limits = {
    ...pickSettings(
      config,
      "bodyBytesMax",
      "inflatedBytesMax",
      "nameBytesMax",
      "tagsMax",
      "tagValueBytesMax",
    ),
    timeoutMs: config.bodyTimeoutMs,
    inProgress: new BodiesInProgress(),
  };
  const layouts = new BucketLayouts((metric) => registry.metric(metric)?.valuesOf("le") ?? []);
  const context = {
    ingest,
    limits,
    series: registry,
    layouts,
    groups,
    settings: pickSettings(config, "enableAdminApi", "eventsMax", "strictEvents"),
    log,
    counters,
    status: {
      build: { version: manifest.version, bunVersion: Bun.version },
      flags: settingTexts(config),
      startedAt: new Date(now()),
    },
    quit: config.enableLifecycle ? options.quit : undefined,
  };
  const routes = [
    ...RECEIVERS.flatMap((receiver) => receiver.open(context)),
    metricsRoutes({
      exposition: { families: (_, exemplars) => exposition.families(now(), exemplars) },
      scrapesMax: config.scrapesMax,
      counters,
    }),
    healthRoutes({
      ready: async () => {
        await render(await exposition.families(now()), "text");
        store.requireRoom();
        await ingest.ready();
      },
      readable: async () => {
        await store.size();
      },
    }),
    sqlRoutes({ engine: sql, formats, limits }),
    summariesRoutes({ summaries, formats }),
    tablesRoutes({ tables: (pattern, signal) => listTables(sql, pattern, signal), formats }),
    prometheusApiRoutes({ promql, limits, now }),
    prometheusStatusRoutes({
      discovery: promql.discovery,
      seriesCount: () => registry.seriesCount,
      days: () => store.days(),
      flags: () => settingTexts(config),
      version: manifest.version,
      retentionDays: config.retentionDays,
      now,
    }),
    adminRoutes({
      deleteSamples: (selectors, fromUs, toUs) =>
        ingest.deleteSamples({ seriesIds: seriesToDelete(selectors, catalog), fromUs, toUs }),
      takeSnapshot: (withLog) => snapshots.take(withLog),
      enabled: config.enableAdminApi,
      limits,
    }),
    exemplarsRoutes({ exemplars, limits }),
    federateRoutes({ federation, now }),
    importsRoutes({
      find: (file) => ingest.importOffset(file),
      withFirstLine: (hash) => ingest.importsWithFirstLine(hash),
    }),
    exportRoutes({
      lines: (range) =>
        exportLines(
          { store, seriesById: (id) => registry.seriesById(id), chunkTimeoutMs: config.sqlTimeoutMs },
          range,
        ),
      metrics: () => registry.metrics(),
      stallTimeoutMs: config.bodyTimeoutMs,
    }),
  ];
  const stopQueries = async () => {
    await sql.close();
    await Promise.all([promql.close(), federation.close(), exemplars.close(), snapshots.close()]);
  };
  return {
    app: createApp(routes, { log, counters }),
    stopQueries,
    expireGroups: () => expireGroups({ groups, ingest, now }),
    store,
    registry,
    ingest,
    totals,
    counters,
    log,
    async close() {
      // The file is closed also if the last commit fails, because acknowledged samples are stored already.
      try {
        await ingest.stop();
      } catch (error) {
        // The next start replays the rows past the last stored snapshot.
        if (!(error instanceof DiskFull)) throw error;
        log.warn("disk full: the running totals were not stored; the next start computes them from rows");
      } finally {
        await stopQueries();
        await store.close();
      }
    },
  };
}
