/** Answers that are asked again and again, as long as somebody sees them. */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Live<Answer> {
  /** The last answer. It stays while a later request fails. */
  readonly answer: Answer | undefined;
  /** Why the last request failed. */
  readonly error: Error | undefined;
  /** Asks now. */
  readonly again: () => void;
  /** Aborts the request, for which `error` says so. Nothing is asked until the key changes. */
  readonly cancel: () => void;
}

/** The longest pause after a slow answer. */
const WAIT_MAX_MS = 60_000;

/**
 * Asks at once, then at an interval. It pauses while the tab is hidden, and asks at once when it is shown again. One
 * request at a time is in progress.
 *
 * @param load the request, with a signal that aborts it when its answer is no longer needed
 * @param intervalMs 0 asks only once
 * @param key what the answer depends on: if it changes, the old answer is dropped
 * @param share the part of the time that may pass while answers are awaited, such as 0.05, by the last answer: slow answers are
 *   asked for less often. 1 asks at the interval in any case
 */
export function useLive<Answer>(
  load: (signal: AbortSignal) => Promise<Answer>,
  intervalMs: number,
  key = "",
  share: (answer: Answer) => number = () => 1,
): Live<Answer> {
  const [state, setState] = useState<{ key: string; answer?: Answer; error?: Error }>({ key });
  const latest = useRef(load);
  latest.current = load;
  const ask = useRef(() => {});
  const cancel = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAsking = false;
    let askedAtMs = 0;
    let partOfTime = 1;
    const next = () => {
      clearTimeout(timer);
      const waitMs = Math.max(
        intervalMs,
        Math.min((performance.now() - askedAtMs) / partOfTime, WAIT_MAX_MS),
      );
      if (intervalMs > 0 && !document.hidden && !ended.signal.aborted) timer = setTimeout(run, waitMs);
    };
    const run = () => {
      if (isAsking) return;
      isAsking = true;
      askedAtMs = performance.now();
      latest
        .current(ended.signal)
        .then(
          (answer) => {
            partOfTime = share(answer);
            if (!ended.signal.aborted) setState({ key, answer });
          },
          (error: Error) => {
            if (!ended.signal.aborted)
              setState((before) => ({ key, answer: before.key === key ? before.answer : undefined, error }));
          },
        )
        .finally(() => {
          isAsking = false;
          next();
        });
    };
    const onVisible = () => {
      if (document.hidden) clearTimeout(timer);
      else if (intervalMs > 0) run();
    };
    ask.current = run;
    cancel.current = () => {
      ended.abort(new DOMException("The request was cancelled.", "AbortError"));
      setState({ key, error: new Error("The request was cancelled.") });
    };
    run();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      ended.abort(new DOMException("The view was left.", "AbortError"));
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [intervalMs, key]);
  const isCurrent = state.key === key;
  return {
    answer: isCurrent ? state.answer : undefined,
    error: isCurrent ? state.error : undefined,
    again: () => ask.current(),
    cancel: () => cancel.current(),
  };
}
