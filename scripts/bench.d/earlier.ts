/**
 * An earlier commit of this gateway, as one more server beside it: a checkout of it with the dependencies that its own lock
 * names, run by the same Bun.
 */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Contender } from "./servers.ts";
import { weir } from "./servers.ts";

const ROOT = join(import.meta.dir, "../..");

export interface Earlier {
  readonly folder: string;
  readonly commit: string;
  /** Of the commit. */
  readonly date: string;
}

/**
 * Finds the earlier gateway, or makes a checkout of it.
 *
 * @param of a folder with a checkout, or the name of a commit
 * @param parent a checkout that does not exist is made in this folder, and stays there
 * @throws Error if there is no such commit, or its dependencies cannot be installed
 */
export async function openEarlier(of: string, parent: string): Promise<Earlier> {
  const isFolder = statSync(of, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? resolve(of) : await checkout(of, parent);
  if (!existsSync(join(folder, "node_modules")))
    await run(folder, process.execPath, "install", "--frozen-lockfile", "--production", "--ignore-scripts");
  const [commit = "", date = ""] = (await run(folder, "git", "log", "-1", "--format=%h %cs")).split(" ");
  return { folder, commit, date };
}

async function checkout(of: string, parent: string): Promise<string> {
  const commit = await run(ROOT, "git", "rev-parse", "--short=8", "--verify", `${of}^{commit}`);
  const folder = join(parent, `weir-bench-before-${commit}`);
  if (existsSync(folder)) return folder;
  await run(ROOT, "git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, folder);
  await run(folder, "git", "checkout", "--quiet", "--detach", commit);
  return folder;
}

/** What a program wrote, without the last newline. */
async function run(cwd: string, ...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${err.trim()}`);
  return out.trim();
}

/** As `weir`, of the earlier commit. */
export function earlierWeir(
  { folder, commit }: Earlier,
  path: string,
  args: readonly string[],
  runtimeArgs: readonly string[],
): Contender {
  return { ...weir(path, args, runtimeArgs, folder), name: `weir ${commit}` };
}
