/** `weir compact`: rewrites the database file of a data folder that nobody has open, without its free blocks. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { giveToOwner, openDataFolder, requireReadableFolder } from "../../data-folder.ts";
import { createCounters } from "../../model/counters.ts";
import { SPAN_US } from "../../store/blocks/made-blocks.ts";
import { NoStore, STORE_FILE } from "../../store/inspection.ts";
import { compactStore } from "../../store/rewrite/compaction.ts";
import { StoreLocked } from "../../store/store.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { counted } from "./counted.ts";
import { dataFolderArguments, dataHelp } from "./data-folder-arguments.ts";

/** Enough for the largest tables, and little on any machine. */
const MEMORY_BYTES = 512 * 1_048_576;

/** Spans that ended an hour ago. */
function packUntilUs(nowMs: number): number {
  return Math.floor(((nowMs - 3_600_000) * 1_000) / SPAN_US) * SPAN_US;
}

export const command: Command = {
  name: "compact",
  summary: "rewrites the database file smaller, while no gateway runs",
  usage: `Usage: weir compact [--data DIR]

Rewrites the database file of the data folder without the space of dropped days and deleted samples. Without this, the
file does not shrink, and the gateway uses that space again. Samples of gauges and cumulative series become blocks, which
take a third of the space, if their two hours ended an hour ago. Stop the gateway first: it cannot start until the command
has ended.

The new file is made beside the old one, compared with it, and then renamed to its name. A command that is interrupted
leaves the old file or the new one, whole. The disk must have room for both.

${dataHelp}

The exit code is 0 if the file was rewritten or has no space to free, 1 if a gateway runs, the store is damaged or the
disk has no room, and 2 if the arguments are invalid.`,
  async run(argv, io) {
    const { data, positionals } = dataFolderArguments(argv, io);
    if (positionals.length > 0)
      throw new UsageError(`Unexpected argument ${JSON.stringify(positionals[0])}.`);
    requireReadableFolder(data);
    const path = join(data, STORE_FILE);
    if (!existsSync(path)) throw new NoStore(`There is no store in ${data}: it has no file ${STORE_FILE}.`);
    openDataFolder(data);
    const options = {
      path,
      counters: createCounters(),
      memoryLimitBytes: MEMORY_BYTES,
      threads: 1,
      temporaryDirectory: join(data, "tmp"),
    };
    const { bytesBefore, bytesAfter, rows, days } = await compactStore(options, packUntilUs(Date.now()))
      .catch((error) => {
        if (!(error instanceof StoreLocked)) throw error;
        throw new StoreLocked(`${error.message}: the gateway must not run while its file is compacted`);
      })
      .finally(() => giveToOwner(data));
    const content = `${counted(rows, "sample")} of ${counted(days, "day")}`;
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
    await io.stdout.write(
      bytesAfter < bytesBefore
        ? `Compacted ${path} from ${megabytes(bytesBefore)} to ${megabytes(bytesAfter)}: ${content}.\n`
        : `${path} has no space to free: ${content}, ${megabytes(bytesBefore)}.\n`,
    );
    return exitCode.ok;
  },
};
