/**
 * `weir doctor --repair`: corrects a block of the catalog that a kill has cut, salvages a damaged database or log into a new folder,
 * or repairs a damaged journal, and prints what is lost and what to do next.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import { giveToOwner, requireReadableFolder } from "../../data-folder.ts";
import { createCounters } from "../../model/counters.ts";
import { shellWord } from "../../model/errors.ts";
import { dateText } from "../../model/time.ts";
import { alignedRows } from "../../query/formats/aligned-text.ts";
import { NoStore, STORE_FILE } from "../../store/inspection.ts";
import { lostChanges } from "../../store/journal/journal-file.ts";
import { type Repaired, repairJournal } from "../../store/repair.ts";
import { type Salvaged, salvageStore } from "../../store/rewrite/database-salvage.ts";
import { type RecoveredBlocks, recoverTornBlocks } from "../../store/catalog/torn-recovery.ts";
import type { TableLoss } from "../../store/rewrite/table-salvage.ts";
import type { LostRecords } from "../../store/store-options.ts";
import type { Io } from "../command.ts";
import { counted } from "./counted.ts";

/** Repairs the store of the settings, which no gateway may have open. */
export async function repair(config: Config, io: Io): Promise<void> {
  requireReadableFolder(config.data);
  const path = join(config.data, STORE_FILE);
  if (!existsSync(path))
    throw new NoStore(`There is no store in ${config.data}: it has no file ${STORE_FILE}.`);
  try {
    await repairStore(path, config, io);
  } finally {
    giveToOwner(config.data);
  }
}

async function repairStore(path: string, config: Config, io: Io): Promise<void> {
  const options = {
    path,
    counters: createCounters(),
    memoryLimitBytes: config.memoryLimitBytes,
    threads: config.threads,
    temporaryDirectory: join(config.data, "tmp"),
  };
  const recovered = await recoverTornBlocks(options, true);
  if (recovered !== undefined) await io.stdout.write(recoveredText(recovered));
  const salvaged = await salvageStore(options, Date.now());
  if (salvaged !== undefined) {
    await io.stdout.write(salvagedText(config.data, salvaged));
    return;
  }
  const repaired = await repairJournal(options, Date.now());
  if (repaired !== undefined) await io.stdout.write(repairedText(repaired));
  else if (recovered === undefined)
    await io.stdout.write("Database, log and journal can be read; nothing was repaired.\n");
}

function recoveredText({ path, blocks, read }: RecoveredBlocks): string {
  const places = blocks.map(({ at }) => at).join(", ");
  const proof =
    read === undefined
      ? "What is in use of it is as it was noted before"
      : `There is no note of what was in use, but ${counted(read.tables, "table")} with ${counted(read.rows, "row")} were read ` +
        "and none is missing";
  return (
    `A kill had left ${counted(blocks.length, "block")} of the catalog half written (byte ${places} of ${path}). ${proof}. ` +
    "The checksum is corrected, and nothing is lost.\n"
  );
}

function repairedText(repaired: Repaired): string {
  const { copy, isLogShort } = repaired;
  const kept = copy === undefined ? "" : ` The journal as it was is ${copy}.`;
  const deletions = isLogShort ? ` ${UNDONE_DELETIONS}` : "";
  return `The journal is repaired. Lost: ${journalLoss(repaired)}.${kept}${deletions}\n`;
}

function journalLoss({ records, isLogShort, lost, rows, series }: LostRecords): string {
  const parts = [
    ...(isLogShort ? ["the last commits of the log"] : []),
    ...(lost === undefined ? [] : [lostChanges(lost.movedAtMs)]),
    ...(records === 0 ? [] : [`${counted(records, "record")} that cannot be read`]),
    ...(rows === 0 ? [] : [`${counted(rows, "sample")} of ${series} series that only lost changes describe`]),
  ];
  return parts.join(", and ");
}

/** What losing commits of the log means for what they deleted. */
const UNDONE_DELETIONS =
  "Samples and groups that the lost commits deleted are stored again: delete them again. Retention drops its days again by " +
  "itself.";

