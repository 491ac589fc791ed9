/**
 * The errors of templates. An error of the text is found when it is parsed, and names the line and the column. An error
 * of an expansion has Go's message, with the name of the template and the place.
 */

/** The text is not a template, or uses something that is not supported. */
export class TemplateError extends Error {
  /** The place in the text of the template, both from 1. Columns count characters. */
  readonly line: number;
  readonly column: number;

  constructor(message: string, text: string, at: number) {
    super(message);
    this.name = new.target.name;
    const before = text.slice(0, at).split("\n");
    this.line = before.length;
    this.column = [...before.at(-1)!].length + 1;
  }
}

/** An expansion failed: a function, a query, a field that a value does not have, or a limit. */
export class ExpansionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** A function cannot do what it is asked. The caller adds its name and the place. */
export class CallError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}
