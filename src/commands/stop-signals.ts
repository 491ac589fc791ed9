/**
 * The signals that stop the gateway: SIGTERM, SIGINT, and SIGHUP, since it has nothing to reload.
 *
 * One request to stop may arrive as several signals: a terminal that closes sends SIGHUP twice (the kernel and the shell
 * do), `timeout` and supervisors send SIGTERM to the process and to its group. So a repeat within a second is ignored,
 * and SIGHUP always is; a later SIGTERM or SIGINT ends the process at once. A process that was started with SIGHUP
 * ignored, as `nohup` does, goes on ignoring it.
 */
import { readFileSync } from "node:fs";

const REPEAT_MS = 1_000;

/** Resolves to the name of the first of them that arrives. `after` sets a timer that does not keep the process alive. */
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

/** Whether the process was started with a signal ignored; only Linux says so. */
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
