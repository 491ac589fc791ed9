/**
 * `weir restore --from`: stores the days of an archive in a running gateway, or in a data folder that nobody has open. The samples go
 * through the gateway's own routes, so they are admitted as those of any import, and each file is stored once: how far it was
 * restored commits with its samples.
 */
import { archivedDaysOf, manifestOf } from "../../archive/archive-contents.ts";
import { ArchiveFault, type ArchivedFile, type Manifest } from "../../archive/manifest.ts";
import { ArchivedLines, type ArchivedRowsText } from "../../archive/restore/archived-lines.ts";
import { EXEMPLARS_TYPE, restoredFirstLine, restoredImport } from "../../archive/restore/restored-parts.ts";
import type { ArchiveTarget } from "../../archive/targets/archive-target.ts";
import { openTarget } from "../../archive/targets/open-target.ts";
import { loadConfig, takeSettings } from "../../config/config.ts";
import { DAY_MS } from "../../model/duration.ts";
import type { Series } from "../../model/sample.ts";
import { dateText } from "../../model/time.ts";
import { Interrupted, type PartAnswer } from "../../line-files/line-store.ts";
import { readArguments } from "../arguments.ts";
import { accepted, gatewayAt, type Send, urlOptions } from "../client.ts";
import { exitCode, type Io, UsageError } from "../command.ts";
import { PAUSES_MS } from "../import/import-file.ts";
import { withOfflineGateway } from "../import/offline-gateway.ts";
import { grouped, ProgressBar } from "../import/progress.ts";
import { type FileReport, Report } from "../import/report.ts";
import { ImportTarget } from "../import/target.ts";
import type { ArchiveAnswer } from "./archive.ts";
import { dayArgument } from "./day-argument.ts";

const OPTIONS = {
  from: { type: "string" },
  day: { type: "string", multiple: true, default: [] as string[] },
  ...urlOptions,
} as const;

/** What was done with a day. */
interface RestoredDay {
  readonly stored: number;
  readonly duplicates: number;
  readonly rejected: number;
  /** Samples that were restored before. */
  readonly known: number;
  readonly exemplars: number;
  readonly rejectedExemplars: number;
}

/** Runs the command for arguments with `--from`. */
export async function restoreArchive(argv: readonly string[], io: Io): Promise<number> {
  const { settings, rest } = takeSettings(argv);
  const { values } = readArguments(rest, OPTIONS, false);
  const target = openTarget(values.from!);
  const asked = values.day.map(dayArgument);
  const isOffline = settings.some((each) => each === "--data" || each.startsWith("--data="));
  if (!isOffline && settings.length > 0)
    throw new UsageError(`${settings[0]} is a setting of the gateway, which is allowed only with --data.`);
  if (isOffline && values.url !== undefined)
    throw new UsageError("--url and --data exclude each other: --url names a running gateway.");
  const days = asked.length > 0 ? asked.toSorted((a, b) => a - b) : await archivedDaysOf(target);
  if (days.length === 0) throw new ArchiveFault(`${target.text} has no archived day`);
  if (!isOffline) return await restoreDays(target, days, gatewayAt(values.url, io, values.ca), io);
  const config = loadConfig(settings, io.env, io.readFile);
  const retentionDays = Math.max(config.retentionDays, retentionOf(days[0]!));
  // Nothing is dropped while it is open.
  const code = await withOfflineGateway({ ...config, retentionDays }, "restore", (send) =>
    restoreDays(target, days, send, io),
  );
  if (retentionDays > config.retentionDays)
    await io.stdout.write(
      `Serve this folder with --retention-days ${retentionDays} or more: with ${config.retentionDays}, the gateway drops the restored days.\n`,
    );
  return code;
}

/** The retention that keeps a day: it counts UTC days, with today. */
function retentionOf(day: number): number {
  return Math.floor(Date.now() / DAY_MS) - day + 1;
}

