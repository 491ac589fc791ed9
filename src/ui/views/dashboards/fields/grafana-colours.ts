/** The names of colours in dashboards of Grafana, and colours that follow a value. Pure. */
import { colourOf } from "../../../parts/chart-colours.ts";

const SHADES = ["dark", "semi-dark", "", "light", "super-light"];
const HUES: Readonly<Record<string, readonly string[]>> = {
  red: ["#c4162a", "#e02f44", "#f2495c", "#ff7383", "#ffa6b0"],
  orange: ["#fa6400", "#ff780a", "#ff9830", "#ffb357", "#ffcb7d"],
  yellow: ["#e0b400", "#f2cc0c", "#fade2a", "#ffee52", "#fff899"],
  green: ["#37872d", "#56a64b", "#73bf69", "#96d98d", "#c8f2c2"],
  blue: ["#1f60c4", "#3274d9", "#5794f2", "#8ab8ff", "#c0d8ff"],
  purple: ["#8f3bb8", "#a352cc", "#b877d9", "#ca95e5", "#deb6f2"],
};

/** From the least to the greatest value. */
const SCALES: Readonly<Record<string, readonly string[]>> = {
  "continuous-GrYlRd": ["green", "yellow", "red"],
  "continuous-RdYlGr": ["red", "yellow", "green"],
  "continuous-BlYlRd": ["blue", "yellow", "red"],
  "continuous-YlRd": ["yellow", "red"],
  "continuous-BlPu": ["blue", "purple"],
  "continuous-YlBl": ["yellow", "blue"],
  "continuous-blues": ["#1a2a44", "blue"],
  "continuous-reds": ["#3f1a1e", "red"],
  "continuous-greens": ["#1d3019", "green"],
  "continuous-purples": ["#2f1f38", "purple"],
};

/** A colour of CSS for a name of Grafana. Undefined for the colour of the text around it. */
export function namedColour(name: string): string | undefined {
  const [, shade = "", hue = ""] = /^(?:(dark|semi-dark|light|super-light)-)?(\w+)$/.exec(name) ?? [];
  if (Object.hasOwn(HUES, hue)) return HUES[hue]![SHADES.indexOf(shade)];
  return name === "" || name === "text" ? undefined : name;
}

/** The colour of a mode such as `continuous-GrYlRd` at a part between 0 and 1. Undefined for other modes. */
export function scaleColour(mode: string, part: number): string | undefined {
  if (!Object.hasOwn(SCALES, mode)) return undefined;
  const colours = SCALES[mode]!.map((name) => namedColour(name)!);
  const place = Math.min(1, Math.max(0, part)) * (colours.length - 1);
  const first = Math.min(colours.length - 2, Math.floor(place));
  return mixed(colours[first]!, colours[first + 1]!, place - first);
}

/** The colour of the series at an index, or of a name that has the same colour in all panels. */
export function paletteColour(index: number, name?: string): string {
  if (name === undefined) return colourOf(index);
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) % 9_973;
  return colourOf(hash);
}

/** Red, green and blue of the schemes of heat maps, between 0 and 255. */
export function schemeColour(scheme: string): readonly [number, number, number] | undefined {
  const hex = {
    Oranges: "#e6550d",
    Reds: "#de2d26",
    Greens: "#31a354",
    Blues: "#3182bd",
    Purples: "#756bb1",
    Greys: "#636363",
  }[scheme];
  return hex === undefined ? undefined : channels(hex);
}

/** The channels of `#rrggbb`. */
export function channels(hex: string): readonly [number, number, number] {
  const number = Number.parseInt(hex.slice(1, 7), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

function mixed(from: string, to: string, part: number): string {
  const [a, b] = [channels(from), channels(to)];
  const hex = a.map((value, at) =>
    Math.round(value + (b[at]! - value) * part)
      .toString(16)
      .padStart(2, "0"),
  );
  return `#${hex.join("")}`;
}
