/** A small line without axes, beside the number that it explains. */

interface SparklineProps {
  /** What is drawn, for readers of screens. */
  readonly label: string;
  /** From the oldest to the newest, at equal distances. Null is a gap. */
  readonly values: readonly (number | null)[];
  /** The value at the top. By default it is the highest one. */
  readonly most?: number;
}

const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ label, values, most }: SparklineProps) {
  const known = values.filter((value) => value !== null);
  const top = most ?? Math.max(...known, 0);
  const x = (at: number) => (values.length < 2 ? 0 : (at / (values.length - 1)) * WIDTH);
  const y = (value: number) => HEIGHT - 1.5 - (top > 0 ? Math.min(1, value / top) : 0) * (HEIGHT - 3);
  const runs: string[][] = [[]];
  values.forEach((value, at) => {
    if (value === null) runs.push([]);
    else runs.at(-1)!.push(`${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
  });
  const lines = runs.filter((points) => points.length > 0);
  return (
    <svg
      class="sparkline"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      {lines.map((points) => (
        // A single point is a line of no length, which round ends make a dot.
        <path key={points[0]} d={`M${points.join("L")}${points.length === 1 ? `L${points[0]}` : ""}`} />
      ))}
    </svg>
  );
}
