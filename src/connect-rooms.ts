/**
 * The rooms of a gateway whose store is open: series → receivers → ingest → queries → HTTP application, one function per room. This
 * module knows no protocol: each row of the table of receivers is connected in the same way. gateway.ts opens the store. Meanwhile
 * it loads this module and all that this one imports.
 */
import manifest from "../package.json" with { type: "json" };
import type { Access } from "./access/access.ts";
import type { Gate } from "./access/gate.ts";
import { type Config, pickSettings, settingTexts } from "./config/config.ts";
import { readingSettings } from "./config/setting-error.ts";
import { DashboardFiles } from "./dashboards/dashboard-files.ts";
import { openEntrance, warnOfAttributes } from "./entrance.ts";
import { Exposition } from "./exposition/exposition.ts";
import { EXPOSITION_INFO, isOwnSample, ownMetricType } from "./exposition/own.ts";
import { Totals } from "./exposition/totals/totals.ts";
import { alertmanagerRoutes } from "./http/alertmanager/alertmanager-routes.ts";
import { type App, createApp, type RequestLogging } from "./http/app.ts";
import { BodiesInProgress, type BodyLimits } from "./http/body.ts";
import { healthRoutes } from "./http/health.ts";
import { metricsRoutes, render } from "./http/metrics.ts";
import { openApiRoutes } from "./http/openapi/openapi-routes.ts";
import { archiveRoutes } from "./http/operation/archive-routes.ts";
import { forwardRoutes } from "./http/operation/forward-routes.ts";
import { tokenRoutes } from "./http/operation/token-routes.ts";
import { dashboardsRoutes } from "./http/page/dashboards-routes.ts";
import { PageFiles } from "./http/page/page-files.ts";
import { pageAnswer, pageRoutes } from "./http/page/page-routes.ts";
import { sessionRoutes } from "./http/page/session-routes.ts";
import { adminRoutes } from "./http/prometheus/admin.ts";
import { rulesRoutes } from "./http/prometheus/rules-routes.ts";
import { arrivalsRoutes } from "./http/query/arrivals-routes.ts";
import { exportRoutes } from "./http/query/export-routes.ts";
import { importsRoutes } from "./http/query/imports-routes.ts";
import { rejectedRoutes } from "./http/query/rejected-routes.ts";
import { exportSeries, seriesExportRoutes } from "./http/query/series-export-routes.ts";
import type { Routes } from "./http/routes.ts";
import { Echoes } from "./ingest/admission/echoes.ts";
import type { IngestOptions } from "./ingest/contract.ts";
import { IdempotencyKeys } from "./ingest/idempotency.ts";
import { Imports } from "./ingest/imports.ts";
import { Ingest } from "./ingest/ingest.ts";
import { Owners } from "./ingest/owners.ts";
import { RejectedSamples } from "./ingest/rejected-samples.ts";
import { describeFault } from "./log/line.ts";
import type { Log } from "./log/log.ts";
import type { MinuteSummary } from "./log/minute-summary.ts";
import { ConcurrencyLimit } from "./model/concurrency-limit.ts";
import type { Counters } from "./model/counters.ts";
import { isExposed } from "./model/protocol.ts";
import { type Batch, dayOf, MICROSECONDS_PER_DAY } from "./model/sample.ts";
import type { Service } from "./model/service.ts";
import { labelText } from "./model/spelling.ts";
import { openArchive, openReadableArchive, storeIdentity } from "./open-archive.ts";
import { openCells } from "./open-cells.ts";
import { openDecodeWorkers } from "./open-decode-workers.ts";
import { followers, openForwarding, removedDestinations } from "./open-forwarding.ts";
import { notificationTemplates, openNotifications } from "./open-notifications.ts";
import { openQueries, queryRoutes } from "./open-queries.ts";
import { openRules } from "./open-rules.ts";
import { openTail } from "./open-tail.ts";
import { programPath } from "./program/program-files.ts";
import { endStart } from "./program/start-policy.ts";
import { CallerSeries } from "./query/caller-series.ts";
import { exportLines } from "./query/export-lines.ts";
import type { GridCells } from "./query/promql/cells/grid-cells.ts";
import { countByMetric, seriesToDelete } from "./query/promql/series-to-delete.ts";
import type { Owner, Receiver, ReceiverContext } from "./receive/receiver.ts";
import { RECEIVERS } from "./receive/receivers.ts";
import type { RuleEngine } from "./rules/rule-engine.ts";
import { RULES_PROTOCOL } from "./rules/rules-protocol.ts";
import { SAMPLER_PROTOCOLS } from "./sampler/sampler-protocols.ts";
import { bucketsFor } from "./series/buckets.ts";
import { Registry } from "./series/registry.ts";
import { DiskFull } from "./store/disk-room.ts";
import type { DuckDBStore, OpeningStore } from "./store/duckdb-store.ts";
import { faultOf } from "./store/engine/faults.ts";
import type { Store, Stored } from "./store/store.ts";
import { countSamples } from "./store/tables/deletion.ts";
import type { LiveWebConfig } from "./web-config/live-web-config.ts";
import type { ListenerTls } from "./web-config/tls-front.ts";
import { BodyHash } from "./wire/body-hash.ts";
import { BucketLayouts } from "./wire/bucket-layout.ts";

