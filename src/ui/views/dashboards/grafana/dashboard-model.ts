/** What a dashboard of Grafana says, of any version of its schema, in one form. Pure. */
import type { TimeRange } from "../../../format/times.ts";
import { intervalMs, rangeOfTexts } from "./dashboard-times.ts";
import { at, isObject, type Loose, listOf, numberIn, objectOf, objectsOf, textOf } from "./loose-json.ts";
import { type PanelModel, panelOf } from "./panel-model.ts";
import type { VariableValue, VariableValues } from "./template-text.ts";
import { type VariableModel, variableOf } from "./variables.ts";

/** Panels below a title that can hide them. The first ones may have none. */
export interface PanelSection {
  readonly title: string | undefined;
  readonly isCollapsed: boolean;
  readonly repeat: string | undefined;
  readonly panels: readonly PanelModel[];
}

export interface DashboardLink {
  readonly title: string;
  /** Where it leads. Undefined for links to all dashboards that have the tags. */
  readonly url: string | undefined;
  readonly tags: readonly string[];
  readonly keepsTime: boolean;
  readonly includesVariables: boolean;
}

export interface DashboardModel {
  readonly title: string;
  readonly description: string;
  readonly range: TimeRange | undefined;
  readonly refreshMs: number;
  readonly isUtc: boolean;
  readonly variables: readonly VariableModel[];
  readonly sections: readonly PanelSection[];
  readonly links: readonly DashboardLink[];
  /** What of it is not drawn, as sentences. */
  readonly notes: readonly string[];
}

/** Reads the JSON of a dashboard. What is missing has the defaults of Grafana. */
export function readDashboard(json: unknown, nowMs: number): DashboardModel {
  const dashboard = unwrapped(json);
  const time = objectOf(dashboard.time);
  return {
    title: textOf(dashboard.title, "Dashboard"),
    description: textOf(dashboard.description),
    range: rangeOfTexts(textOf(time.from, "now-6h"), textOf(time.to, "now"), nowMs),
    refreshMs: intervalMs(textOf(dashboard.refresh)) ?? 0,
    isUtc: dashboard.timezone === "utc",
    variables: objectsOf(at(dashboard, "templating.list")).map(variableOf),
    sections: sectionsOf(dashboard),
    links: objectsOf(dashboard.links).map(linkOf),
    notes: notesOf(dashboard),
  };
}

/** What exports and Grafana's API put around a dashboard is removed. */
function unwrapped(json: unknown): Loose {
  const outer = objectOf(json);
  if (outer.panels !== undefined || outer.rows !== undefined) return outer;
  if (isObject(outer.dashboard)) return outer.dashboard;
  return isObject(outer.spec) ? outer.spec : outer;
}

function linkOf(link: Loose): DashboardLink {
  const isList = link.type === "dashboards";
  return {
    title: textOf(link.title, isList ? "Dashboards" : textOf(link.url)),
    url: isList ? undefined : textOf(link.url),
    tags: listOf(link.tags).map((tag) => textOf(tag)),
    keepsTime: link.keepTime === true,
    includesVariables: link.includeVars === true,
  };
}

function notesOf(dashboard: Loose): string[] {
  const annotations = objectsOf(at(dashboard, "annotations.list"))
    .filter(({ builtIn, enable }) => builtIn !== 1 && enable !== false)
    .map(({ name }) => textOf(name));
  return annotations.length === 0 ? [] : [`Annotations are not drawn: ${annotations.join(", ")}.`];
}

