/**
 * A service runs beside the requests while the gateway serves, such as a socket or a loop. `weir serve` starts the
 * services once samples can be stored, and stops them while samples can still be stored.
 */

export interface Service {
  /** The addresses at which it can be reached while it runs: `udp://127.0.0.1:8125`. Absent if it has none. */
  readonly urls?: readonly string[];
  /**
   * Resolves when the service runs. Throws if it cannot.
   *
   * @param onFault gets each later fault. The service goes on after it
   */
  start(onFault: (error: unknown) => void): void | Promise<void>;
  /** Resolves when nothing of the service runs any more. Also stops a service that did not start. */
  stop(): Promise<void>;
}

/** A service that runs an action at once and then at an interval. Two runs never overlap. */
export function repeat(intervalMs: number, action: () => Promise<void>): Service {
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();
  return {
    start(onFault) {
      let idle = true;
      const run = () => {
        if (!idle) return;
        idle = false;
        running = action()
          .catch(onFault)
          .finally(() => {
            idle = true;
          });
      };
      run();
      timer = setInterval(run, intervalMs);
    },
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
