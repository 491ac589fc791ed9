/**
 * Selectors of look-ups: of series, labels, exemplars, exports, deletions. A Worker parses them, and evaluates their
 * regular expressions while this thread walks over the series.
 */
import { ConcurrencyLimit } from "../../../model/concurrency-limit.ts";
import { BadInput } from "../../../model/errors.ts";
import type { Labels } from "../../../model/sample.ts";
import { narrowed } from "../../caller-series.ts";
import { deferredMatcher, type Matcher } from "../matchers.ts";
import { QueryTimeout } from "../query-errors.ts";
import { QueryRunner } from "../query-runner.ts";
import type { SelectorsTask } from "./messages.ts";
import { WorkerTask, type WorkerTaskOptions } from "./worker-task.ts";

interface ReaderOptions {
  /** For a task that begins now. */
  readonly task: () => Omit<WorkerTaskOptions, "signal">;
  readonly promqlTimeoutMs: number;
}

type Selectors = readonly (readonly Matcher[])[];

/** What look-ups need of selectors that were sent as text. */
export interface SelectorUse {
  /**
   * Calls `work` with the matchers of selectors, and returns its result. They can be used until it returns. `signal`
   * aborts with the client's, at the deadline, and when the gateway stops.
   *
   * @throws ParseError for text that is not a selector, LimitReached, Busy
   */
  use<T>(
    asked: SelectorsAsked,
    signal: AbortSignal | undefined,
    work: (selectors: Selectors, signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
}

export interface SelectorsAsked extends Omit<SelectorsTask, "kind" | "texts"> {
  /** Without texts there is one selector, and it finds every series. */
  readonly texts: readonly string[] | undefined;
  /** If set, the selectors find only series with these labels: those of the caller's token. */
  readonly labels?: Labels;
}

/** Look-ups that run at once. They need little, and must not wait for long queries. */
const CONCURRENCY_MAX = 2;
const WAIT_MS = 30_000;
const WAITING_PER_LOOKUP = 64;
/** A federation of many small parts has some hundred. */
const TEXTS_MAX = 500;

export class SelectorReader implements SelectorUse {
  readonly #options: ReaderOptions;
  readonly #runner = new QueryRunner(
    new ConcurrencyLimit(CONCURRENCY_MAX, {
      tasks: "look-ups of series",
      waitMs: WAIT_MS,
      waitingPerRunning: WAITING_PER_LOOKUP,
    }),
  );

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  use: SelectorUse["use"] = async (asked, signal, work) => {
    const { texts = [], labels } = asked;
    if (texts.length > TEXTS_MAX) {
      throw new BadInput(
        `${texts.length} selectors (match[]) were sent, at most ${TEXTS_MAX} are accepted: send several requests.`,
        "match[]",
      );
    }
    return await this.#runner.run(signal, async (either) => {
      const { promqlTimeoutMs } = this.#options;
      const late = new AbortController();
      const timer = setTimeout(
        () =>
          late.abort(new QueryTimeout(`the query took longer than ${promqlTimeoutMs} ms (promqlTimeoutMs)`)),
        promqlTimeoutMs,
      );
      const all = AbortSignal.any([either, late.signal]);
      try {
        if (texts.length === 0)
          return await work(asked.texts === undefined ? narrowed([[]], labels) : [], all);
        return await this.#inWorker(asked, texts, all, work);
      } finally {
        clearTimeout(timer);
      }
    });
  };

  /** Stops running look-ups; resolves when none runs. */
  async close(): Promise<void> {
    await this.#runner.close();
  }

  async #inWorker<T>(
    { isExpression, mayFindAll, labels }: SelectorsAsked,
    texts: readonly string[],
    signal: AbortSignal,
    work: (selectors: Selectors, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const asked = { kind: "selectors", texts, isExpression, mayFindAll } as const;
    const task = new WorkerTask(asked, { ...this.#options.task(), signal });
    try {
      const selectors = (await task.selectors()).map((matchers) =>
        matchers.map(({ name, operator, value }) => deferredMatcher(name, operator, value, task.test)),
      );
      return await work(narrowed(selectors, labels), signal);
    } finally {
      task.finish();
      await task.ended;
    }
  }
}
