/** Answers that are asked again and again, as long as somebody sees them. */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Live<Answer> {
  /** The last answer. It stays while a later request fails. */
  readonly answer: Answer | undefined;
  /** Why the last request failed. */
  readonly error: Error | undefined;
  /** Asks now. */
  readonly again: () => void;
}

/**
 * Asks at once, then at an interval. It pauses while the tab is hidden, and asks at once when it is shown again. One
 * request at a time is in progress.
 *
 * @param load the request, with a signal that aborts it when its answer is no longer needed
 * @param intervalMs 0 asks only once
 * @param key what the answer depends on: if it changes, the old answer is dropped
 */
export function useLive<Answer>(
  load: (signal: AbortSignal) => Promise<Answer>,
  intervalMs: number,
  key = "",
): Live<Answer> {
  const [state, setState] = useState<{ key: string; answer?: Answer; error?: Error }>({ key });
  const latest = useRef(load);
  latest.current = load;
  const ask = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isAsking = false;
    const next = () => {
      clearTimeout(timer);
      if (intervalMs > 0 && !document.hidden && !ended.signal.aborted) timer = setTimeout(run, intervalMs);
    };
    const run = () => {
      if (isAsking) return;
      isAsking = true;
      latest
        .current(ended.signal)
        .then(
          (answer) => {
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
  };
}
