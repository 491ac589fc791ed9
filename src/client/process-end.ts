/**
 * The end of the process, as the client sees it: signals, a natural end (`beforeExit`) and `exit`.
 *
 * A listener of a signal replaces what the signal does by default. So after the samples are sent, a process that nobody
 * else ends is ended here, by the same signal. If the program has a listener of its own, that listener decides.
 */
import process from "node:process";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
type EndSignal = (typeof SIGNALS)[number];

/** Marks the listeners of all clients in a process, whichever copy of this module they are from. */
const MARK = Symbol.for("weir.client.listener");

export interface EndingClient {
  /** Sends or spools what is in memory, within a stated time. Never rejects. */
  flush(): Promise<void>;
  /** Spools what is in memory at once. */
  flushSync(): void;
  /** If there is a spool, writes a copy of what is in memory to it at once; it is sent nevertheless. */
  spoolSync(): void;
  /** True if something is in memory that `flush` has not tried to send at an end of the process. */
  hasWork(): boolean;
}

/** Listens. Returns a function that ends it. */
export function watchProcessEnd(client: EndingClient): () => void {
  const stops: (() => void)[] = [];
  for (const signal of SIGNALS) {
    let isEnding = false;
    const others = () => process.listeners(signal).filter((listener) => !(MARK in listener));
    const end = () => {
      process.off(signal, listener);
      if (process.listeners(signal).length > 0) return;
      client.flushSync();
      raise(signal);
    };
    const listener = Object.assign(
      () => {
        if (others().length > 0) {
          // Libraries that end the process themselves count the listeners: this one is gone before they run. They may
          // end it at once.
          process.off(signal, listener);
          client.spoolSync();
          void client.flush();
        } else if (isEnding) {
          // A second signal does not wait.
          end();
        } else {
          isEnding = true;
          void client.flush().then(end);
        }
      },
      { [MARK]: true },
    );
    // First, so that a `once` listener of the program is still there to be seen.
    process.prependListener(signal, listener);
    stops.push(() => process.off(signal, listener));
  }
  const beforeExit = () => {
    if (client.hasWork()) void client.flush();
  };
  const exit = () => client.flushSync();
  process.on("beforeExit", beforeExit);
  process.on("exit", exit);
  stops.push(
    () => process.off("beforeExit", beforeExit),
    () => process.off("exit", exit),
  );
  // Deno has no `exit` after an error that nobody catches.
  if ("Deno" in globalThis) {
    const error = () => client.spoolSync();
    globalThis.addEventListener("error", error);
    stops.push(() => globalThis.removeEventListener("error", error));
  }
  return () => {
    for (const stop of stops) stop();
  };
}

function raise(signal: EndSignal): void {
  try {
    process.kill(process.pid, signal);
  } catch {
    // Deno without the permission to send signals.
    process.exit(signal === "SIGINT" ? 130 : 143);
  }
}