/** What is opened before the rooms, while the engine opens the file. */
export { notificationTemplates, openEntrance };

export interface GatewayOptions {
  /** The clock, in milliseconds since the epoch, also for limits per second. The default is the system's. */
  readonly now?: () => number;
  readonly log?: Log;
  /** The store, if the engine opens it already (commands/serve/begin-opening.ts). */
  readonly opening?: OpeningStore;
  /** Called when the engine gave up on the file and could not open it again. Only a new process can read it. */
  readonly onFatal?: () => void;
  /** The mode of the Unix sockets. The default depends on the umask. */
  readonly socketMode?: number;
  /** Reads the settings again. Without it a reload uses those of the start. */
  readonly readConfig?: () => Config;
  /** Stops the program, if requests may do that. */
  readonly quit?: () => void;
  /** The text of a token with all scopes that is in no file. */
  readonly adminToken?: string;
  /** Set if all requests come from this process, so that none needs a token. */
  readonly isTrusted?: true;
}

/** The bundle of the page, which `scripts/build-page` writes. */
const PAGE = programPath("dist/ui");
/**
 * More are restored by the start, and not by the first push or question: with 20,000 it would wait for 0.2 s. Compiled code restores them
 * sooner: with 200,000, interpreted code takes a tenth longer.
 */
const RESTORED_LATER_MAX = 5_000;
/** Exports of events in progress. Each sorts in the memory of the engine, which pushes need too. */
const EXPORTS_MAX = 4;
const EXPORT_WAIT_MS = 30_000;

/** A gateway without its sockets. */
export interface Gateway {
  readonly app: App;
  readonly store: DuckDBStore;
  readonly registry: Registry;
  readonly ingest: Ingest;
  readonly totals: Totals;
  /** Events as PromQL reads them. */
  readonly cells: GridCells;
  readonly counters: Counters;
  readonly log: Log;
  /** What is logged once a minute. The program that serves flushes it. */
  readonly summary: MinuteSummary;
  readonly access: Pick<Access, "hasFile" | "hasValidToken">;
  /** Certificates, users and limits of listeners. The program that listens lets it look at its files each second. */
  readonly webConfig: LiveWebConfig;
  /** What the receivers run beside their routes. The program that listens starts and stops them. */
  readonly services: readonly Service[];
  /** One of the services. */
  readonly rules: RuleEngine;
  /** Interrupts running queries. Their error says that the gateway is stopping. */
  stopQueries(): Promise<void>;
  /** Commits the accepted samples, checkpoints and closes the file. */
  close(): Promise<void>;
}

