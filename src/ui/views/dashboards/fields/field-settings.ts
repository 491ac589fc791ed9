/** How the values of a column are shown: what a panel says for all, with what it overrides for some. Pure. */
import type { DataFrame, FrameField } from "../grafana/frames.ts";
import {
  at,
  type Loose,
  listOf,
  numberIn,
  objectOf,
  objectsOf,
  textOf,
  withValue,
} from "../grafana/loose-json.ts";
import type { PanelModel } from "../grafana/panel-model.ts";

/** A step of thresholds: its colour counts from its value on. */
export interface ThresholdStep {
  readonly value: number;
  readonly colour: string;
}

/** How a column is shown. */
export interface FieldSettings {
  readonly name: string;
  readonly unit: string;
  readonly decimals: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly noValue: string;
  readonly colourMode: string;
  readonly fixedColour: string;
  /** Rising. The first one has no lower end. */
  readonly steps: readonly ThresholdStep[];
  /** Whether thresholds are percentages between the least and the greatest value. */
  readonly stepsAreParts: boolean;
  readonly mappings: readonly Loose[];
  readonly custom: Loose;
  readonly links: readonly Loose[];
}

/** A column with how it is shown. */
export interface ShownField {
  readonly frame: DataFrame;
  readonly field: FrameField;
  readonly settings: FieldSettings;
}

/** The columns of all frames, in their order. */
export function shownFields(panel: PanelModel, frames: readonly DataFrame[]): ShownField[] {
  return frames.flatMap((frame) =>
    frame.fields.map((field) => ({ frame, field, settings: settingsOf(panel, frame, field) })),
  );
}

/** The name of a column before the panel renames it. */
export function plainName({ name, legend, labels }: FrameField): string {
  if (legend !== undefined) return legend;
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name} {${pairs.join(", ")}}`;
}

function settingsOf(panel: PanelModel, frame: DataFrame, field: FrameField): FieldSettings {
  let given: Loose = panel.defaults;
  for (const { matcher, properties } of panel.overrides) {
    if (!isMatched(objectOf(matcher), frame, field)) continue;
    for (const { id, value } of objectsOf(properties)) given = withValue(given, textOf(id), value);
  }
  const thresholds = objectOf(given.thresholds);
  return {
    name: nameOf(textOf(given.displayName), field),
    unit: textOf(given.unit),
    decimals: numberIn(given.decimals),
    min: numberIn(given.min),
    max: numberIn(given.max),
    noValue: textOf(given.noValue),
    colourMode: textOf(at(given, "color.mode"), "thresholds"),
    fixedColour: textOf(at(given, "color.fixedColor"), "green"),
    steps: stepsOf(thresholds),
    stepsAreParts: thresholds.mode === "percentage",
    mappings: mappingsOf(given.mappings),
    custom: objectOf(given.custom),
    links: objectsOf(given.links),
  };
}

function nameOf(displayName: string, field: FrameField): string {
  if (displayName === "") return plainName(field);
  return displayName.replaceAll(
    /\$\{__(?:field\.(?:labels\.(\w+)|(name|displayName))|series\.name)\}/g,
    (_, label?: string) => (label === undefined ? plainName(field) : (field.labels[label] ?? "")),
  );
}

function stepsOf(thresholds: Loose): ThresholdStep[] {
  const steps = objectsOf(thresholds.steps).map(({ value, color }) => ({
    value: numberIn(value) ?? Number.NEGATIVE_INFINITY,
    colour: textOf(color, "green"),
  }));
  return steps.sort((a, b) => a.value - b.value);
}

/** Mappings of Grafana 7 and older have a number as type. */
function mappingsOf(given: unknown): readonly Loose[] {
  return objectsOf(given).map((mapping) => {
    const { type, value, from, to, text } = mapping;
    if (typeof type !== "number") return mapping;
    if (type === 1) return { type: "value", options: { [String(value)]: { text } } };
    return { type: "range", options: { from: numberIn(from), to: numberIn(to), result: { text } } };
  });
}

/** Matchers that are known. Others match nothing. */
const MATCHERS: Readonly<Record<string, (options: unknown, frame: DataFrame, field: FrameField) => boolean>> =
  {
    byName: (options, _, field) => [field.name, plainName(field)].includes(textOf(options)),
    byNames: (options, _, field) => {
      const names = listOf(at(options, "names"));
      const isIn = names.includes(plainName(field)) || names.includes(field.name);
      return at(options, "mode") === "exclude" ? !isIn : isIn;
    },
    byRegexp: (options, _, field) => {
      const [, source = textOf(options), flags = ""] = /^\/([\s\S]*)\/([ims]*)$/.exec(textOf(options)) ?? [];
      try {
        return new RegExp(source, flags).test(plainName(field));
      } catch {
        return false;
      }
    },
    byRegex: (options, frame, field) => MATCHERS.byRegexp!(options, frame, field),
    byType: (options, _, { kind }) => (kind === "text" ? "string" : kind) === options,
    byFrameRefID: (options, { refId }) => refId === options,
    byQuery: (options, { refId }) => refId === options,
  };

function isMatched({ id, options }: Loose, frame: DataFrame, field: FrameField): boolean {
  const matcher = textOf(id);
  return Object.hasOwn(MATCHERS, matcher) && MATCHERS[matcher]!(options, frame, field);
}

/** What of the overrides is ignored, as sentences. */
export function overrideNotes({ overrides }: PanelModel): string[] {
  const ids = overrides.map(({ matcher }) => textOf(objectOf(matcher).id)).filter((id) => !(id in MATCHERS));
  return [...new Set(ids)].map((id) => `Overrides by ${id} are ignored.`);
}
