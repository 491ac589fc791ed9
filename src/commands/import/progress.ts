/**
 * A progress bar on a terminal, redrawn in place at most ten times per second. It prints nothing if the output is not a
 * terminal.
 */
import type { Output } from "../command.ts";

const REDRAW_MS = 100;
const BAR_COLUMNS = 24;

export class ProgressBar {
  readonly #output: Output;
  readonly #beganMs = performance.now();
  #drawnMs = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Shows `label`, the share of `done` in `total` bytes, the remaining time, and `lines` with their rate. */
  async show(label: string, done: number, total: number, lines: number): Promise<void> {
    const nowMs = performance.now();
    if (!this.#output.isTerminal || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const seconds = (nowMs - this.#beganMs) / 1000;
    const text = drawBar(label, done, total, lines, seconds);
    this.#isDrawn = true;
    await this.#output.write(`\r${text.slice(0, this.#output.columns - 1)}\x1b[K`);
  }

  /** Erases the bar, so that a line can be written in its place. */
  async clear(): Promise<void> {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    this.#drawnMs = Number.NEGATIVE_INFINITY;
    await this.#output.write("\r\x1b[K");
  }
}

/** `[############............]  50%  0:10 left  1,000 lines  100/s  metrics.json` */
export function drawBar(label: string, done: number, total: number, lines: number, seconds: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_COLUMNS);
  const bar = "#".repeat(filled) + ".".repeat(BAR_COLUMNS - filled);
  const left = share > 0 && seconds > 0 ? `  ${clock((seconds / share) * (1 - share))} left` : "";
  const rate = seconds > 0 ? `  ${grouped(Math.round(lines / seconds))}/s` : "";
  return `[${bar}] ${String(Math.floor(share * 100)).padStart(3)}%${left}  ${grouped(lines)} lines${rate}  ${label}`;
}

/** 1234567 → `1,234,567` */
export function grouped(count: number): string {
  return count.toLocaleString("en-US");
}

/** Seconds as `m:ss`, or `h:mm:ss`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  const rest = `${String(whole % 60).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