/** What is open before the rooms, and what they need of it. */
interface Common {
  readonly config: Config;
  readonly now: () => number;
  readonly log: Log;
  readonly summary: MinuteSummary;
  readonly counters: Counters;
  readonly temporaryDirectory: string;
  readonly store: DuckDBStore;
  readonly access: Access;
  /** What all requests pass. */
  readonly gate: Gate;
}

interface Opened extends Common {
  readonly templates: Awaited<ReturnType<typeof notificationTemplates>>;
  readonly webConfig: LiveWebConfig;
  /** What the file had when it was opened. */
  readonly stored: Stored;
}

/** What most rooms need of the others. */
interface Parts extends Common {
  readonly registry: Registry;
  readonly totals: Totals;
  /** The limits on bodies, which all routes share. */
  readonly limits: BodyLimits;
  readonly tls: ListenerTls | undefined;
  /** The page for people. */
  readonly pageFiles: PageFiles;
}

/** Restores the series, and opens everything that uses the store. */
export async function connectRooms(opened: Opened, options: GatewayOptions): Promise<Gateway> {
  const { stored, webConfig, templates, ...common } = opened;
  const { config, now, log, summary, counters, store, access, gate } = common;
  const parts: Parts = {
    ...common,
    tls: webConfig.listenerTls(),
    ...(await openSeries(config, counters, store, stored)),
    limits: {
      ...pickSettings(config, "bodyBytesMax", "inflatedBytesMax"),
      timeoutMs: config.bodyTimeoutMs,
      inProgress: new BodiesInProgress(),
      onRead: (bytes) => gate.limits.useBytes(bytes),
    },
    pageFiles: new PageFiles(PAGE),
  };
  const { registry, totals } = parts;
  const id = crypto.randomUUID();
  // Ingest asks the receivers which series they own, so they open first. Their handlers use ingest later.
  const receivers = await openReceivers(
    parts,
    [...stored.groups],
    {
      bodyHash: new BodyHash(stored.bodyHashSeed),
      push: (batch, pushOptions = {}) => {
        counters.demand.begin();
        return gate.limits.store(batch.length, () => ingest.push(batch, access.ofCaller(pushOptions)));
      },
      transact: (transaction, pushOptions = {}) =>
        gate.limits.store(transaction.samples, () =>
          ingest.transact(transaction, access.ofCaller(pushOptions)),
        ),
    },
    options,
  );
  const cells = openCells(parts, {
    atRest: (action) => ingest.atRest(action),
    newestUs: (seriesId) => ingest.newestUs(seriesId),
  });
  const forwarding = await openForwarding(parts, stored, () => ingest);
  const { archive, reports, dropsOf } = await openArchive(parts, stored, () => ingest);
  const ingest = openIngest(parts, stored, receivers, id, {
    ...followers(cells, forwarding, archive),
    onFatal: options.onFatal,
  });
  const owners = [...receivers.owners.values()];
  const tail = await openTail(parts, ingest, receivers.decodeLines);
  const exposition = new Exposition({ counters, id, totals, owners });
  access.watchLabels((names) => warnOfAttributes(names, parts));
  const readableArchive = await openReadableArchive(config, parts, dropsOf);
  const queries = openQueries(parts, owners, cells, readableArchive);
  const notifications = openNotifications(config, templates, { ...parts, stored });
  const { readConfig } = options;
  const rules = openRules(config, { ...parts, ...queries, ingest, receiver: notifications, readConfig });
  const routes: Routes[] = [
    openApiRoutes({ all: () => routes.flatMap(({ list }) => list), version: manifest.version }),
    ...receivers.routes,
    metricsRoutes({
      exposition: { families: (_, exemplars, labels) => exposition.families(now(), exemplars, labels) },
      scrapesMax: config.scrapesMax,
      counters,
    }),
    healthRoutes({
      onFault: (error) => log("not_ready", { error: describeFault(error) }),
      onRecovery: () => log("ready_again"),
      ready: async () => {
        await render(await exposition.families(now()), "text");
        store.requireRoom();
        await ingest.ready();
      },
      upstreamFault: async () => await queries.upstreamServer?.fault(),
      elapsedMs: options.now,
      readable: async () => {
        await store.size();
      },
    }),
    arrivalsRoutes({ totals, now }),
    pageRoutes({ files: parts.pageFiles }),
    dashboardsRoutes({
      dashboards: new DashboardFiles(config.dashboards, (problem, problems) =>
        log("dashboards_invalid", { errors: problems, first: problem }),
      ),
    }),
    sessionRoutes({ access, limits: parts.limits, isSecure: parts.tls !== undefined }),
    forwardRoutes({
      destinations: () => forwarding?.reports() ?? [],
      held: () => heldDays(store.days(), dayOf(now() * 1000) - config.retentionDays + 1),
      upstream: () => queries.upstreamServer?.report(),
    }),
    archiveRoutes({ reports, id: storeIdentity(stored), to: config.archiveTo }),
    tokenRoutes({ ...{ access, log, now }, limits: parts.limits }),
    ...queryRoutes(parts, queries),
    rulesRoutes({ rules, selectors: queries.promql.selectors }),
    alertmanagerRoutes({ ...{ notifications, now }, limits: parts.limits, version: manifest.version }),
    ...recordRoutes(parts, queries, ingest),
    rejectedRoutes({
      rejected: new RejectedSamples({ store, ingest, ...receivers }),
      selectors: queries.promql.selectors,
      limits: parts.limits,
      now,
    }),
  ];
  return {
    app: createApp(routes, {
      log,
      counters,
      guard: options.isTrusted ? undefined : parts.gate,
      ...requestLoggingOf(config, summary),
    }),
    services: [
      ...[...receivers.services, notifications, rules, ...tail],
      ...[forwarding, removedDestinations(parts, stored, () => ingest), archive].filter(
        (each) => each !== undefined,
      ),
    ],
    rules,
    stopQueries: queries.stop,
    ...{ cells, store, registry, ingest, totals, counters, log, summary, access, webConfig },
    async close() {
      // The file is closed also if the last commit fails, because acknowledged samples are stored already.
      try {
        await ingest.stop();
      } catch (error) {
        // The next start replays the rows past the last stored snapshot.
        if (!(error instanceof DiskFull)) throw error;
        log("totals_not_stored");
      } finally {
        await queries.stop();
        await store.close();
        await access.close();
      }
    },
  };
}

