/** The title of what a view shows, if it is another than that of the view. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export const viewTitle = signal<string | undefined>(undefined);

/** Gives the page a title as long as the view is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    viewTitle.value = title;
    return () => {
      viewTitle.value = undefined;
    };
  }, [title]);
}
