/** The current time for texts such as "12 s ago". */
import { useEffect, useState } from "preact/hooks";

/** Milliseconds since 1970, each second anew while the tab is seen. */
export function useNow(): number {
  const [nowMs, setNowMs] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNowMs(Date.now());
    }, 1_000);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}