/** The series, and the totals of the last snapshot with the rows past it. They are restored when they are first used, if they are few. */
async function openSeries(
  config: Config,
  counters: Counters,
  store: Pick<Store, "replay">,
  stored: Stored,
): Promise<{ registry: Registry; totals: Totals }> {
  const settings = pickSettings(
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
  );
  const registry = new Registry({ ...settings, bucketsFor, counters }, stored);
  const totals = new Totals({
    ...pickSettings(config, "exemplarsMax", "exposeGaugesForMs", "seriesIdleMs"),
    ...{ counters, firstUse: registry.firstUse },
  });
  const { totals: records } = stored;
  registry.firstUse.before(() => {
    totals.reserve(registry.series());
    for (const series of registry.series()) totals.define(series);
    totals.restore(records.read());
  });
  if (stored.series.length > RESTORED_LATER_MAX) {
    endStart();
    registry.firstUse.begin();
  }
  for (const { job, instance, pushedAtMs } of stored.lastPushes)
    totals.noteLastPush(job, instance, pushedAtMs);
  // The time of arrival is unknown, so each row's own time counts. Series that had left /metrics stay away.
  // They are restored first if there are such rows.
  await store.replay((rows) => totals.apply(rows));
  return { registry, totals };
}

/** The days before the first one that retention keeps. */
function heldDays(days: ReturnType<DuckDBStore["days"]>, firstDay: number) {
  const held = days.filter(({ day }) => day < firstDay);
  return { days: held.length, samples: held.reduce((sum, { rows }) => sum + rows, 0) };
}

