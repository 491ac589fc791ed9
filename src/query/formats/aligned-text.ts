/** Aligned columns of text for a terminal, in the columns that a terminal uses: some characters take two. */

/** The width of each column: that of its widest cell. */
export function widthsOf(rows: Iterable<readonly string[]>): number[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (let column = 0; column < row.length; column++)
      widths[column] = Math.max(widths[column] ?? 0, Bun.stringWidth(row[column]!));
  }
  return widths;
}

/** A line with cells in columns of these widths, two spaces apart, and no space at the end. */
export function alignedLine(
  cells: readonly string[],
  widths: readonly number[],
  isRight: readonly boolean[] = [],
): string {
  const padded = cells.map((cell, column) => {
    const space = " ".repeat(Math.max(0, widths[column]! - Bun.stringWidth(cell)));
    return isRight[column] ? space + cell : cell + space;
  });
  return `${padded.join("  ").trimEnd()}\n`;
}

/** Rows as lines of aligned columns. */
export function alignedRows(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows);
  return rows.map((row) => alignedLine(row, widths)).join("");
}
