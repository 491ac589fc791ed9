/** A plot of lines as SVG, with logarithmic axes and without anything to load. */

export interface Line {
  readonly name: string;
  /** Pairs of x and y, all positive. */
  readonly points: readonly (readonly [number, number])[];
}

const [WIDTH, HEIGHT] = [640, 360];
const [LEFT, RIGHT, TOP, BOTTOM] = [70, 150, 36, 44];
const COLOURS = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 2"];

/** The plot. Lines without points are left out. */
export function plotOf(title: string, xName: string, yName: string, all: readonly Line[]): string {
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
    ...x.ticks.flatMap((tick) => [
      `<path d="M${px(x.at(tick))} ${TOP}V${HEIGHT - BOTTOM}" stroke="#e5e5e5"/>`,
      text(x.at(tick), HEIGHT - BOTTOM + 14, short(tick), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      `<path d="M${LEFT} ${px(y.at(tick))}H${WIDTH - RIGHT}" stroke="#e5e5e5"/>`,
      text(LEFT - 6, y.at(tick) + 4, short(tick), 'text-anchor="end"'),
    ]),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, escaped(xName), 'text-anchor="middle"'),
    text(12, HEIGHT / 2, escaped(yName), `text-anchor="middle" transform="rotate(-90 12 ${HEIGHT / 2})"`),
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

/** A logarithmic axis, from the power of ten below the smallest value to the one above the largest. */
function axis(values: readonly number[], from: number, to: number) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
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