/** What is logged of requests, at all addresses. */
function requestLoggingOf(config: Config, summary: MinuteSummary): RequestLogging {
  const { slowQueryMs, logRequests, logLevel } = config;
  return { summary, slowQueryMs, logsRequests: logRequests || logLevel === "debug" };
}

/** Every receiver of the table, and what they add to the other rooms. */
async function openReceivers(
  { config, now, log, summary, counters, registry, totals, limits, gate, tls, pageFiles }: Parts,
  groups: Stored["groups"][number][],
  ingest: ReceiverContext["ingest"],
  { quit, socketMode }: GatewayOptions,
) {
  const protocols = [...RECEIVERS.map(({ protocol }) => protocol), ...SAMPLER_PROTOCOLS, RULES_PROTOCOL];
  const isReturnedExposed = protocols.some(
    (protocol) => protocol.returnsEchoes && isExposed(protocol, config.exposeProtocols),
  );
  const decodeWorkers = openDecodeWorkers(config, { log, registry, counters, inProgress: limits.inProgress });
  const context: ReceiverContext<Config> = {
    settings: config,
    limits: {
      ...limits,
      ...pickSettings(config, "nameBytesMax", "tagsMax", "tagValueBytesMax"),
    },
    ingest,
    series: registry,
    totals,
    takeGroups: () => groups.splice(0),
    decodeWorkers,
    layouts: new BucketLayouts((metric) => registry.metric(metric)?.valuesOf("le") ?? []),
    ownMetricType: (name) => ownMetricType(counters.registry, name),
    isReturnedExposed,
    access: gate,
    log,
    requestLogging: requestLoggingOf(config, summary),
    counters,
    now,
    status: {
      build: { version: manifest.version, bunVersion: Bun.version },
      flags: () => settingTexts(config),
      startedAt: new Date(now()),
    },
    socketMode,
    tls,
    page: () => pageAnswer(pageFiles),
    quit: config.enableLifecycle ? quit : undefined,
  };
  // The type checks that the settings of each receiver exist.
  const receivers: readonly Receiver<Config>[] = RECEIVERS;
  const opened = await Promise.all(
    receivers.map(async ({ protocol, open }) => ({
      name: protocol.name,
      ...(await readingSettings(() => open(context))),
    })),
  );
  return {
    protocols,
    isReturnedExposed,
    routes: opened.flatMap(({ routes }) => routes),
    services: [...opened.flatMap(({ services = [] }) => services), decodeWorkers],
    decoders: new Map(
      opened.flatMap(({ name, decodeRejected }): [string, (text: string) => Batch][] =>
        decodeRejected === undefined ? [] : [[name, decodeRejected]],
      ),
    ),
    encoders: new Map(
      opened.flatMap(({ name, encodeRejected }) =>
        encodeRejected === undefined ? [] : [[name, encodeRejected] as const],
      ),
    ),
    decodeLines: opened.find(({ decodeLines }) => decodeLines !== undefined)!.decodeLines!,
    owners: new Map(
      opened.flatMap(({ name, owner }): [string, Owner][] => (owner === undefined ? [] : [[name, owner]])),
    ),
  };
}

