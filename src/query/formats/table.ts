/**
 * A table for a terminal: aligned columns, numbers to the right, one line per row, and the number of rows at the end.
 * Widths are those of the first 1,000 rows. Cells are cut at 100 columns of the terminal. Control characters are
 * escaped, so that a stored value cannot control the terminal.
 */
import type { Cell } from "../../store/store.ts";
import { alignedLine, widthsOf } from "./aligned-text.ts";
import { type Format, isNumeric } from "./format.ts";
import { visibleText } from "./visible-text.ts";

const WIDTH_MAX = 100;
const ROWS_MEASURED = 1_000;

export const table: Format = {
  contentType: "text/plain; charset=utf-8",
  async *encode(result) {
    const names = result.columns.map(({ name }) => cellText(name));
    const right = result.columns.map(({ type }) => isNumeric(type));
    const first: string[][] = [];
    let rows = 0;
    let chunk = await result.next();
    for (; chunk !== undefined && first.length < ROWS_MEASURED; chunk = await result.next()) {
      rows += chunk.length;
      for (const row of chunk) first.push(row.map(cellText));
    }
    const widths = widthsOf([names, ...first.slice(0, ROWS_MEASURED)]);
    const line = (cells: readonly string[]) => alignedLine(cells, widths, right);
    let text = line(names) + line(widths.map((width) => "-".repeat(width))) + first.map(line).join("");
    for (; chunk !== undefined; chunk = await result.next()) {
      yield text;
      rows += chunk.length;
      text = chunk.map((row) => line(row.map(cellText))).join("");
    }
    yield `${text}(${rows} ${rows === 1 ? "row" : "rows"}${result.truncated ? "; the limit omitted more" : ""})\n`;
  },
};

function cellText(cell: Cell): string {
  if (cell === null) return "NULL";
  const text = visibleText(cell);
  if (text.length <= WIDTH_MAX && Bun.stringWidth(text) <= WIDTH_MAX) return text;
  let cut = "";
  let width = 0;
  for (const character of text) {
    width += Bun.stringWidth(character);
    if (width >= WIDTH_MAX) break;
    cut += character;
  }
  return `${cut}…`;
}
