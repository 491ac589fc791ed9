/** A titled part of a view. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface PanelProps {
  readonly title: string;
  /** What the title does not say, in small letters beside it. */
  readonly note?: ComponentChildren;
  /** As wide as the view, and not a part of the grid of panels. */
  readonly isWide?: boolean;
  readonly children: ComponentChildren;
}

export function Panel({ title, note, isWide = false, children }: PanelProps) {
  const id = useId();
  return (
    <section class={isWide ? "panel wide" : "panel"} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {note === undefined ? null : <span class="note">{note}</span>}
      </header>
      {children}
    </section>
  );
}