async function restoreDays(
  target: ArchiveTarget,
  days: readonly number[],
  send: Send,
  io: Io,
): Promise<number> {
  const local = (await (await accepted(await send("/api/v1/archive"))).json()) as ArchiveAnswer;
  const lines = await ArchivedLines.open(target);
  const bar = new ProgressBar(io.stderr);
  let failures = 0;
  try {
    await requireRetention(send, days[0]!);
    for (const day of days) {
      const date = dateText(day);
      const manifest = await manifestOf(target, day);
      if (manifest === undefined) throw new ArchiveFault(`${target.text} does not have ${date}`);
      const here = placeOf(local, manifest);
      if (here !== undefined) {
        if (here.isFault) failures++;
        await (here.isFault ? io.stderr : io.stdout).write(`${date}: ${here.text}\n`);
        continue;
      }
      const importer = new ImportTarget(send);
      const [report, exemplarReport] = [new Report().file(), new Report().file()];
      const done = await restoreDay({
        ...{ day, manifest, lines, report, exemplarReport, bar },
        target: importer,
      });
      await bar.clear();
      if (done.rejected + done.rejectedExemplars > 0) failures++;
      await io.stdout.write(`${date}: ${countsOf(done)}\n`);
      for (const line of [...report.details(), ...exemplarReport.details()])
        await io.stdout.write(`${line}\n`);
    }
  } finally {
    await bar.clear();
    lines.close();
  }
  return failures > 0 ? exitCode.failure : exitCode.ok;
}

/** Why a day is not restored. Undefined if it is. */
function placeOf(
  { to, gateway, days }: ArchiveAnswer,
  manifest: Manifest,
): { readonly text: string; readonly isFault: boolean } | undefined {
  const found = days.find(({ date }) => date === manifest.date);
  if (found === undefined || found.rows === 0 || found.state === "restored") return undefined;
  if (manifest.gateway.id !== gateway) {
    if (to === null) return undefined;
    const [samples, them] = found.rows === 1 ? ["sample", "it"] : ["samples", "them"];
    return {
      text:
        `not restored: the gateway has ${grouped(found.rows)} ${samples} of this day that it did not restore, and archives ${them} ` +
        "in a day of its own; restore to another folder with --data",
      isFault: true,
    };
  }
  if (["archived", "late", "writing"].includes(found.state))
    return { text: `its ${grouped(manifest.rows)} samples are here`, isFault: false };
  return {
    text:
      found.state === "changed"
        ? "not restored: samples were deleted here since it was archived, or it was packed while there was no archive"
        : `not restored: the gateway has ${grouped(found.rows)} samples of this day that it did not restore, and the archive may have the same`,
    isFault: true,
  };
}

/** @throws ArchiveFault if the gateway would reject the day */
async function requireRetention(send: Send, day: number): Promise<void> {
  const answer = (await (await accepted(await send("/api/v1/status/flags"))).json()) as {
    readonly data: Readonly<Record<string, string>>;
  };
  const kept = Number(answer.data["retention-days"]);
  const needed = retentionOf(day);
  if (needed <= kept) return;
  throw new ArchiveFault(
    `${dateText(day)} is older than what the gateway keeps (--retention-days ${kept}); start it with --retention-days ${needed}, or restore to a folder of its own with --data`,
  );
}

interface DayToRestore {
  readonly day: number;
  readonly manifest: Manifest;
  readonly lines: ArchivedLines;
  readonly target: ImportTarget;
  readonly report: FileReport;
  readonly exemplarReport: FileReport;
  readonly bar: ProgressBar;
}

async function restoreDay(restore: DayToRestore): Promise<RestoredDay> {
  const { day, manifest, lines, report, exemplarReport, bar } = restore;
  const series = new Map<number, ReadonlyMap<number, Series>>();
  let [known, done] = [0, 0];
  for (const { parts } of manifest.metrics)
    for (const part of parts) {
      known += await restoreFile(restore, part, async (stored) => {
        const { drops = 0 } = part;
        const own = series.get(drops) ?? (await lines.series(day, manifest, drops));
        series.set(drops, own);
        return { rows: lines.lines(day, part, own, stored), report };
      });
      done += part.rows;
      await bar.show(manifest.date, done, manifest.rows, done);
    }
  // They are sent after the samples, which say more of their series: type, unit and help.
  for (const file of manifest.exemplars)
    await restoreFile(restore, file, (stored) => ({
      rows: lines.exemplars(day, manifest, file, stored),
      report: exemplarReport,
      contentType: EXEMPLARS_TYPE,
    }));
  const { stored, duplicates, rejected } = report.counts;
  const { stored: exemplars, rejected: rejectedExemplars } = exemplarReport.counts;
  return { stored, duplicates, rejected, known, exemplars, rejectedExemplars };
}

