/** `weir restore`: makes a data folder of a backup or a snapshot. */
import { copyStore } from "../../store/backup/folder-copy.ts";
import { reportStore } from "./backup.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { dataFolderArguments, dataHelp } from "./data-folder-arguments.ts";

export const command: Command = {
  name: "restore",
  summary: "makes a data folder of a backup or a snapshot",
  usage: `Usage: weir restore SOURCE [--data DIR]

Copies the store of the folder SOURCE, which is a backup, a snapshot or a data folder, to the data folder. The data
folder must not exist or must be empty. It appears when the copy is complete. SOURCE is not changed.

The store is checked before and after the copy: its database and log open, its journal is not damaged, and this
version of Weir supports its schema. Run the command as the user that runs "weir serve".

${dataHelp}

The exit code is 0 if the store was restored, 1 if it is damaged, the data folder is not empty or the copy failed, and
2 if the arguments are invalid.`,
  async run(argv, io) {
    const { data, positionals } = dataFolderArguments(argv, io);
    const [source, more] = positionals;
    if (source === undefined || source === "" || more !== undefined)
      throw new UsageError("Expected one argument: the folder SOURCE of the backup.");
    await reportStore(`Restored ${source} to ${data}`, await copyStore(source, data), io);
    return exitCode.ok;
  },
};
