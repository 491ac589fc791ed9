/** A value as a panel shows it: its text and its colour. Pure. */
import type { Zone } from "../../../format/times.ts";
import type { FieldSettings } from "./field-settings.ts";
import type { FrameCell } from "../grafana/frames.ts";
import { namedColour, paletteColour, scaleColour } from "./grafana-colours.ts";
import { formatUnit } from "./grafana-units.ts";
import { at, type Loose, numberIn, objectOf, textOf } from "../grafana/loose-json.ts";

export interface ShownValue {
  readonly text: string;
  /** A colour of CSS. Undefined for the colour of the text around it. */
  readonly colour: string | undefined;
  readonly number: number | undefined;
  /** Whether a mapping gives the text. */
  readonly isMapped: boolean;
}

export interface ValueContext {
  readonly zone: Zone;
  /** Which of the series of the panel it is, for its colour. */
  readonly index?: number;
  /** The ends of all values of the panel, where the panel says none. */
  readonly least?: number;
  readonly most?: number;
}

export function shownValue(value: FrameCell, settings: FieldSettings, context: ValueContext): ShownValue {
  const mapped = mappedValue(value, settings.mappings);
  const number = typeof value === "number" ? value : undefined;
  return {
    text: mapped?.text ?? textOfValue(value, settings, context),
    colour: mapped?.colour ?? colourOfValue(number, settings, context),
    number,
    isMapped: mapped?.text !== undefined,
  };
}

function textOfValue(value: FrameCell, settings: FieldSettings, { zone }: ValueContext): string {
  const { unit, decimals, noValue } = settings;
  if (value === null) return noValue === "" ? "–" : noValue;
  if (typeof value === "string") return value;
  if (Number.isNaN(value) && noValue !== "") return noValue;
  return formatUnit(value, unit, { zone, ...(decimals === undefined ? {} : { decimals }) });
}

/** The text and the colour that a mapping gives a value. */
function mappedValue(
  value: FrameCell,
  mappings: readonly Loose[],
): { readonly text?: string; readonly colour?: string } | undefined {
  for (const { type, options } of mappings) {
    const result = resultOf(textOf(type), objectOf(options), value);
    if (result === undefined) continue;
    const text = textOf(result.text);
    const colour = namedColour(textOf(result.color));
    return { ...(text === "" ? {} : { text }), ...(colour === undefined ? {} : { colour }) };
  }
  return undefined;
}

function resultOf(type: string, options: Loose, value: FrameCell): Loose | undefined {
  switch (type) {
    case "value": {
      const found = value === null ? options.null : options[String(value)];
      return found === undefined ? undefined : objectOf(found);
    }
    case "range": {
      if (typeof value !== "number" || Number.isNaN(value)) return undefined;
      const [from, to] = [numberIn(options.from), numberIn(options.to)];
      const isWithin =
        value >= (from ?? Number.NEGATIVE_INFINITY) && value <= (to ?? Number.POSITIVE_INFINITY);
      return isWithin ? objectOf(options.result) : undefined;
    }
    case "regex":
      return matchOf(options, value);
    case "special":
      return isSpecial(textOf(options.match), value) ? objectOf(options.result) : undefined;
    default:
      return undefined;
  }
}

function matchOf(options: Loose, value: FrameCell): Loose | undefined {
  if (typeof value !== "string") return undefined;
  const [, source = textOf(options.pattern), flags = ""] =
    /^\/([\s\S]*)\/([ims]*)$/.exec(textOf(options.pattern)) ?? [];
  try {
    const match = new RegExp(source, flags).exec(value);
    if (match === null) return undefined;
    const text = textOf(at(options, "result.text")).replaceAll(/\$(\d)/g, (_, group: string) => {
      return match[Number(group)] ?? "";
    });
    return { ...objectOf(options.result), text };
  } catch {
    return undefined;
  }
}

function isSpecial(match: string, value: FrameCell): boolean {
  switch (match) {
    case "null":
      return value === null;
    case "nan":
      return Number.isNaN(value);
    case "null+nan":
      return value === null || Number.isNaN(value);
    case "empty":
      return value === "";
    default:
      return String(value) === match;
  }
}

function colourOfValue(
  value: number | undefined,
  settings: FieldSettings,
  { index = 0, least, most }: ValueContext,
): string | undefined {
  const { colourMode, fixedColour, steps, stepsAreParts, name } = settings;
  const part = partOf(value, settings.min ?? least, settings.max ?? most);
  switch (colourMode) {
    case "fixed":
    case "shades":
      return namedColour(fixedColour);
    case "palette-classic":
      return paletteColour(index);
    case "palette-classic-by-name":
      return paletteColour(index, name);
    case "thresholds": {
      if (value === undefined || Number.isNaN(value)) return undefined;
      const compared = stepsAreParts ? part * 100 : value;
      return namedColour(steps.findLast((step) => compared >= step.value)?.colour ?? "");
    }
    default:
      return scaleColour(colourMode, part) ?? paletteColour(index);
  }
}

/** Where a value is between the least and the greatest, between 0 and 1. */
export function partOf(value: number | undefined, least = 0, most = 100): number {
  if (value === undefined || Number.isNaN(value) || most <= least) return 0;
  return Math.min(1, Math.max(0, (value - least) / (most - least)));
}
