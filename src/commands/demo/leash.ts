/**
 * Processes that end with the demo, however it ends. A signal handler cannot do that: `kill -9` runs none. But when a
 * process ends, the kernel closes its pipes, and a shell that reads from one sees the end of the file.
 */
import type { Subprocess } from "bun";

/** Becomes the command, after it has left a watcher behind that sends it SIGTERM at the end of the shell's input. */
const LEASH = `exec 3<&0
{ cat <&3; kill "$$"; } >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null`;

/** Deletes a folder at the end of its input. The other processes have a second to notice that they should end. */
const DELETER = `trap '' HUP INT TERM
cat >/dev/null
sleep 1
rm -rf -- "$1"`;

export interface LeashOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Starts a command that gets SIGTERM when its standard input is closed, or when this process has ended. */
export function startOnLeash(
  command: readonly string[],
  { cwd, env }: LeashOptions,
): Subprocess<"pipe", "pipe", "pipe"> {
  return Bun.spawn(["sh", "-c", LEASH, "weir-demo", ...command], {
    cwd,
    env: { ...env },
    // Ctrl-C in a terminal signals a whole process group. The demo alone decides when its processes end.
    detached: true,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Has a folder deleted when this process has ended, unless it is gone by then. */
export function deleteAtEnd(folder: string): void {
  const child = Bun.spawn(["sh", "-c", DELETER, "weir-demo", folder], {
    cwd: "/",
    detached: true,
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  child.unref();
}
