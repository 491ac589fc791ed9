/** A plot of lines as SVG, with logarithmic axes. It loads nothing. */

export interface Line {
  readonly name: string;
  /** Pairs of x and y, all positive. */
  readonly points: readonly (readonly [number, number])[];
}

const [WIDTH, HEIGHT] = [640, 360];
const [LEFT, RIGHT, TOP, BOTTOM] = [60, 150, 52, 48];
const COLOURS = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2"];

export interface Labels {
  /** What is on the vertical axis, and by what. */
  readonly title: string;
  readonly note: string;
  readonly xName: string;
}

/** The plot. Lines without points are left out. */
export function plotOf({ title, note, xName }: Labels, all: readonly Line[]): string {
  const lines = all.filter(({ points }) => points.length > 0);
  const points = lines.flatMap((line) => line.points);
  const x = axis(
    points.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = axis(
    points.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
  );
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 20, escaped(title), 'font-size="13" font-weight="bold"'),
    text(LEFT, 37, escaped(note), 'fill="#555"'),
    ...x.ticks.flatMap((tick) => [
      `<path d="M${px(x.at(tick))} ${TOP}V${HEIGHT - BOTTOM}" stroke="#e5e5e5"/>`,
      text(x.at(tick), HEIGHT - BOTTOM + 17, short(tick), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      `<path d="M${LEFT} ${px(y.at(tick))}H${WIDTH - RIGHT}" stroke="#e5e5e5"/>`,
      text(LEFT - 6, y.at(tick) + 4, short(tick), 'text-anchor="end"'),
    ]),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, escaped(xName), 'text-anchor="middle"'),
  ];
  for (const [index, { name, points: own }] of lines.entries()) {
    const colour = COLOURS[index % COLOURS.length]!;
    const places = own.map(([a, b]) => `${px(x.at(a))} ${px(y.at(b))}`);
    const dash = DASHES[index % DASHES.length]!;
    parts.push(
      `<path d="M${places.join("L")}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
      ...own.map(([a, b]) => `<circle cx="${px(x.at(a))}" cy="${px(y.at(b))}" r="3" fill="${colour}"/>`),
      `<path d="M${WIDTH - RIGHT + 12} ${TOP + 18 * index}h18" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>`,
      text(WIDTH - RIGHT + 36, TOP + 18 * index + 4, escaped(name)),
    );
  }
  return `${parts.join("\n")}\n</svg>\n`;
}

/** Where ticks may stand, within a power of ten. */
const STEPS = [1, 2, 5, 10];
/** With more powers of ten, only they have a tick. */
const STEPPED_POWERS_MAX = 2;

/** A logarithmic axis, from the tick below the smallest value to the one above the largest. */
function axis(values: readonly number[], from: number, to: number) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const steps = most / least > 10 ** STEPPED_POWERS_MAX ? [1, 10] : STEPS;
  const powers = Array.from(
    { length: Math.ceil(Math.log10(most)) - Math.floor(Math.log10(least)) + 1 },
    (_, index) => Math.floor(Math.log10(least)) + index,
  );
  const all = [...new Set(powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`))))];
  const below = all.findLastIndex((tick) => tick <= least);
  const above = all.findIndex((tick, index) => tick >= most && index > below);
  const ticks = all.slice(below, above + 1);
  const [low, high] = [Math.log10(ticks[0]!), Math.log10(ticks.at(-1)!)];
  return {
    ticks,
    at: (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
  };
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${px(x)}" y="${px(y)}" ${more}>${content}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** 1000 as 1 k. */
function short(value: number): string {
  if (value >= 1e9) return `${value / 1e9} G`;
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e3) return `${value / 1e3} k`;
  return String(Number(value.toPrecision(2)));
}

function escaped(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
