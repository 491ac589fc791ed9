/**
 * A cell as text for a terminal: control characters are escaped, so that a stored value cannot control the terminal.
 */
import type { Cell } from "../../store/store.ts";

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The text of a cell; lists and maps are JSON. */
export function visibleText(cell: Exclude<Cell, null>): string {
  return (typeof cell === "object" ? JSON.stringify(cell) : String(cell)).replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds control characters.
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
