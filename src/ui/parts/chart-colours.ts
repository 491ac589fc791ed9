/** The colours of lines. Pure. */

/** Colours that people with any colour vision can tell apart, on a light and on a dark ground (after Okabe and Ito). */
const COLOURS = [
  "#0b84a5",
  "#e69f00",
  "#6f4e9c",
  "#009e73",
  "#d55e00",
  "#8a9a1f",
  "#cc79a7",
  "#5b7fd1",
  "#9c6b30",
  "#5f6b7a",
];

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}