/** What a reader of the report calls the small tables. A table that is not here is rebuilt without a loss. */
const SMALL_TABLES: Readonly<Record<string, readonly [what: string, meaning: string]>> = {
  series: ["series", "their samples are left out, because nothing says what they are"],
  metrics: ["metrics", "their units, help texts and buckets are lost"],
  pushes: ["idempotency keys", "a client that repeats such a push stores it again"],
  groups: ["states of groups", "groups without another state are gone from /metrics"],
  imports: ["offsets of imports", "an import of such a file begins again"],
  rejected: ["rejected samples", "they are gone"],
  exemplars: ["exemplars", "they are gone"],
  demotions: ["demoted labels", "they are labels again until they have too many values"],
  attributes: ["names of attribute columns", "their columns keep the name that they have in SQL"],
  scrapers: ["servers that scrape and write here", "they are learned again"],
  last_pushes: ["times of last pushes", "they return with the next push of each job"],
  journal_moved: ["the position in the journal", "the journal is left out"],
  journal_file: ["the key of the journal", "it would not be noticed if the journal was missing"],
};

function salvagedText(data: string, salvaged: Salvaged): string {
  const { folder, reason, tables } = salvaged;
  const days = tables.filter(({ day }) => day !== undefined).toSorted((a, b) => a.day! - b.day!);
  const lines = [
    `The store in ${data} is damaged: ${reason}. Its files were not changed.`,
    `What can be read of it is in the new folder ${folder}:`,
    "",
    alignedRows([["day", "samples", "lost"], ...days.map(dayRow)]).trimEnd(),
    ...notes(salvaged).map((note) => `- ${note}`),
    "",
    "Next:",
    `1. Look at it: weir serve --data ${shellWord(folder)} --listen 127.0.0.1:0`,
    "2. If a backup or a snapshot has more, restore that instead: weir restore BACKUP --data NEW",
    `3. Otherwise keep ${data} under another name, and put the new folder in its place: weir restore ${shellWord(folder)} --data NEW`,
    "",
  ];
  return `${lines.join("\n")}\n`;
}

function dayRow({ day, rows, lostRows, lostValues }: TableLoss): string[] {
  const values = [...lostValues]
    .map(([column, count]) => `, ${counted(count, `value`)} of ${column}`)
    .join("");
  if (rows === undefined) return [dateText(day!), "0", "all of an unknown number"];
  return [dateText(day!), String(rows - lostRows), `${lostRows}${values}`];
}

function notes(salvaged: Salvaged): string[] {
  const { tables, headers, lostCommits, isLogLeftOut, orphans, areTotalsNew, journal, isJournalLeftOut } =
    salvaged;
  const small = tables.filter(({ day }) => day === undefined);
  return [
    ...(headers === "previous checkpoint"
      ? ["The database is in the state of the checkpoint before the last one. Later commits are lost."]
      : []),
    ...(headers === "new checksum"
      ? ["A header of the database was damaged. Its fields are possible, and were used."]
      : []),
    ...(lostCommits > 0 ? [`Of the log, ${counted(lostCommits, "commit")} cannot be read.`] : []),
    ...(lostCommits > 0 || isLogLeftOut || headers === "previous checkpoint" || journal?.isLogShort
      ? [UNDONE_DELETIONS]
      : []),
    ...(isLogLeftOut ? ["The log was left out, because it continues from a state that cannot be read."] : []),
    ...small.flatMap(({ table, rows, lostRows }) => {
      const [what, meaning] = SMALL_TABLES[table] ?? [];
      if (what === undefined || (rows !== undefined && lostRows === 0)) return [];
      return [`Lost ${rows === undefined ? "all" : `${lostRows} of ${rows}`} ${what}: ${meaning}.`];
    }),
    ...(orphans > 0 ? [`${counted(orphans, "sample")} of unknown series were left out.`] : []),
    ...(areTotalsNew
      ? ["The totals on /metrics are computed from the samples that are left, so counters may be lower."]
      : []),
    ...(journal === undefined ? [] : [`Of the journal were lost: ${journalLoss(journal)}.`]),
    ...(isJournalLeftOut
      ? ["The journal was left out: nothing says which of its changes are in the database."]
      : []),
  ];
}
