/**
 * A disk of a stated size for a test that fills one: a tmpfs, which only root can mount. Nothing of it is left behind:
 * it is taken off its folder even while a process that the test left running still has a file open on it.
 */
import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  readonly path: string;
  /** False where this user cannot mount: the tests that need the disk are then skipped. */
  readonly isMounted: boolean;
}

/** Mounts a disk of `size` bytes (as mount's tmpfs takes it, such as "24m") until the tests of the file have ended. */
export function smallDisk(size: string): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "weir-disk-"));
  const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], {
    stderr: "ignore",
  });
  const remove = () => {
    process.off("exit", remove);
    // Lazily: a plain umount refuses while a file on it is open.
    if (mount.success) Bun.spawnSync(["umount", "--lazy", path]);
    rmSync(path, { recursive: true, force: true });
  };
  afterAll(remove);
  process.on("exit", remove);
  return { path, isMounted: mount.success };
}
