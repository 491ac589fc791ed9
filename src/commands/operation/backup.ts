/** `weir backup`: a copy of the store in a folder, from a running gateway or from a data folder that nobody has open. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { requireReadableFolder } from "../../data-folder.ts";
import { copyStore, requireEmpty } from "../../store/backup/folder-copy.ts";
import type { Inspection } from "../../store/inspection.ts";
import { StoreLocked } from "../../store/store.ts";
import { accepted, gatewayAt, urlHelp } from "../client.ts";
import { type Command, exitCode, type Io, UsageError } from "../command.ts";
import { counted } from "./counted.ts";
import { dataFolderArguments, dataHelp } from "./data-folder-arguments.ts";

export const command: Command = {
  name: "backup",
  summary: "copies the store to a folder, also while the gateway runs",
  usage: `Usage: weir backup DEST [--data DIR] [--url URL]

Copies the store to the folder DEST, which must not exist or must be empty. The folder appears when the copy is
complete and checked. "weir restore DEST" makes a data folder of it, and "weir serve --data DEST" opens it too.

If a gateway has the data folder open, it makes a snapshot, which is moved to DEST. Pushes continue meanwhile. The
backup has every push that was acknowledged before the command began. The gateway must run on this machine, with
--enable-admin-api. If no gateway runs, the files are copied, and none can start until that is done.

The backup has all samples, totals, groups and idempotency keys. It does not have the settings, tokens, or other
files of the data folder.

${dataHelp}
${urlHelp}

The exit code is 0 if the backup is complete, 1 if it failed, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { data, url, ca, positionals } = dataFolderArguments(argv, io);
    const [dest, more] = positionals;
    if (dest === undefined || dest === "" || more !== undefined)
      throw new UsageError("Expected one argument: the folder DEST of the backup.");
    requireReadableFolder(data);
    requireEmpty(dest);
    const send = gatewayAt(url, io, ca);
    let inspection: Inspection;
    let source = "data folder";
    try {
      inspection = await copyStore(data, dest);
    } catch (error) {
      if (!(error instanceof StoreLocked)) throw error;
      source = "running gateway";
      const response = await accepted(
        await send("/api/v1/admin/tsdb/snapshot?for_backup=true", { method: "POST" }),
      );
      const { name } = ((await response.json()) as { data: { name: string } }).data;
      inspection = await moveSnapshot(data, name, dest);
    }
    await reportStore(`Backup of the ${source} ${data} to ${dest}`, inspection, io);
    return exitCode.ok;
  },
};

async function moveSnapshot(data: string, name: string, dest: string): Promise<Inspection> {
  const snapshot = join(data, "snapshots", name);
  if (!existsSync(snapshot)) {
    throw new ForeignGateway(
      `the gateway made the snapshot ${name}, but it is not in ${join(data, "snapshots")}: give --data the data folder of ` +
        "the gateway, or --url the gateway of that folder",
    );
  }
  try {
    return await copyStore(snapshot, dest);
  } finally {
    rmSync(snapshot, { recursive: true, force: true });
  }
}

/** The gateway that answers has another data folder. */
class ForeignGateway extends Error {
  override readonly name = "ForeignGateway";
}

/** Prints what a copy of a store contains. */
export async function reportStore(what: string, inspection: Inspection, io: Io): Promise<void> {
  const { rows, days, schema, bytes, journalRecords } = inspection;
  const waiting = journalRecords > 0 ? `, ${counted(journalRecords, "change")} in the journal` : "";
  await io.stdout.write(
    `${what}: ${counted(rows, "sample")} of ${counted(days, "day")}${waiting}, schema ${schema}, ${(bytes / 1e6).toFixed(1)} MB.\n`,
  );
}
