/**
 * What the supervisor that started this process learns of it (sd_notify(3)): that it is opening, ready or stopping, a line
 * about its state, and that it is alive.
 *
 * The process is alive while its event loop turns and the path of commits answers: a probe takes its turn between two
 * commits, as a push does. A probe that fails is an answer, for example on a full disk, which a restart would not change.
 * Only a probe that neither succeeds nor fails withholds the message, and the watchdog then ends the process.
 */
import type { Log } from "../log/log.ts";
import type { Notify } from "./notify-socket.ts";

interface SupervisorOptions {
  /** Sends messages. Without it, no supervisor wants any. */
  readonly notify: Notify | undefined;
  /** The variables of systemd: `WATCHDOG_USEC`, `WATCHDOG_PID`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly log: Log;
}

/** What the supervisor asks of a gateway that is ready. */
interface Supervised {
  /** Settles when it had its turn between two commits. */
  probe(): Promise<unknown>;
  /** A sentence about the state, for `systemctl status`. */
  status(): string;
}

/** A start replays a log and runs migrations. Each message allows it to take this long from then on. */
const OPENING_EXTENSION_MS = 60_000;
const OPENING_INTERVAL_MS = 15_000;
/** Without a watchdog, the line about the state is sent this often. */
const STATUS_INTERVAL_MS = 60_000;
/** After the time for the stop, the process ends by itself. */
const STOP_MARGIN_MS = 2_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #watchdogMs: number | undefined;
  #timer: Timer | undefined;
  #isUnreachable = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#watchdogMs = watchdogMs(options);
  }

  /** The process opens its store. It may take long. */
  async opening(): Promise<void> {
    const send = () => this.#send(["STATUS=opening the store", extension(OPENING_EXTENSION_MS)]);
    this.#repeat(OPENING_INTERVAL_MS, send);
    await send();
  }

  /** The process accepts requests. */
  async ready(gateway: Supervised): Promise<void> {
    if (this.#options.notify === undefined) return;
    await this.#send(["READY=1", `STATUS=${gateway.status()}`]);
    const intervalMs = (this.#watchdogMs ?? 2 * STATUS_INTERVAL_MS) / 2;
    let isProbing = false;
    this.#repeat(intervalMs, async () => {
      if (isProbing) return;
      isProbing = true;
      const begin = performance.now();
      const late = setTimeout(
        () => this.#options.log("commits_stuck", { afterMs: Math.round(performance.now() - begin) }),
        intervalMs,
      );
      await gateway.probe().catch(() => undefined);
      clearTimeout(late);
      isProbing = false;
      // A stop has begun meanwhile.
      if (this.#timer === undefined) return;
      const watchdog = this.#watchdogMs === undefined ? [] : ["WATCHDOG=1"];
      await this.#send([...watchdog, `STATUS=${gateway.status()}`]);
    });
  }

  /** The process stops, within `stopTimeoutMs`. The watchdog of a process that stops is off. */
  async stopping(stopTimeoutMs: number): Promise<void> {
    this.#end();
    await this.#send(["STOPPING=1", "STATUS=stopping", extension(stopTimeoutMs + STOP_MARGIN_MS)]);
  }

  /** The process did not start. */
  async failed(reason: string): Promise<void> {
    this.#end();
    await this.#send([`STATUS=did not start: ${reason}`]);
  }

  #repeat(intervalMs: number, action: () => Promise<void>): void {
    this.#end();
    if (this.#options.notify !== undefined) this.#timer = setInterval(() => void action(), intervalMs);
  }

  #end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Never throws: a supervisor that does not listen is no reason to end. */
  async #send(lines: readonly string[]): Promise<void> {
    try {
      await this.#options.notify?.(lines);
      this.#isUnreachable = false;
    } catch (error) {
      if (!this.#isUnreachable) this.#options.log("supervisor_unreachable", { error: String(error) });
      this.#isUnreachable = true;
    }
  }
}

function extension(ms: number): string {
  return `EXTEND_TIMEOUT_USEC=${Math.round(ms * 1000)}`;
}

/** The time after which the supervisor ends a process that says nothing, as sd_watchdog_enabled(3) finds it. */
function watchdogMs({ env, pid }: SupervisorOptions): number | undefined {
  const { WATCHDOG_USEC: microseconds = "", WATCHDOG_PID: forPid = "" } = env;
  if (forPid !== "" && forPid !== String(pid)) return undefined;
  return /^[1-9][0-9]{0,15}$/.test(microseconds) ? Number(microseconds) / 1000 : undefined;
}
