/** Commands of `weir` as processes, and a small disk that other programs fill. */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** Runs `weir COMMAND`, or another program of this folder if the first word is its file. */
function spawn([first = "", ...rest]: readonly string[], env: Readonly<Record<string, string>>) {
  const program = first.endsWith(".ts") ? [join(import.meta.dir, first)] : [join(ROOT, "src/main.ts"), first];
  return Bun.spawn([process.execPath, "--no-env-file", ...program, ...rest], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs `weir COMMAND` to its end. */
export async function runToEnd(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(command, env);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

/** Starts `weir COMMAND`, and kills it after some milliseconds unless it has ended. Resolves to its exit code. */
export async function killedRun(
  command: readonly string[],
  afterMs: number,
  env: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const child = spawn(command, env);
  const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
  await child.exited;
  clearTimeout(timer);
  return child.signalCode === null ? child.exitCode! : undefined;
}

/** A tmpfs, which only root can mount. */
export class Disk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounts a disk on a new folder. Undefined if this user cannot. */
  static mount(path: string, size: string): Disk | undefined {
    mkdirSync(path, { recursive: true });
    const { success } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], {
      stderr: "ignore",
    });
    return success ? new Disk(path) : undefined;
  }

  unmount(): void {
    Bun.spawnSync(["umount", "--lazy", this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }

  setReadOnly(isReadOnly: boolean): void {
    const { success, stderr } = Bun.spawnSync([
      "mount",
      "-o",
      `remount,${isReadOnly ? "ro" : "rw"}`,
      this.path,
    ]);
    if (!success) throw new Error(stderr.toString());
  }

  /** Another program writes to the disk until only so much is free. */
  fill(leaveBytes: number): void {
    const path = join(this.path, "filler");
    const { bavail, bsize } = statfsSync(this.path);
    if (!existsSync(path)) writeFileSync(path, "");
    try {
      writeFileSync(path, new Uint8Array(Math.max(0, bavail * bsize - leaveBytes)), { flag: "a" });
    } catch (error) {
      // The gateway writes at the same time.
      if ((error as { code?: string }).code !== "ENOSPC") throw error;
    }
  }

  empty(): void {
    rmSync(join(this.path, "filler"), { force: true });
  }
}