/** How the rows of a file are sent. */
interface SentRows {
  readonly rows: AsyncIterable<ArchivedRowsText>;
  readonly report: FileReport;
  readonly contentType?: string;
}

/**
 * Restores the rows of a file that were not restored before. Returns how many were.
 *
 * @param open returns the rows from one on
 */
async function restoreFile(
  restore: DayToRestore,
  file: ArchivedFile,
  open: (fromRow: number) => SentRows | Promise<SentRows>,
): Promise<number> {
  let known: number | undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      const stored = await storedOf(restore, file);
      known ??= stored;
      if (stored < file.rows) await sendRows(restore, file, stored, await open(stored));
      return known;
    } catch (error) {
      const pauseMs = PAUSES_MS[attempt];
      if (!(error instanceof Interrupted) || pauseMs === undefined) throw error;
      await Bun.sleep(Math.max(pauseMs * (0.5 + Math.random()), error.pauseMs ?? 0));
    }
  }
}

/** How many rows of a file were restored before. */
async function storedOf({ target, manifest }: DayToRestore, { file }: ArchivedFile): Promise<number> {
  return (await target.named(restoredImport(manifest.gateway.id, manifest.date, file)))?.byteOffset ?? 0;
}

async function sendRows(
  { day, manifest, target }: DayToRestore,
  sent: ArchivedFile,
  fromRow: number,
  { rows, report, contentType }: SentRows,
): Promise<void> {
  const file = restoredImport(manifest.gateway.id, manifest.date, sent.file);
  let stored = fromRow;
  for await (const { fromRow: from, toRow, text } of rows) {
    const answer = await target.push(
      {
        file,
        firstLineHash: restoredFirstLine(day),
        fromOffset: stored,
        toOffset: toRow,
        lastLineHash: sent.sha256,
        identity: { hash: sent.sha256, marks: "", worker: "", places: [], modifiedMs: 0 },
        firstLine: "",
        isLive: false,
        body: new TextEncoder().encode(text),
      },
      [],
      [],
      contentType,
    );
    // If no row was stored, the offset does not change, and the next part skips them.
    if (answer.accepted + answer.duplicates > 0) stored = toRow;
    report.add({ body: NOTHING, toOffset: 0, before: { newlines: 0 } }, placed(answer, sent, from));
  }
}

const NOTHING = new Uint8Array(0);

/** The answer with the file and the row in its messages. */
function placed(answer: PartAnswer, { file }: ArchivedFile, from: number): PartAnswer {
  return {
    ...answer,
    errors: answer.errors.map((error) => ({
      ...error,
      reason: `${file}, row ${from + error.index}: ${error.reason}`,
    })),
    warnings: answer.warnings.map((warning) => ({
      ...warning,
      message: `${file}, row ${from + warning.index}: ${warning.message}`,
    })),
  };
}

function countsOf(day: RestoredDay): string {
  const { stored, duplicates, rejected, known, exemplars, rejectedExemplars } = day;
  return [
    `${grouped(stored)} samples restored`,
    ...(known > 0 ? [`${grouped(known)} were restored before`] : []),
    ...(duplicates > 0 ? [`${grouped(duplicates)} are here already`] : []),
    ...(rejected > 0 ? [`${grouped(rejected)} rejected`] : []),
    ...(exemplars > 0 ? [`${grouped(exemplars)} exemplars restored`] : []),
    ...(rejectedExemplars > 0 ? [`${grouped(rejectedExemplars)} exemplars rejected`] : []),
  ].join(", ");
}