/** @param id identifies the exposition of this process, by which its samples are recognised */
function openIngest(
  { config, now, log, summary, counters, store, registry, totals }: Parts,
  stored: Pick<Stored, "scrapers" | "pushes" | "imports">,
  { protocols, isReturnedExposed, owners: byProtocol }: Awaited<ReturnType<typeof openReceivers>>,
  id: string,
  { onFatal, ...following }: Pick<IngestOptions, "follower" | "heldFrom"> & Pick<GatewayOptions, "onFatal">,
): Ingest {
  const owners = new Owners(byProtocol);
  const storesOwn = config.sampler && config.samplerParts.includes("gateway");
  const echoes = new Echoes(
    {
      info: { name: EXPOSITION_INFO, id },
      registry,
      totals,
      isOwned: (seriesId) => owners.holds(seriesId),
      isOwn: (name) => storesOwn && isOwnSample(counters.registry, name),
      isProtocolExposed: isReturnedExposed,
      onLearned: (added) => log("scraper_writes_back", { labels: labelText(added) }),
      now,
    },
    stored.scrapers,
  );
  const settings = pickSettings(
    config,
    "checkpointLogBytes",
    "exposeProtocols",
    "futureMs",
    "idempotencyTtlMs",
    "queueBytesMax",
    "queueSamplesMax",
    "rejectedBytesMax",
    "rejectedMax",
    "retentionBytes",
    "retentionDays",
    "seriesMax",
    "snapshotIntervalMs",
    "snapshotRows",
    "totalsLateMs",
  );
  return new Ingest(
    {
      store,
      registry,
      totals,
      owners,
      echoes,
      keys: new IdempotencyKeys(stored.pushes, config.idempotencyBytesMax, counters),
      imports: new Imports(stored.imports),
      protocols,
    },
    {
      ...{ ...settings, counters, now, ...following },
      onRejected: (push) => summary.noteSamples(push),
      onFault: (what, error) => {
        log("ingest_fault", { what, error: String(error) });
        if (faultOf(error) === "invalidated") onFatal?.();
      },
    },
  );
}

/** The routes that export, import, copy and delete what is stored. */
function recordRoutes(
  { config, now, store, registry, limits }: Parts,
  { promql, snapshots, sql }: ReturnType<typeof openQueries>,
  ingest: Ingest,
): readonly Routes[] {
  const { catalog } = promql;
  const series = { series: promql, limits, now, stallTimeoutMs: config.bodyTimeoutMs };
  return [
    adminRoutes({
      deleteSamples: async (selected, fromUs, toUs) =>
        await ingest.deleteSamples({ seriesIds: await seriesToDelete(selected, promql), fromUs, toUs }),
      countSamples: async (selected, fromUs, toUs) => {
        const deletion = { seriesIds: await seriesToDelete(selected, promql), fromUs, toUs };
        return countByMetric(await countSamples(store, deletion), (id) => registry.seriesById(id));
      },
      takeSnapshot: (options) => snapshots.take(options),
      enabled: config.enableAdminApi,
      limits,
    }),
    importsRoutes({
      find: (file) => ingest.importOffset(file),
      withFirstLine: (hash) => ingest.importsWithFirstLine(hash),
    }),
    seriesExportRoutes(series),
    exportRoutes({
      exports: new ConcurrencyLimit(EXPORTS_MAX, { tasks: "exports of events", waitMs: EXPORT_WAIT_MS }),
      exportSeries: (request, caller) => exportSeries(request, caller, series),
      async *lines(range, labels) {
        const own = labels && (await CallerSeries.find(catalog, labels));
        yield* exportLines(
          {
            store,
            seriesById: (id) => registry.seriesById(id),
            isAttribute: (metric, tag) => registry.isAttribute(metric, tag),
            chunkTimeoutMs: config.sqlTimeoutMs,
          },
          own === undefined ? range : { ...range, seriesIds: own.ids() },
        );
      },
      lacks: ({ fromUs }) =>
        store.days().some(({ day }) => day * MICROSECONDS_PER_DAY <= fromUs)
          ? []
          : sql.localOnly("an export of events has"),
      metrics: async (labels) =>
        (labels === undefined ? registry : await CallerSeries.find(catalog, labels)).metrics(),
      stallTimeoutMs: config.bodyTimeoutMs,
    }),
  ];
}
