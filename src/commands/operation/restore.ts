/** `weir restore`: makes a data folder of a backup or a snapshot, or brings back days of an archive. */
import { resolve } from "node:path";
import { giveToOwner, ownerOf, realPath } from "../../data-folder.ts";
import { copyStore } from "../../store/backup/folder-copy.ts";
import { reportStore } from "./backup.ts";
import { type Command, exitCode, UsageError } from "../command.ts";
import { urlHelp } from "../client.ts";
import { dataFolderArguments, dataHelp } from "./data-folder-arguments.ts";

export const command: Command = {
  name: "restore",
  summary: "makes a data folder of a backup, or brings back days of an archive",
  usage: `Usage: weir restore SOURCE [--data DIR]
       weir restore --from FOLDER|s3://BUCKET/PREFIX [--day DATE]… [--url URL]
       weir restore --from FOLDER|s3://BUCKET/PREFIX [--day DATE]… --data DIR [SETTINGS]

Copies the store of the folder SOURCE, which is a backup, a snapshot or a data folder, to the data folder. The data
folder must not exist or must be empty. It appears when the copy is complete. SOURCE is not changed.

The store is checked before and after the copy: its database and log open, its journal is not damaged, and this
version of Weir supports its schema. Run the command as the user that runs "weir serve".

With --from, stores the days of an archive (archiveTo) in a running gateway, or in a data folder while no gateway
runs. Each sample is stored once, however often this runs, also after it was interrupted. A day whose samples are
still in the gateway that archived them is skipped. Restored samples are visible to SQL, summaries and PromQL. They
do not count in the totals of /metrics. The hash of each file is checked. "weir archive --help" names the variables
of a bucket.

  --from ARCHIVE     an absolute path of a folder, or s3://BUCKET/PREFIX
  --day DATE         a day (UTC), such as 2026-11-25; can be given more than once. Without it: all days
${dataHelp}
${urlHelp}

The exit code is 0 if the store or all days were restored, 1 if something is damaged, was rejected or failed, and 2
if the arguments are invalid.`,
  async run(argv, io) {
    if (argv.some((each) => each === "--from" || each.startsWith("--from="))) {
      // Loaded here, so that copies of backups load no client.
      const { restoreArchive } = await import("../archive/restore-archive.ts");
      return await restoreArchive(argv, io);
    }
    const { data, positionals } = dataFolderArguments(argv, io);
    const [source, more] = positionals;
    if (source === undefined || source === "" || more !== undefined)
      throw new UsageError("Expected one argument: the folder SOURCE of the backup.");
    // systemd keeps the folder of a service behind a link, which stays. An empty folder is replaced, and its owner is kept.
    const folder = realPath(resolve(data));
    const owner = ownerOf(folder);
    const restored = await copyStore(source, folder);
    giveToOwner(folder, owner);
    await reportStore(`Restored ${source} to ${data}`, restored, io);
    return exitCode.ok;
  },
};
