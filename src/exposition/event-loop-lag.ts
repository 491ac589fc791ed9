/**
 * How late the event loop runs a timer: the sign of work that occupies it. A stall delays the timer, so stalls between two
 * scrapes are seen too.
 *
 * On a virtual machine, each turn of a timer takes 0.3 to 0.4 CPU-ms, most of it to wake the process. So there are three speeds:
 * a turn per second while nothing happens, one 250 ms after work began, and a precise measurement while the process works all
 * the time.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { WorkSignal } from "../model/metrics/work-signal.ts";
import { Gauge, Histogram, type MetricsRegistry } from "../model/metrics-library.ts";

/** Short enough to detect most stalls of that length. */
const TURN_MS = 250;
/** Between two turns while the process does nothing. */
const IDLE_TURN_MS = 1_000;
/** The longest delay is measured with this resolution. It takes 0.2 % of a processor. */
const DELAY_RESOLUTION_MS = 20;
/** A process that uses this much processor time in each of two turns works: 2 % of a processor. */
const WORKING_MS = 5;
/** Turns after which it does not: two seconds. */
const IDLE_TURNS = 8;
/** Two scrapers of the usual intervals both see each stall. */
const DELAY_WINDOW_MS = 60_000;

/**
 * Registers weir_event_loop_lag_seconds and weir_event_loop_lag_max_seconds, and begins to measure.
 *
 * @param work begins with each request and push
 * @returns stops the timers
 */
export function measureLag(registers: MetricsRegistry[], work: WorkSignal): () => void {
  const lag = new Histogram({
    name: "weir_event_loop_lag_seconds",
    help: `Delay of a timer of ${TURN_MS} ms, or of ${IDLE_TURN_MS} ms while the gateway is idle.`,
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const longest = measureLongestLag(registers);
  let before = performance.now();
  let turnMs = TURN_MS;
  let timer: Timer;
  /** Measures a turn that has ended. Returns whether the next one should come soon. */
  const look = (now: number) => {
    const lateSeconds = Math.max(0, now - before - turnMs) / 1000;
    before = now;
    lag.observe(lateSeconds);
    return longest.look(lateSeconds);
  };
  const turn = () => {
    turnMs = look(performance.now()) ? TURN_MS : IDLE_TURN_MS;
    wait();
  };
  const wait = () => {
    timer = setTimeout(turn, turnMs);
    timer.unref();
  };
  wait();
  work.listen(() => {
    if (turnMs !== IDLE_TURN_MS) return;
    // What begins now may be a stall of less than a second.
    clearTimeout(timer);
    const now = performance.now();
    // After a stall, requests are taken before the timer that is late.
    if (now - before >= turnMs) look(now);
    before = now;
    turnMs = TURN_MS;
    wait();
  });
  return () => {
    work.listen(() => {});
    clearTimeout(timer);
    longest.stop();
  };
}

/**
 * Measures the longest stall, also of one between two turns of a slower timer. The precise measurement wakes the process fifty
 * times a second, so it runs only while the process works. The slower timer sees the rest of a stall that begins before.
 */
function measureLongestLag(registers: MetricsRegistry[]) {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  let isPrecise = false;
  let wasWorking = false;
  let idleTurns = 0;
  let cpuMs = cpuMsUsed();
  let beganMs = performance.now();
  let before = 0;
  /** Of this window, without what the precise measurement has now. */
  let seen = 0;
  const longest = () => Math.max(seen, isPrecise ? delay.max / 1e9 : 0);
  new Gauge({
    name: "weir_event_loop_lag_max_seconds",
    help: "Longest delay of the event loop in the last one to two minutes, or since the scrape before that.",
    registers,
    collect() {
      this.set(Math.max(before, longest()));
      if (performance.now() - beganMs < DELAY_WINDOW_MS) return;
      before = longest();
      beganMs = performance.now();
      seen = 0;
      delay.reset();
    },
  });
  return {
    /** Call it at each turn of the slower timer, with its delay. Returns whether the next turn should come soon. */
    look(lateSeconds: number): boolean {
      seen = Math.max(seen, lateSeconds);
      const used = cpuMsUsed() - cpuMs;
      cpuMs += used;
      // An idle process samples its machine or collects garbage now and then, in one turn.
      const isWorking = used >= WORKING_MS;
      idleTurns = isWorking && wasWorking ? 0 : idleTurns + 1;
      wasWorking = isWorking;
      const isWanted = idleTurns < IDLE_TURNS;
      if (isWanted !== isPrecise) {
        // What it has measured is gone when it is enabled again.
        seen = longest();
        isPrecise = isWanted;
        if (isWanted) delay.enable();
        else delay.disable();
      }
      return isPrecise || isWorking;
    },
    stop: () => void delay.disable(),
  };
}

function cpuMsUsed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