/** The panels by row. Before Grafana 5, rows contained panels with a width of 12 parts. */
function sectionsOf(dashboard: Loose): PanelSection[] {
  const sections: { -readonly [Key in keyof PanelSection]: PanelSection[Key] }[] = [];
  const begin = (row: Loose, isCollapsed: boolean, panels: readonly PanelModel[] = []) =>
    sections.push({
      ...{ title: textOf(row.title), isCollapsed, panels },
      repeat: textOf(row.repeat) || undefined,
    });
  const placed = objectsOf(dashboard.panels).map((panel, index) => ({ panel, index }));
  const top = ({ panel }: { panel: Loose }) => numberIn(at(panel, "gridPos.y")) ?? Number.POSITIVE_INFINITY;
  // Panels belong to the row above them, in whichever order the file has them.
  const inOrder = placed.toSorted((a, b) => {
    const [first, second] = [top(a), top(b)];
    return first === second ? a.index - b.index : first - second;
  });
  for (const { panel } of inOrder) {
    if (panel.type === "row") {
      begin(panel, panel.collapsed === true, withPlaces(objectsOf(panel.panels)));
      continue;
    }
    if (sections.length === 0)
      sections.push({ title: undefined, isCollapsed: false, repeat: undefined, panels: [] });
    const section = sections.at(-1)!;
    section.panels = [...section.panels, panelOf(panel)];
  }
  for (const row of objectsOf(dashboard.rows)) {
    const panels = objectsOf(row.panels).map((panel) => ({
      ...panel,
      gridPos: panel.gridPos ?? { w: 2 * (numberIn(panel.span) ?? 12), h: rowHeight(row) },
    }));
    begin(row.showTitle === true ? row : { ...row, title: "" }, row.collapse === true, withPlaces(panels));
  }
  return sections.map((section) => ({
    ...section,
    title: section.title === "" ? undefined : section.title,
    panels: flowed(section.panels),
  }));
}

function withPlaces(panels: readonly Loose[]): PanelModel[] {
  return panels.map((panel) => panelOf(panel));
}

/** Heights of old rows are pixels. */
function rowHeight(row: Loose): number {
  const pixels = numberIn(textOf(row.height).replace("px", "")) ?? numberIn(row.height) ?? 250;
  return Math.max(3, Math.round(pixels / 38));
}

const COLUMNS = 24;

/** Panels without a place follow each other, from left to right. */
function flowed(panels: readonly PanelModel[]): PanelModel[] {
  let [x, y, height] = [0, 0, 0];
  return panels.map((panel) => {
    const { place } = panel;
    if (place.y !== undefined) {
      y = Math.max(y, place.y + place.h);
      return panel;
    }
    if (x + place.w > COLUMNS) {
      x = 0;
      y += height;
      height = 0;
    }
    const placed = { ...panel, place: { ...place, x, y } };
    x += place.w;
    height = Math.max(height, place.h);
    return placed;
  });
}

/** The sections with a copy of each that repeats, for each value of its variable. */
export function repeatedSections(sections: readonly PanelSection[], values: VariableValues): PanelSection[] {
  return sections.flatMap((section) =>
    scopesOf(section.repeat, values).map((scope) => ({
      ...section,
      panels: section.panels.flatMap((panel) => repeatedPanels(panel, new Map([...values, ...scope]), scope)),
    })),
  );
}

function repeatedPanels(panel: PanelModel, values: VariableValues, outer: VariableValues): PanelModel[] {
  const scopes = scopesOf(panel.repeat, values);
  const { x, y = 0, w, h } = panel.place;
  const isDown = panel.repeatDirection === "v";
  const perLine = isDown ? 1 : Math.min(scopes.length, panel.repeatsPerLine);
  const width = panel.repeat === undefined || isDown ? w : Math.floor(COLUMNS / perLine);
  return scopes.map((scope, index) => ({
    ...panel,
    key: index === 0 ? panel.key : `${panel.key} ${index}`,
    scope: new Map([...outer, ...scope]),
    place:
      panel.repeat === undefined
        ? panel.place
        : {
            x: isDown ? x : (index % perLine) * width,
            y: y + Math.floor(index / perLine) * h,
            w: width,
            h,
          },
  }));
}

/** The values that a repetition has, one each. One without any if it does not repeat. */
function scopesOf(repeat: string | undefined, values: VariableValues): VariableValues[] {
  const variable = repeat === undefined ? undefined : values.get(repeat);
  if (repeat === undefined || variable === undefined || variable.values.length === 0) return [new Map()];
  return variable.values.map((value, index): Map<string, VariableValue> => {
    const text = variable.texts.length === variable.values.length ? variable.texts[index]! : value;
    return new Map([[repeat, { values: [value], texts: [text], isPattern: variable.isPattern }]]);
  });
}
