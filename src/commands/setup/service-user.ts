/** The user of a service: what of an installation that user cannot reach, before the service fails for it. */
import { spawnSync } from "node:child_process";
import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { shellWord } from "../../model/errors.ts";

/** Read, write and execute have these bits for the owner, the group and all others; of a folder, execute allows entering it. */
const ENTER = { owner: 0o100, group: 0o010, others: 0o001 };

/**
 * Finds reasons why systemd could not start the unit. Each is a warning of one sentence.
 *
 * @param name the user of the service; undefined if systemd makes one, who owns nothing of the system
 * @param paths absolute paths that the service reads
 */
export function serviceWarnings(name: string | undefined, paths: readonly string[]): string[] {
  const ids = name === undefined ? { uid: "", gids: [] } : idsOf(name);
  if (ids === undefined)
    return [`there is no user ${JSON.stringify(name)}: make it before the service starts.`];
  if (ids.uid === "0") return [];
  return closedFolders(paths, ids).map(
    (folder) =>
      `the user of the service cannot enter ${folder}, and has to: run "chmod o+x ${shellWord(folder)}", or use a place ` +
      "such as /opt.",
  );
}

interface Ids {
  readonly uid: string;
  readonly gids: readonly string[];
}

/** The ids of a user. Undefined if there is none of that name. */
function idsOf(name: string): Ids | undefined {
  const ask = (flag: string) => spawnSync("id", [flag, "--", name], { encoding: "utf8" });
  const [uid, gids] = [ask("-u"), ask("-G")];
  if (uid.status !== 0 || gids.status !== 0) return undefined;
  return { uid: uid.stdout.trim(), gids: gids.stdout.trim().split(" ") };
}

/** The folders above the paths that a user cannot enter, each once, from the root on. */
function closedFolders(paths: readonly string[], ids: Ids): string[] {
  const folders = new Set<string>();
  for (const path of paths)
    for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
      folders.add(folder);
  return [...folders].toSorted().filter((folder) => {
    const stats = statSync(folder, { throwIfNoEntry: false });
    return stats !== undefined && !canEnter(stats, ids);
  });
}

function canEnter({ mode, uid, gid }: Stats, ids: Ids): boolean {
  if (String(uid) === ids.uid) return (mode & ENTER.owner) !== 0;
  return (mode & (ids.gids.includes(String(gid)) ? ENTER.group : ENTER.others)) !== 0;
}
