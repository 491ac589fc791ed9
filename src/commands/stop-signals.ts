/**
 * The signals that stop the gateway: SIGTERM, SIGINT, and SIGHUP, since it has nothing to reload.
 *
 * A terminal that closes sends SIGHUP more than once (the kernel and the shell do), so only a second SIGTERM or SIGINT
 * ends the process at once. A process that was started with SIGHUP ignored, as `nohup` does, goes on ignoring it.
 */
import { readFileSync } from "node:fs";

/** Resolves to the name of the first of them that arrives. */
export function nextSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const stopping = ["SIGTERM", "SIGINT"] as const;
  const stop = (signal: NodeJS.Signals) => {
    for (const each of stopping) process.off(each, stop);
    resolve(signal);
  };
  for (const each of stopping) process.on(each, stop);
  if (!isIgnored(HANGUP)) process.on("SIGHUP", stop);
  return promise;
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
