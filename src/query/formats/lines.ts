/**
 * Lines of text for scripts: one line per row, without a header. Cells are separated by tabs. NULL is an empty cell.
 * Control characters are escaped, so that a stored value can neither end a line nor control a terminal.
 */
import type { Format } from "./format.ts";
import { visibleText } from "./visible-text.ts";

export const lines: Format = {
  contentType: "text/plain; charset=utf-8",
  async *encode(result) {
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
      yield chunk
        .map((row) => `${row.map((cell) => (cell === null ? "" : visibleText(cell))).join("\t")}\n`)
        .join("");
  },
};
