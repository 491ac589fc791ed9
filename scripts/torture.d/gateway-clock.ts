/**
 * The clock of the gateway, which a round can step: libfaketime reads the distance from the real clock from a file. Timers
 * and the times of files keep the real clock. Without libfaketime the clock is the real one, and no round steps it.
 */
import { renameSync, writeFileSync } from "node:fs";

const DAY_MS = 86_400_000;

/** libfaketime, if it is installed. Not if this process has a false clock itself, which its children must keep. */
export function findFaketime(): string | undefined {
  if (process.env.FAKETIME !== undefined) return undefined;
  for (const pattern of [
    "usr/lib/*/faketime/libfaketimeMT.so.1",
    "usr/local/lib/faketime/libfaketimeMT.so.1",
  ]) {
    const [found] = new Bun.Glob(pattern).scanSync({ cwd: "/", absolute: true, onlyFiles: false });
    if (found !== undefined) return found;
  }
  return undefined;
}

export class GatewayClock {
  readonly #path: string;
  readonly #faketime: string | undefined;
  #aheadMs = 0;

  constructor(path: string, faketime: string | undefined) {
    this.#path = path;
    this.#faketime = faketime;
    if (this.canStep) this.step(0);
  }

  get canStep(): boolean {
    return this.#faketime !== undefined;
  }

  /** Variables for the gateway's process. */
  get env(): Record<string, string> {
    if (this.#faketime === undefined) return {};
    return {
      LD_PRELOAD: this.#faketime,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  /** Days since 1970. */
  get day(): number {
    return Math.floor(this.now() / DAY_MS);
  }

  step(byMs: number): void {
    this.#aheadMs += byMs;
    const sign = this.#aheadMs < 0 ? "-" : "+";
    // Renamed, so that the gateway never reads half of a number.
    writeFileSync(`${this.#path}.new`, `${sign}${(Math.abs(this.#aheadMs) / 1000).toFixed(3)}\n`);
    renameSync(`${this.#path}.new`, this.#path);
  }

  /** Steps forward to this many milliseconds before the end of the day. */
  stepBeforeMidnight(beforeMs: number): void {
    const left = DAY_MS - (this.now() % DAY_MS) - beforeMs;
    this.step(left < 0 ? left + DAY_MS : left);
  }
}
