/**
 * CSV of RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), with a header line and with quotation marks where needed.
 * Unlike the RFC, lines end in LF alone, so that in a shell's pipe the last field does not end in a CR. NULL is an
 * empty field, and an empty text is `""`. Lists and maps are JSON.
 */
import type { Cell } from "../../store/store.ts";
import type { Format } from "./format.ts";

export const csv: Format = {
  contentType: "text/csv; charset=utf-8; header=present",
  async *encode(result) {
    let text = `${result.columns.map(({ name }) => csvField(name)).join(",")}\n`;
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next()) {
      for (const row of chunk) text += `${row.map(csvField).join(",")}\n`;
      yield text;
      text = "";
    }
    if (text !== "") yield text;
  },
};

/** A cell as a field of a line. */
export function csvField(cell: Cell): string {
  if (cell === null) return "";
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
