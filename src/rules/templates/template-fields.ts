/**
 * Checks the fields that a template uses of its data, where the text alone says what they are: after `.` outside of
 * `with`, `range` and `define`, after `$`, and after the variables that exist from the start. `.labels` instead of
 * `.Labels` is then an error of the file, and not of the alert. Pure.
 */
import { TemplateError } from "./template-errors.ts";
import type { BodyNode, OperandNode, PipeNode, TemplateTree } from "./template-tree.ts";

/** A field of the data: a map has any key, texts and numbers have no fields, and `any` is not checked further. */
export type FieldShape = "map" | "text" | "number" | "any";

/** @throws TemplateError for the first field that does not exist */
export function checkFields(
  tree: TemplateTree,
  fields: Readonly<Record<string, FieldShape>>,
  variables: Readonly<Record<string, string>>,
): void {
  new FieldCheck(tree.text, fields, variables).body(tree.body, true);
}

class FieldCheck {
  readonly #text: string;
  readonly #fields: Readonly<Record<string, FieldShape>>;
  /** The variables whose values are still those of the data. */
  readonly #known: Map<string, string>;

  constructor(
    text: string,
    fields: Readonly<Record<string, FieldShape>>,
    variables: Readonly<Record<string, string>>,
  ) {
    this.#text = text;
    this.#fields = fields;
    this.#known = new Map(Object.entries(variables));
  }

  /** @param isRoot whether `.` is the data */
  body(nodes: readonly BodyNode[], isRoot: boolean): void {
    for (const node of nodes) {
      if ("pipe" in node && node.pipe !== undefined) this.#pipe(node.pipe, isRoot);
      if (!("body" in node)) continue;
      this.body(node.body, isRoot && node.kind === "if");
      this.body(node.otherwise ?? [], isRoot);
    }
  }

  #pipe(pipe: PipeNode, isRoot: boolean): void {
    for (const { operands } of pipe.commands) for (const each of operands) this.#operand(each, isRoot);
    // From here on it can be anything.
    for (const name of pipe.variables) this.#known.delete(name);
  }

  #operand(node: OperandNode, isRoot: boolean): void {
    switch (node.kind) {
      case "pipe":
        this.#pipe(node, isRoot);
        break;
      case "chain":
        if (node.base.kind === "pipe") this.#pipe(node.base, isRoot);
        break;
      case "field":
        if (isRoot) this.#path(node.names, node.start);
        break;
      case "variable": {
        if (node.name === "$") this.#path(node.fields, node.start);
        const field = this.#known.get(node.name);
        if (field !== undefined) this.#path([field, ...node.fields], node.start, node.name);
        break;
      }
    }
  }

  #path([name, ...rest]: readonly string[], at: number, shown = `.${name}`): void {
    if (name === undefined) return;
    if (!Object.hasOwn(this.#fields, name)) {
      const all = Object.keys(this.#fields).map((each) => `.${each}`);
      throw new TemplateError(`unknown field ${shown}: expected ${all.join(", ")}`, this.#text, at);
    }
    const shape = this.#fields[name];
    if (shape === "any") return;
    if (shape !== "map" && rest.length > 0) {
      throw new TemplateError(`${shown} is a ${shape} and has no field .${rest[0]}`, this.#text, at);
    }
    if (rest.length > 1) {
      throw new TemplateError(`${shown}.${rest[0]} is a text and has no field .${rest[1]}`, this.#text, at);
    }
  }
}
