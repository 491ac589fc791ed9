/** Finds the lines of a TOML text at which tables and keys stand, which its parser does not report. Pure. */

/** Where a value is: names of keys, and indexes in lists of tables, as in `["row", 0, "panel", 1, "unit"]`. */
export type TomlPath = readonly (string | number)[];

const HEADER = /^\s*\[\[?\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*\]\]?/;
const KEY = /^\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*(?:\.[^=]*)?=/;

export class TomlLines {
  readonly #lines = new Map<string, number>();

  constructor(text: string) {
    /** How many tables of each list were begun, by the path of the list. */
    const counts = new Map<string, number>();
    let table: TomlPath = [];
    let quotes: string | undefined;
    for (const [at, line] of text.split("\n").entries()) {
      const isWithinText = quotes !== undefined;
      for (const [mark] of line.matchAll(/"""|'''/g)) {
        if (quotes === undefined) quotes = mark;
        else if (quotes === mark) quotes = undefined;
      }
      if (isWithinText) continue;
      const header = HEADER.exec(line);
      if (header !== null) {
        table = this.#tableOf(header[1]!.split(/\s*\.\s*/), line.trimStart().startsWith("[["), counts);
        this.#note(table, at + 1);
        continue;
      }
      const [key, ...names] = KEY.exec(line) ?? [];
      if (key !== undefined) this.#note([...table, names.find((name) => name !== undefined)!], at + 1);
    }
  }

  /** The line of a value, or that of the nearest table around it. */
  lineOf(path: TomlPath): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(path.slice(0, length).join("\n"));
      if (line !== undefined) return line;
    }
    return 1;
  }

  #tableOf(names: readonly string[], isList: boolean, counts: Map<string, number>): TomlPath {
    const path: (string | number)[] = [];
    for (const [at, name] of names.entries()) {
      path.push(name);
      const key = path.join("\n");
      const isLast = at === names.length - 1;
      if (isLast && isList) counts.set(key, (counts.get(key) ?? -1) + 1);
      const index = counts.get(key);
      if (index === undefined) continue;
      path.push(index);
    }
    return path;
  }

  #note(path: TomlPath, line: number): void {
    const key = path.join("\n");
    if (!this.#lines.has(key)) this.#lines.set(key, line);
  }
}
