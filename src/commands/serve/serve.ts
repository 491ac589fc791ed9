/**
 * What `weir serve` runs: the gateway with its sockets, its sampler and its loops.
 *
 * It stops on SIGTERM, SIGINT, SIGHUP, or a request to the lifecycle API if that is enabled. It stops in this order,
 * within `stopTimeoutMs`:
 * 1. Listeners accept no new connections. Requests in progress finish. Queries are interrupted after a quarter of the
 *    time. The services of the receivers stop.
 * 2. The sampler and the loops (retention, quiet checkpoints) end.
 * 3. Ingest commits everything that it accepted, and then a whole snapshot of the totals.
 * 4. Readers are interrupted. A checkpoint moves the log into the file, and the file is closed.
 * Another SIGTERM or SIGINT after at least a second ends the process at once. Acknowledged samples are safe then too.
 */
import manifest from "../../../package.json" with { type: "json" };
import {
  addressThatNeedsToken,
  type Config,
  type Resolved,
  resolveSettings,
  SettingError,
} from "../../config/config.ts";
import { type Gateway, type GatewayOptions, openGateway } from "../../gateway.ts";
import { type Listener, listen } from "../../http/server.ts";
import { createLog, type Log } from "../../log/log.ts";
import { standardError } from "../../log/standard-error.ts";
import { repeat, type Service } from "../../model/service.ts";
import { shellWord } from "../../model/errors.ts";
import { releaseCodePages } from "../../program/code-pages.ts";
import { endStart } from "../../program/start-policy.ts";
import { type Notify, openNotifySocket } from "../../supervision/notify-socket.ts";
import { Supervisor } from "../../supervision/supervisor.ts";
import { watchUncaughtFaults } from "../../supervision/uncaught-faults.ts";
import { ClosedSpans } from "../../store/blocks/closed-spans.ts";
import { DiskFull } from "../../store/disk-room.ts";
import { StoreLocked } from "../../store/store.ts";
import { exitCode, faultText, type Io } from "../command.ts";
import { nextSignal } from "../stop-signals.ts";

/** A gateway that accepts connections. */
export interface RunningGateway extends Gateway {
  /** The first address. */
  readonly url: string;
  readonly urls: readonly string[];
  /** Stops in the order above. Resolves when the file is closed. */
  stop(): Promise<void>;
}

/** Time to send the last answers before the process ends without an orderly stop. */
const ANSWER_MS = 250;
/** Interval of checkpoints while ingest is idle. */
const QUIET_CHECKPOINT_INTERVAL_MS = 30_000;
/** Slow queries and rejected pushes are logged once a minute. */
const SUMMARY_INTERVAL_MS = 60_000;
/** Interval of looks at the files of certificates, and at web.yml. */
const WEB_CONFIG_INTERVAL_MS = 1_000;
/**
 * The sampler and the loops begin this long after the gateway listens. The first requests would wait for them otherwise: the
 * sampler's modules alone take 20 ms.
 */
const BESIDE_AFTER_MS = 200;
/** When a start has ended, with the first samples of the sampler. */
const SETTLED_MS = 1_500;
/** A log smaller than this is replayed at a start in milliseconds. */
const QUIET_CHECKPOINT_LOG_BYTES = 4 * 1_048_576;

