/**
 * Standard error as the destination of the log. If it is systemd's journal, each line begins with its priority
 * (sd-daemon(3)), which the journal removes: `journalctl --priority=warning` then selects by level.
 */
import { fstatSync } from "node:fs";
import type { Level } from "./logged-events.ts";

/** The priorities of syslog(3). */
const PRIORITIES: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/**
 * A function that writes lines to standard error.
 *
 * @param journalStream the variable `JOURNAL_STREAM`
 */
export function standardError(journalStream?: string): (line: string, level: Level) => void {
  if (!isJournal(journalStream)) return (line) => void process.stderr.write(line);
  return (line, level) => void process.stderr.write(`<${PRIORITIES[level]}>${line}`);
}

/**
 * Whether standard error is the journal. systemd sets the variable to the device and the inode of the stream. A process
 * with another standard error, such as a shell's redirection, inherits the variable, so both are compared (systemd.exec(5)).
 */
function isJournal(stream: string | undefined): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(stream ?? "") ?? [];
  if (device === undefined || inode === undefined) return false;
  try {
    const found = fstatSync(2, { bigint: true });
    return found.dev === BigInt(device) && found.ino === BigInt(inode);
  } catch {
    return false;
  }
}
