/**
 * The client of workers: `createWeir({ url })`. It records samples, and sends them in batches.
 *
 * It promises: no call throws or waits; memory and disk are bounded; a sample that was accepted is stored once, as long as
 * the spool has room. README.md beside this file states the limits.
 *
 * It has no dependency, and uses only what Bun, Node and Deno share.
 */
import { clearInterval, setInterval } from "node:timers";
import { Backlog } from "./backlog.ts";
import { ClientCounts, type ClientStats } from "./client-counts.ts";
import { type ClientOptions, readClientOptions, type SampleTags } from "./options.ts";
import { watchProcessEnd } from "./process-end.ts";
import { Recorder } from "./recorder.ts";
import { Sender } from "./sender.ts";
import { SpoolFolder } from "./spool-folder.ts";

export type { ClientLoss, ClientStats, InvalidInput } from "./client-counts.ts";
export { CLIENT_DEFAULTS, type ClientOptions, type ClientProblem, type SampleTags } from "./options.ts";

/** No call of these throws; those that return a promise never reject, except that `time` passes on the error of `fn`. */
export interface WeirClient {
  /** Records one measurement, such as a duration. Its metric is a distribution: a histogram on /metrics. */
  observe(name: string, value: number, tags?: SampleTags): void;
  /** Adds to a counter. */
  increment(name: string, by?: number, tags?: SampleTags): void;
  /** Records the current level of a gauge. */
  set(name: string, value: number, tags?: SampleTags): void;
  /**
   * Runs a function and observes how long it took, also if it fails: in seconds if the name ends in `_seconds`, else in
   * milliseconds. Returns what the function returns; for a promise, the time ends when it settles.
   */
  time<Result>(name: string, tags: SampleTags, fn: () => Result): Result;
  /**
   * Sends what was recorded before. Resolves when the gateway has stored it, when it is in the spool, or after
   * `closeTimeoutMs`.
   */
  flush(): Promise<void>;
  /** As `flush`, and ends the client. What could not be sent is in the spool then, or counted as lost. */
  close(): Promise<void>;
  stats(): ClientStats;
  /** Where batches are sent; undefined if the option `url` could not be used. */
  readonly pushUrl: string | undefined;
}

/** A batch with more bytes of names and tags than this is sent before it has `batchSamples`. */
const BATCH_BYTES = 1_048_576;
/** How often the spool is listed again, for files of other processes. */
const LIST_MS = 60_000;

/** Creates a client. Never throws: an option that cannot be used is reported (`onProblem`) and replaced. */
export function createWeir(options: ClientOptions): WeirClient {
  const counts = new ClientCounts(options?.onProblem);
  const settings = readClientOptions(options, (kind, message) => counts.report(kind, message));
  const spool =
    settings.spoolFolder === undefined
      ? undefined
      : new SpoolFolder({ ...settings, folder: settings.spoolFolder, counts });
  const backlog = new Backlog({ ...settings, spool, counts });
  const sender = new Sender({ settings, backlog, counts });
  const recorder = new Recorder({
    batchSamples: settings.batchSamples,
    batchBytes: Math.min(BATCH_BYTES, settings.memoryBytesMax),
    counts,
    onFull: (samples, bytes) => sender.add(samples, bytes),
  });

  const inMemory = () => recorder.length + sender.samplesInMemory + backlog.inMemory.samples;
  /** Hands over what was recorded. An empty batch takes the client's own counters along. */
  const cut = () => {
    if (recorder.length > 0) recorder.cut();
    else if (!sender.isAway) sender.add([], 0);
  };
  const settle = async (isRetried: boolean) => {
    cut();
    await sender.settle(performance.now() + settings.closeTimeoutMs, isRetried);
  };
  /** Empties the memory, without waiting. */
  const abandon = () => {
    recorder.cut();
    for (const batch of sender.abandon()) {
      if (spool?.putSync(batch)) continue;
      counts.lose("process_end", batch.samples, "the client was closed before the gateway stored them");
    }
  };

  let listedMs = performance.now();
  const tick = setInterval(() => {
    cut();
    if (spool !== undefined && performance.now() - listedMs >= LIST_MS) {
      listedMs = performance.now();
      void spool.list().then(() => sender.drain());
    }
  }, settings.flushIntervalMs);
  tick.unref();
  if (spool !== undefined) void spool.list().then(() => sender.drain());

  let wasTriedAtEnd = false;
  const unwatch = settings.signals
    ? watchProcessEnd({
        flush: async () => {
          wasTriedAtEnd = true;
          await settle(false);
        },
        flushSync: abandon,
        spoolSync: () => {
          recorder.cut();
          if (spool !== undefined) sender.spoolNow();
        },
        hasWork: () => recorder.length + sender.samplesInMemory > 0 || (!wasTriedAtEnd && inMemory() > 0),
      })
    : () => undefined;

  let closing: Promise<void> | undefined;
  const close = async () => {
    recorder.close();
    clearInterval(tick);
    await settle(false);
    sender.end();
    unwatch();
    abandon();
  };

  return {
    pushUrl: settings.pushUrl,
    observe: (name, value, tags) => recorder.record("observation", name, value, tags),
    increment: (name, by = 1, tags) => recorder.record("counter", name, by, tags),
    set: (name, value, tags) => recorder.record("gauge", name, value, tags),
    time: (name, tags, fn) => {
      const startedMs = performance.now();
      const end = () => {
        const tookMs = performance.now() - startedMs;
        recorder.record(
          "observation",
          name,
          String(name).endsWith("_seconds") ? tookMs / 1_000 : tookMs,
          tags,
        );
      };
      return timed(fn, end);
    },
    flush: () => settle(true),
    close: () => {
      closing ??= close();
      return closing;
    },
    stats: () => ({
      recorded: counts.recorded,
      stored: counts.stored,
      rejected: counts.rejected,
      setAside: counts.setAside,
      lost: { ...counts.lost },
      invalid: { ...counts.invalid },
      inMemory: inMemory(),
      spooled: spool?.size ?? { samples: 0, batches: 0, bytes: 0 },
      requests: counts.requests,
      requestsFailed: counts.requestsFailed,
      away: sender.isAway,
      lastProblem: counts.lastProblem,
    }),
  };
}

/** Calls `end` when a function returns or throws, or when the promise that it returns settles. */
function timed<Result>(fn: () => Result, end: () => void): Result {
  let result: Result;
  try {
    result = fn();
  } catch (error) {
    end();
    throw error;
  }
  if (!isPromise(result)) {
    end();
    return result;
  }
  return result.then(
    (value) => {
      end();
      return value;
    },
    (error: unknown) => {
      end();
      throw error;
    },
  ) as Result;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    (typeof value === "object" || typeof value === "function") &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
