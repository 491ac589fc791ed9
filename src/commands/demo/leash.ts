/**
 * Processes that end with the demo, however it ends. A signal handler cannot do that: `kill -9` runs none. But when a
 * process ends, the kernel closes its pipes, and a shell that reads from one sees the end of the file.
 */
/** Deletes a folder at the end of its input. The other processes have a second to notice that they should end. */
const DELETER = `trap '' HUP INT TERM
cat >/dev/null
sleep 1
rm -rf -- "$1"`;

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
