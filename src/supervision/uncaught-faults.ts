/**
 * Errors that nothing caught. Both kinds are faults of ours, counted and logged once with their stacks.
 *
 * - A promise that was rejected and that nothing waits for: one task failed, and everything else is as it was. The gateway
 *   continues, so that one request cannot end it for all others.
 * - An exception that no code caught, in a timer or an event: what it left half done is not known. The gateway stops in
 *   order, which commits everything that it accepted, and exits with 1. A supervisor starts it again.
 */
import type { Counter } from "../model/metrics-library.ts";
import { describeFault } from "../log/line.ts";
import type { Log } from "../log/log.ts";

/**
 * Watches this process until it ends.
 *
 * @param onException called at the first exception
 */
export function watchUncaughtFaults(
  log: Log,
  counter: () => Counter<"kind"> | undefined,
  onException: () => void,
): void {
  process.on("unhandledRejection", (reason) => {
    counter()?.inc({ kind: "rejection" });
    log("rejection", { error: describeFault(reason) });
  });
  process.on("uncaughtException", (error) => {
    counter()?.inc({ kind: "exception" });
    log("exception", { error: describeFault(error) });
    onException();
  });
}
