/**
 * Collects the lines of a terminal until they are statements: a statement ends with a semicolon that is not in a text, a quoted
 * name or a comment, as in psql.
 */
export class StatementBuffer {
  #text = "";

  /** Whether a statement has begun and has no end yet. */
  get isPending(): boolean {
    return this.#text.trim() !== "";
  }

  /** What was typed of the statement that has no end yet. */
  get pending(): string {
    return this.#text;
  }

  /** Adds a line, and returns the statements that are complete with it, without their semicolons. */
  add(line: string): string[] {
    this.#text += `${line}\n`;
    const statements: string[] = [];
    for (let end = endOf(this.#text); end !== undefined; end = endOf(this.#text)) {
      const statement = this.#text.slice(0, end).trim();
      if (statement !== "") statements.push(statement);
      this.#text = this.#text.slice(end + 1);
    }
    if (isBlank(this.#text)) this.#text = "";
    return statements;
  }

  clear(): void {
    this.#text = "";
  }
}

/** A text, a quoted name, a text between dollar signs, or a comment; also one without its end. */
const SKIPPED =
  /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|(\$\w*\$)[\s\S]*?(?:\1|$(?![\s\S]))|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$(?![\s\S]))|;/g;

/** The position of the first semicolon that ends a statement. */
function endOf(text: string): number | undefined {
  for (const match of text.matchAll(SKIPPED)) if (match[0] === ";") return match.index;
  return undefined;
}

/** Whether a text has nothing but spaces and comments of a line. */
function isBlank(text: string): boolean {
  return text.replaceAll(/--[^\n]*\n/g, "").trim() === "";
}
