/** Connects the archive with the store and with ingest. What reads and writes archives is loaded if the settings name one. */
import { join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { type ArchivedDayReport, reportWithoutArchive } from "./archive/archived-day-report.ts";
import type { Archive } from "./archive/archiving.ts";
import type { ReadableArchive } from "./archive/reading/readable-archive.ts";
import { restoredFirstLine } from "./archive/restore/restored-parts.ts";
import { ArchivedDays } from "./archive/writing/archived-days.ts";
import type { Config } from "./config/config.ts";
import type { Ingest } from "./ingest/ingest.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import type { Store, Stored } from "./store/store.ts";
import { readStatesAgain } from "./store/tables/state-rows.ts";

interface ArchivingParts {
  readonly config: Config;
  readonly counters: Counters;
  readonly log: Log;
  readonly now: () => number;
  readonly store: Store;
}

/** The folder of the archive's own files in a data folder: those that are being written, and copies of those of a bucket. */
export function archiveFolder(config: Pick<Config, "data">): string {
  return join(config.data, "archive");
}

/** The folders whose files the engine of the store may use, if there is an archive. */
export async function archiveFileFolders(
  config: Pick<Config, "data" | "archiveTo">,
): Promise<{ readonly own: string; readonly archived: string }> {
  const { placeOf } = await import("./archive/targets/open-target.ts");
  const own = `${resolve(archiveFolder(config))}/`;
  const place = placeOf(config.archiveTo);
  return { own, archived: "folder" in place ? `${place.folder}/` : own };
}

/** Identifies a store in manifests, without its secret. */
export function storeIdentity({ bodyHashSeed }: Pick<Stored, "bodyHashSeed">): string {
  return new Bun.CryptoHasher("sha256").update(`weir archive ${bodyHashSeed}`).digest("hex").slice(0, 32);
}

/**
 * The archive of the settings, which is undefined if there is none, and what is archived of the days here. It archives when it is
 * started as a service.
 *
 * @param ingest returns ingest, which is opened later because it tells the archive of deletions
 */
export async function openArchive(
  { config, counters, log, now, store }: ArchivingParts,
  stored: Pick<Stored, "archives" | "bodyHashSeed">,
  ingest: () => Ingest,
): Promise<OpenedArchive> {
  const days = new ArchivedDays(stored.archives, {
    store: (records) => ingest().storeForwards(() => ({ archives: records() })),
    load: () => readStatesAgain(store, "archives"),
  });
  // What the archive has of a day is noted by row ids, and packing would change these. Without an archive, the day is packed, and
  // noted as changed: an archive that comes back gets it as a whole.
  if (config.archiveTo !== "") store.holdRows((day) => days.holds(day) && !isBack(day));
  const isRestored = (day: number) => ingest().importsWithFirstLine(restoredFirstLine(day)).length > 0;
  /** It was archived and dropped, and then restored. */
  const isBack = (day: number) => days.of(day)?.gone === true && isRestored(day);
  if (config.archiveTo === "") {
    const reports = () => store.days().map((day) => reportWithoutArchive(day, days, isRestored));
    return { archive: undefined, reports: () => reports().toReversed(), dropsOf: () => 0 };
  }
  const [{ Archive }, { openTarget }] = await Promise.all([
    import("./archive/archiving.ts"),
    import("./archive/targets/open-target.ts"),
  ]);
  const target = openTarget(config.archiveTo);
  const archive = new Archive({
    ...{ log, now, store, days, target },
    spool: join(resolve(archiveFolder(config)), "spool"),
    gateway: {
      id: storeIdentity(stored),
      version: manifest.version,
      external_labels: Object.fromEntries(
        config.externalLabels.map((pair) => pair.split(/=(.*)/s) as [string, string]),
      ),
    },
    afterMs: config.archiveAfterMs,
    holdBytes: config.archiveHoldBytes,
    fileBytes: async () => (await store.fileSizes()).fileBytes,
    isRestored,
    atRest: (action) => ingest().atRest(action),
    metrics: counters.registry,
  });
  const dropsOf = (day: number) => (isBack(day) ? 0 : days.dropsOf(day, target.text));
  return { archive, reports: () => archive.reports(), dropsOf };
}

interface OpenedArchive {
  readonly archive: Archive | undefined;
  readonly reports: () => readonly ArchivedDayReport[];
  /** How often a day was dropped after it was archived, if the samples of before are not here. */
  readonly dropsOf: (day: number) => number;
}

/** The archived days that SQL and PromQL read. Undefined if the settings do not say so. */
export async function openReadableArchive(
  config: Config,
  { store, now }: { readonly store: Pick<Store, "days">; readonly now: () => number },
  dropsOf: OpenedArchive["dropsOf"],
): Promise<ReadableArchive | undefined> {
  if (config.archiveTo === "" || !config.archiveRead) return undefined;
  const [{ PartCache }, { ReadableArchive }, { openTarget, placeOf }] = await Promise.all([
    import("./archive/reading/part-cache.ts"),
    import("./archive/reading/readable-archive.ts"),
    import("./archive/targets/open-target.ts"),
  ]);
  const target = openTarget(config.archiveTo);
  const bytesMax = config.archiveCacheBytes;
  const folder = join(resolve(archiveFolder(config)), "cache");
  const cache = "folder" in placeOf(config.archiveTo) ? undefined : new PartCache(target, folder, bytesMax);
  return new ReadableArchive({ target, cache, bytesMax, days: () => store.days(), dropsOf, now });
}
