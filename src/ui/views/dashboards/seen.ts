/** The size of an element, and whether somebody can see it. */
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface ElementSize {
  readonly width: number;
  readonly height: number;
}

/** The size in pixels. 0 until it is known. */
export function useSize(element: RefObject<HTMLElement | null>): ElementSize {
  const [size, setSize] = useState<ElementSize>({ width: 0, height: 0 });
  useEffect(() => {
    if (element.current === null) return undefined;
    const resized = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect;
      setSize({ width: Math.floor(width), height: Math.floor(height) });
    });
    resized.observe(element.current);
    return () => resized.disconnect();
  }, []);
  return size;
}

/** What is less than this far from the window is asked for already. */
const MARGIN = "300px";

export function useIsSeen(element: RefObject<HTMLElement | null>): boolean {
  const [isSeen, setIsSeen] = useState(false);
  useEffect(() => {
    if (element.current === null) return undefined;
    const observer = new IntersectionObserver((entries) => setIsSeen(entries.at(-1)!.isIntersecting), {
      rootMargin: MARGIN,
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return isSeen;
}