/** Opens a gateway, listens, and starts its sampler and loops. */
export async function startGateway(config: Config, options: GatewayOptions = {}): Promise<RunningGateway> {
  const gateway = await openGateway(config, options);
  const { ingest, registry, store, log, services, summary, webConfig } = gateway;
  // The log already says that the disk is full.
  const isLogged = (error: unknown) => error instanceof DiskFull;
  const faultOf = (task: string) => (error: unknown) => {
    if (!isLogged(error)) log("housekeeping_failed", { task, error: String(error) });
  };
  const serviceFaultOf = (service: Service) => (error: unknown) => {
    if (!isLogged(error)) log("service_failed", { urls: service.urls?.join(" "), error: String(error) });
  };
  const stopServices = () =>
    Promise.all(services.map((service) => service.stop().catch(serviceFaultOf(service))));
  let listener: Listener | undefined;
  try {
    requireToken(config, gateway);
    for (const service of services) {
      await service.begin?.().catch((error: unknown) => {
        if (!isLogged(error)) throw error;
      });
    }
    listener = await listen(gateway.app, config.listen, {
      log,
      socketMode: options.socketMode,
      tls: webConfig.listenerTls(),
    });
    for (const service of services) await service.start(serviceFaultOf(service));
  } catch (error) {
    await Promise.all([listener?.stop(0), stopServices()]);
    await gateway.close();
    throw error;
  }
  // The start has read blocks that nobody needs again soon: 10 MB with 600 series. It does not wait for their end.
  void store.freeBlocks(0).catch(faultOf("blocks of the start"));
  const urls = [...listener.urls, ...services.flatMap((service) => service.urls ?? [])];
  const openSampler = async () => {
    const { startSampler } = await import("../../open-sampler.ts");
    return startSampler(config, gateway);
  };
  const prune = repeat(config.retentionIntervalMs, async () => {
    const { days, rows } = await ingest.prune();
    if (days.length > 0) log("days_dropped", { days: days.length, rows });
  });
  let stopped: Promise<void> | undefined;
  const spans = new ClosedSpans(store, config.packAfterMs);
  // A start is for pushes: the first look comes later.
  let isStarting = true;
  const pack = repeat(config.packIntervalMs, async () => {
    if (!isStarting && config.packAfterMs > 0 && !store.room().isFull)
      await spans.pack(Date.now(), () => stopped !== undefined);
    isStarting = false;
  });
  const checkpoint = repeat(QUIET_CHECKPOINT_INTERVAL_MS, async () => {
    const { logBytes } = await store.fileSizes();
    // On a full disk, the blocks of dropped days become free only after a checkpoint.
    const enough = store.room().isFull ? 1 : QUIET_CHECKPOINT_LOG_BYTES;
    if (ingest.waiting.samples === 0 && logBytes >= enough) await store.checkpoint();
  });
  const summarise = repeat(SUMMARY_INTERVAL_MS, async () => summary.flush());
  const lookAtWebConfig = repeat(
    WEB_CONFIG_INTERVAL_MS,
    async () => webConfig.look(),
    () => webConfig.hasFiles,
  );
  const loops = {
    retention: prune,
    blocks: pack,
    checkpoint,
    summary: summarise,
    webConfig: lookAtWebConfig,
  };
  let sampling: Promise<{ stop(): Promise<void> } | void> | undefined;
  const beginning = setTimeout(() => {
    // The first push or question would wait for it.
    registry.firstUse.begin();
    for (const [task, loop] of Object.entries(loops)) void loop.start(faultOf(task));
    if (config.sampler) sampling = openSampler().catch(faultOf("sampler"));
  }, BESIDE_AFTER_MS);
  const stop = async () => {
    clearTimeout(beginning);
    // Half of the time is for requests in progress, and half for the last commit and the checkpoint. Queries that still
    // run after a quarter are interrupted, so that there is time to answer their clients.
    const queryLimit = setTimeout(
      () => void gateway.stopQueries().catch(faultOf("stop of queries")),
      config.stopTimeoutMs / 4,
    );
    const [cut] = await Promise.all([listener.stop(config.stopTimeoutMs / 2), stopServices()]);
    clearTimeout(queryLimit);
    if (cut > 0) log("requests_cut_off", { requests: cut });
    await (await sampling)?.stop();
    for (const loop of Object.values(loops)) await loop.stop();
    await gateway.close();
    summary.flush();
  };
  return {
    ...gateway,
    url: urls[0]!,
    urls,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

/**
 * Throws `SettingError` if everyone could use the gateway although tokens are expected: other machines reach it, or its
 * token file is missing, such as a secret that was not mounted. A password or a certificate of clients is enough too.
 */
function requireToken(config: Config, { access, webConfig }: Gateway): void {
  if (access.hasValidToken || webConfig.hasUsers || webConfig.verifiesClients) return;
  const { data, tokenFile } = config;
  const create = "weir token create --name admin --scope push,read,sql,scrape,alerts,admin";
  if (tokenFile !== "" && !access.hasFile) {
    throw new SettingError(
      `tokenFile is "${tokenFile}", which does not exist, so no request would need a token: run "${create} ` +
        `--token-file ${shellWord(tokenFile)}", or start without this setting.`,
    );
  }
  const open = addressThatNeedsToken(config);
  if (open === undefined) return;
  const { key, flag, address } = open;
  const files =
    tokenFile === ""
      ? `--data ${shellWord(data)}`
      : `--data ${shellWord(data)} --token-file ${shellWord(tokenFile)}`;
  throw new SettingError(
    `${key} is "${address}", which other machines may reach, and there is no token and no user of web.yml: run ` +
      `"${create} ${files}", and then "weir serve ${flag} ${shellWord(address)} ${files}". (--open allows requests without tokens, ` +
      "for networks that you trust.)",
  );
}

/** Like `startGateway`, with advice in the error for a folder that is in use. */
async function start(config: Config, options: GatewayOptions): Promise<RunningGateway> {
  try {
    return await startGateway(config, options);
  } catch (error) {
    if (!(error instanceof StoreLocked)) throw error;
    throw new StoreLocked(`${error.message}, or give --data another folder`);
  }
}

function openSupervisor(env: Io["env"], log: Log): Supervisor {
  let notify: Notify | undefined;
  try {
    notify = openNotifySocket(env.NOTIFY_SOCKET);
  } catch (error) {
    log("supervisor_unreachable", { error: String(error) });
  }
  return new Supervisor({ notify, env, pid: process.pid, log });
}

/**
 * Ends the policy of the start (main.ts) at the first push or question. Until then the gateway only samples its machine. To compile
 * what 300 samples call took 35 to 60 of 180 CPU-ms in the first 20 seconds. What was stored is restored before, since that runs once.
 */
function compileOnDemand({ counters, registry }: Gateway): void {
  let isBegun = false;
  counters.demand.listen(() => {
    if (isBegun) return;
    isBegun = true;
    registry.firstUse.begin();
    endStart();
  });
}

/** What `systemctl status` shows. */
function statusOf({ store, ingest, registry, urls }: RunningGateway): string {
  if (store.room().isFull) return "disk full: pushes are rejected until there is room";
  return `accepts pushes on ${urls.join(", ")}; ${registry.seriesCount} series, ${ingest.waiting.samples} samples wait`;
}

/**
 * Runs the gateway until it is told to stop. Resolves to the exit code.
 *
 * @param opening the store, if the engine opens it already
 */
export async function serve(
  argv: readonly string[],
  io: Io,
  { config, origins }: Resolved,
  { adminToken, opening }: Pick<GatewayOptions, "adminToken" | "opening">,
): Promise<number> {
  const quit = Promise.withResolvers<string>();
  const lost = Promise.withResolvers<string>();
  const broken = Promise.withResolvers<string>();
  const log = createLog(config.logLevel, standardError(io.env.JOURNAL_STREAM), {
    format: config.logFormat,
    requests: config.logRequests,
  });
  let counters: Gateway["counters"] | undefined;
  watchUncaughtFaults(
    log,
    () => counters?.uncaughtFaults,
    () => broken.resolve("exception"),
  );
  const supervisor = openSupervisor(io.env, log);
  await supervisor.opening();
  // If a format is given, a program reads the lines. Otherwise people do, and get a sentence.
  const isForPrograms = origins.logFormat !== "default";
  const opened = start(config, {
    log,
    socketMode: io.umask === undefined ? undefined : 0o777 & ~io.umask,
    adminToken,
    opening,
    readConfig: () => resolveSettings(argv, io.env, io.readFile).config,
    quit: () => quit.resolve("request"),
    onFatal: () => lost.resolve("the engine gave up on the file"),
  });
  const [gateway, { registerProcessMetrics }] = await Promise.all([
    opened.catch(async (error: unknown) => {
      await supervisor.failed(faultText(error));
      if (!isForPrograms) throw error;
      log("start_failed", { error: faultText(error) });
      return error instanceof SettingError ? exitCode.usage : exitCode.failure;
    }),
    // While the engine opens the file, there is time to load what the end of the start needs.
    import("../../exposition/process-metrics.ts"),
    io.stdout,
  ]);
  if (typeof gateway === "number") return gateway;
  counters = gateway.counters;
  registerProcessMetrics(gateway.counters, manifest.version);
  compileOnDemand(gateway);
  // Before anything says that the gateway runs, because a supervisor may stop it at once.
  const signalled = nextSignal();
  gateway.log("listening", {
    urls: gateway.urls.join(" "),
    data: config.data,
    version: manifest.version,
    pid: process.pid,
  });
  if (!isForPrograms)
    await io.stdout.write(`weir ${manifest.version} listens on ${gateway.urls.join(", ")}\n`);
  await supervisor.ready({ probe: () => gateway.ingest.probe(), status: () => statusOf(gateway) });
  const settled = setTimeout(() => void releaseCodePages(), SETTLED_MS);
  const signal = await Promise.race([signalled, quit.promise, lost.promise, broken.promise]);
  clearTimeout(settled);
  gateway.log("stopping", { signal });
  void supervisor.stopping(config.stopTimeoutMs);
  void lost.promise.then(async () => {
    // No more commits are possible. A supervisor starts a new process, which reads everything that was acknowledged.
    gateway.log("engine_lost");
    await Bun.sleep(ANSWER_MS);
    process.exit(exitCode.failure);
  });
  const late = setTimeout(() => {
    gateway.log("stop_late", { stopTimeoutMs: config.stopTimeoutMs });
    process.exit(exitCode.failure);
  }, config.stopTimeoutMs);
  await gateway.stop();
  clearTimeout(late);
  gateway.log("stopped");
  return signal === "exception" ? exitCode.failure : exitCode.ok;
}
