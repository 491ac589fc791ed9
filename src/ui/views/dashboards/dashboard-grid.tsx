/** The panels of a dashboard in their places, by row. A row can be closed, and asks nothing then. */
import { useMemo, useState } from "preact/hooks";
import { type PanelSection, repeatedSections } from "./grafana/dashboard-model.ts";
import type { PanelModel } from "./grafana/panel-model.ts";
import { filled, type VariableValues } from "./grafana/template-text.ts";
import { DashboardPanel, type PanelContext } from "./dashboard-panel.tsx";

interface DashboardGridProps {
  readonly sections: readonly PanelSection[];
  readonly context: PanelContext;
}

export function DashboardGrid({ sections, context }: DashboardGridProps) {
  const { values } = context;
  const repeated = useMemo(() => repeatedSections(sections, values), [sections, values]);
  return (
    <>
      {repeated.map((section, index) => (
        <Section key={`${index} ${section.title}`} section={section} context={context} />
      ))}
    </>
  );
}

function Section({ section, context }: { readonly section: PanelSection; readonly context: PanelContext }) {
  const { title, panels, isCollapsed } = section;
  const [isOpen, setIsOpen] = useState(!isCollapsed);
  const placed = useMemo(() => fromTop(panels), [panels]);
  const shown = title === undefined ? undefined : filled(title, rowValues(panels, context.values), "text");
  return (
    <section class="dash-row" aria-label={shown ?? "Panels"}>
      {shown === undefined ? null : (
        <h2>
          <button type="button" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            {shown}
            <span class="note">{isOpen ? "" : ` ${panels.length} panels`}</span>
          </button>
        </h2>
      )}
      {isOpen || shown === undefined ? (
        <div class="dash-grid">
          {placed.map((panel, index) => (
            <DashboardPanel key={`${index} ${panel.key}`} panel={panel} context={context} />
          ))}
        </div>
      ) : null}
    </section>
  );
}

/** The values of a row are those that it is repeated for. */
function rowValues([first]: readonly PanelModel[], values: VariableValues): VariableValues {
  return first === undefined ? values : new Map([...values, ...first.scope]);
}

/** The panels with their place below the title of their row. */
function fromTop(panels: readonly PanelModel[]): PanelModel[] {
  const top = panels.reduce((least, { place }) => Math.min(least, place.y ?? 0), Number.POSITIVE_INFINITY);
  return panels
    .map((panel) => ({ ...panel, place: { ...panel.place, y: (panel.place.y ?? 0) - top } }))
    .toSorted((a, b) => a.place.y - b.place.y || a.place.x - b.place.x);
}
