/** Compares the answers of two servers of Prometheus's API: series, times and values. */

/** Relative: sums of floats may be taken in any order. */
const DIFFERENCE_MAX = 1e-9;

type Point = readonly [number, string];
interface Result {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value?: Point;
    readonly values?: readonly Point[];
  }[];
}

/** The first difference, or undefined if the answers agree. */
export function difference(own: unknown, other: unknown): string | undefined {
  if (Array.isArray(own) || Array.isArray(other))
    return Bun.deepEquals(own, other) ? undefined : "other values";
  const [mine, theirs] = [pointsOf(own as Result), pointsOf(other as Result)];
  if (mine.size !== theirs.size) return `${mine.size} series, not ${theirs.size}`;
  for (const [labels, points] of mine) {
    const others = theirs.get(labels);
    if (others === undefined) return `${labels} is not there`;
    if (points.length !== others.length) return `${labels}: ${points.length} points, not ${others.length}`;
    for (const [at, [seconds, value]] of points.entries()) {
      const [otherSeconds, otherValue] = others[at]!;
      if (seconds !== otherSeconds) return `${labels}: a point at ${seconds}, not ${otherSeconds}`;
      if (!isNear(value, otherValue)) return `${labels} at ${seconds}: ${value}, not ${otherValue}`;
    }
  }
  return undefined;
}

/** Points by labels, without names where these are not needed: VictoriaMetrics keeps them after some functions. */
function pointsOf({ result }: Result): Map<string, readonly Point[]> {
  const by = (isLabel: (name: string) => boolean) =>
    new Map(
      result.map(({ metric, value, values }) => {
        const labels = Object.entries(metric).filter(([name]) => isLabel(name));
        labels.sort(([a], [b]) => (a < b ? -1 : 1));
        return [JSON.stringify(labels), values ?? (value ? [value] : [])];
      }),
    );
  const nameless = by((name) => name !== "__name__");
  return nameless.size === result.length ? nameless : by(() => true);
}

function isNear(a: string, b: string): boolean {
  const [x, y] = [Number(a), Number(b)];
  if (Object.is(x, y) || x === y) return true;
  return Math.abs(x - y) <= DIFFERENCE_MAX * Math.max(Math.abs(x), Math.abs(y));
}
