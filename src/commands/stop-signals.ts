/**
 * The signals that stop the gateway: SIGTERM, SIGINT and SIGHUP. It has no files to reload, so SIGHUP stops it too.
 *
 * One request to stop may arrive as several signals. When a terminal closes, the kernel and the shell both send SIGHUP.
 * `timeout` and supervisors send SIGTERM to the process and to its group. So a second signal within a second is
 * ignored, and a second SIGHUP is always ignored. A later SIGTERM or SIGINT ends the process at once. A process that
 * was started with SIGHUP ignored, as by `nohup`, continues to ignore it.
 */
import { readFileSync } from "node:fs";

const REPEAT_MS = 1_000;

/** Resolves to the name of the first signal. `after` must set a timer that does not keep the process running. */
export function nextSignal(after = setQuietTimer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const stopping = ["SIGTERM", "SIGINT"] as const;
  let isStopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (isStopping) return;
    isStopping = true;
    after(() => {
      for (const each of stopping) process.off(each, stop);
    }, REPEAT_MS);
    resolve(signal);
  };
  for (const each of stopping) process.on(each, stop);
  if (!isIgnored(HANGUP)) process.on("SIGHUP", stop);
  return promise;
}

function setQuietTimer(action: () => void, delayMs: number): void {
  setTimeout(action, delayMs).unref();
}

const HANGUP = 1;

/** Whether the process was started with a signal ignored. Only Linux reports it. */
function isIgnored(signal: number): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return false;
  }
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
