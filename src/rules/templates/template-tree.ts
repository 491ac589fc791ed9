/**
 * The syntax tree of a template: https://pkg.go.dev/text/template/parse. Every node knows where it begins in the text,
 * because errors name the place. `nodeText` prints a node as Go does, for the same reason. Pure.
 */
import { quoteText } from "../../query/promql/promql-text.ts";

/** Where a node begins: an index into the text of the template. */
interface Placed {
  readonly at: number;
}

export interface NumberNode extends Placed {
  readonly kind: "number";
  readonly text: string;
  /** Set if the number is an integer for Go: `1`, `0x1f`, `'a'`; not `1.0`. */
  readonly integer?: bigint;
  readonly float: number;
}

/** `.A.B`. Go's messages place a chain at its second part; `start` is its first. */
export interface FieldNode extends Placed {
  readonly kind: "field";
  readonly start: number;
  readonly names: readonly string[];
}

/** `$x.A.B`; the name contains the dollar sign. */
export interface VariableNode extends Placed {
  readonly kind: "variable";
  readonly start: number;
  readonly name: string;
  readonly fields: readonly string[];
}

/** `(pipeline).A.B` or `function.A` */
export interface ChainNode extends Placed {
  readonly kind: "chain";
  readonly base: PipeNode | IdentifierNode;
  readonly fields: readonly string[];
}

export interface IdentifierNode extends Placed {
  readonly kind: "identifier";
  readonly name: string;
}

export interface PipeNode extends Placed {
  readonly kind: "pipe";
  /** The variables that it declares or assigns. */
  readonly variables: readonly string[];
  readonly isAssignment: boolean;
  readonly commands: readonly CommandNode[];
}

export interface CommandNode extends Placed {
  readonly kind: "command";
  readonly operands: readonly OperandNode[];
}

export type OperandNode =
  | PipeNode
  | FieldNode
  | VariableNode
  | ChainNode
  | IdentifierNode
  | NumberNode
  | (Placed & { readonly kind: "dot" })
  | (Placed & { readonly kind: "nil" })
  | (Placed & { readonly kind: "bool"; readonly value: boolean })
  | (Placed & { readonly kind: "string"; readonly quoted: string; readonly value: string });

export interface BranchNode extends Placed {
  readonly kind: "if" | "with" | "range";
  readonly pipe: PipeNode;
  readonly body: readonly BodyNode[];
  readonly otherwise?: readonly BodyNode[];
}

/** `{{ template "name" pipeline }}` */
export interface InvocationNode extends Placed {
  readonly kind: "template";
  readonly name: string;
  readonly pipe?: PipeNode;
}

export type BodyNode =
  | (Placed & { readonly kind: "text"; readonly text: string })
  | (Placed & { readonly kind: "action"; readonly pipe: PipeNode })
  | (Placed & { readonly kind: "break" | "continue" })
  | BranchNode
  | InvocationNode;

/** A text with the templates that it defines. */
export interface TemplateTree {
  readonly text: string;
  readonly body: readonly BodyNode[];
  readonly defined: ReadonlyMap<string, readonly BodyNode[]>;
}

/** Prints a node as Go's messages quote it. */
export function nodeText(node: BodyNode | OperandNode | CommandNode): string {
  switch (node.kind) {
    case "text":
      return node.text;
    case "action":
      return `{{${nodeText(node.pipe)}}}`;
    case "break":
    case "continue":
      return `{{${node.kind}}}`;
    case "template":
      return `{{template ${quoteText(node.name)}${node.pipe === undefined ? "" : ` ${nodeText(node.pipe)}`}}}`;
    case "if":
    case "with":
    case "range": {
      const body = node.body.map(nodeText).join("");
      const otherwise =
        node.otherwise === undefined ? "" : `{{else}}${node.otherwise.map(nodeText).join("")}`;
      return `{{${node.kind} ${nodeText(node.pipe)}}}${body}${otherwise}{{end}}`;
    }
    case "pipe": {
      const declared = node.variables.length === 0 ? "" : `${node.variables.join(", ")} := `;
      return declared + node.commands.map(nodeText).join(" | ");
    }
    case "command":
      return node.operands
        .map((each) => (each.kind === "pipe" ? `(${nodeText(each)})` : nodeText(each)))
        .join(" ");
    case "field":
      return node.names.map((name) => `.${name}`).join("");
    case "variable":
      return [node.name, ...node.fields].join(".");
    case "chain": {
      const base = node.base.kind === "pipe" ? `(${nodeText(node.base)})` : nodeText(node.base);
      return [base, ...node.fields].join(".");
    }
    case "identifier":
      return node.name;
    case "number":
      return node.text;
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "bool":
      return String(node.value);
    case "string":
      return node.quoted;
  }
}
