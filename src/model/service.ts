/**
 * A service runs beside the requests while the gateway serves, such as a socket or a loop. `weir serve` starts the
 * services once samples can be stored, and stops them while samples can still be stored.
 */

export interface Service {
  /** The addresses at which it can be reached while it runs: `udp://127.0.0.1:8125`. Absent if it has none. */
  readonly urls?: readonly string[];
  /**
   * Called before the first request, if there is something to note about what is stored then. Throws if that cannot be stored
   * now. The service can start all the same.
   */
  begin?(): Promise<void>;
  /**
   * Resolves when the service runs. Throws if it cannot.
   *
   * @param onFault gets each later fault. The service goes on after it
   */
  start(onFault: (error: unknown) => void): void | Promise<void>;
  /** Resolves when nothing of the service runs any more. Also stops a service that did not start. */
  stop(): Promise<void>;
}

/**
 * A service that runs an action at once and then at an interval. Two runs never overlap.
 *
 * @param isNeeded without it the timer always runs. With it, it runs only while this is true, because each timer wakes an idle
 *   gateway, which takes 0.3 to 0.4 CPU-ms on a virtual machine. Call `look` when it may have become true
 */
export function repeat(
  intervalMs: number,
  action: () => Promise<void>,
  isNeeded: () => boolean = () => true,
): Service & { look(): void } {
  let timer: Timer | undefined;
  let run: (() => void) | undefined;
  const look = () => {
    if (run !== undefined && timer === undefined && isNeeded()) timer = setInterval(run, intervalMs);
  };
  let running: Promise<void> = Promise.resolve();
  return {
    start(onFault) {
      let idle = true;
      run = () => {
        if (!isNeeded()) {
          clearInterval(timer);
          timer = undefined;
          return;
        }
        if (!idle) return;
        idle = false;
        running = action()
          .catch(onFault)
          .finally(() => {
            idle = true;
          });
      };
      look();
      run();
    },
    look,
    async stop() {
      run = undefined;
      clearInterval(timer);
      await running;
    },
  };
}
