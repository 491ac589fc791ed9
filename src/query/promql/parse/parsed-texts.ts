/** Remembers the syntax trees of texts: rules and dashboards send the same texts again and again. */
import type { Expr } from "./ast.ts";
import { parse } from "./parse.ts";

/** A tree takes some 2 kB, with the programs of its regular expressions. */
const TEXTS_MAX = 5_000;
/** Longer texts are parsed each time. */
const TEXT_LENGTH_MAX = 4_096;

export class ParsedTexts {
  readonly #trees = new Map<string, Expr>();

  /** As `parse`. The tree is shared, and must not be changed. */
  readonly parse = (text: string): Expr => {
    const known = this.#trees.get(text);
    if (known !== undefined) return known;
    const tree = parse(text);
    if (text.length > TEXT_LENGTH_MAX) return tree;
    if (this.#trees.size >= TEXTS_MAX) this.#trees.clear();
    this.#trees.set(text, tree);
    return tree;
  };
}
