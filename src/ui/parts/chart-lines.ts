/** What charts draw. Pure, so that answers can be converted without a chart. */
export interface ChartLine {
  readonly name: string;
  /** One value per time. Null is a gap. */
  readonly values: readonly (number | null)[];
  /** How it looks, if not as other lines. */
  readonly look?: LineLook;
}

export interface LineLook {
  /** Any colour of CSS. By default each line has one of its own. */
  readonly colour?: string;
  /** In pixels. 0 draws no line. */
  readonly width?: number;
  /** How opaque the area below the line is, between 0 and 1. */
  readonly fill?: number;
  readonly draws?: "line" | "smooth" | "step-before" | "step-after" | "bars" | "points";
  /** Lengths of lines and gaps in pixels. */
  readonly dash?: readonly number[];
  /** Whether points are marked. By default they are if there are few. */
  readonly hasPoints?: boolean;
  /** Lines of one group are drawn on top of each other. */
  readonly stack?: string;
  readonly axis?: "left" | "right";
  /** Whether a line crosses gaps. */
  readonly spansGaps?: boolean;
  readonly isHidden?: boolean;
}

/** A value of the left axis that is marked by a line. */
export interface ChartMark {
  readonly value: number;
  readonly colour: string;
  readonly isDashed?: boolean;
}

/** A single value beside the lines, such as an event that stands for others. */
export interface ChartDot {
  /** Seconds since 1970. */
  readonly time: number;
  readonly value: number;
}

/**
 * The lines as they are drawn: those of one stack at the sum of those up to it. Negative values are summed by themselves, so that
 * they extend below zero.
 */
export function stackedValues(
  lines: readonly ChartLine[],
  stackOf: (line: ChartLine) => string | undefined,
): (readonly (number | null)[])[] {
  const sums = new Map<string, number[]>();
  return lines.map((line) => {
    const stack = line.look?.isHidden ? undefined : stackOf(line);
    if (stack === undefined) return line.values;
    return line.values.map((value, at) => {
      if (value === null) return null;
      const sum = sums.getOrInsertComputed(`${stack} ${value < 0}`, () => []);
      sum[at] = (sum[at] ?? 0) + value;
      return sum[at]!;
    });
  });
}
