/**
 * Parses Go's text/template (https://pkg.go.dev/text/template): actions, pipelines, variables, if, with, range, define,
 * template, block, break and continue. Functions, variables and templates that do not exist are errors here, and not
 * when an alert fires. Complex numbers are not supported. Pure.
 */
import { nearest } from "../../model/nearest.ts";
import { parseFloatStrict, unquoteText } from "../../query/promql/promql-text.ts";
import { TemplateError } from "./template-errors.ts";
import { type TemplateToken, templateTokens, type TemplateTokenType } from "./template-tokens.ts";
import type {
  BodyNode,
  BranchNode,
  CommandNode,
  NumberNode,
  OperandNode,
  PipeNode,
  TemplateTree,
} from "./template-tree.ts";

/** What a template may use. */
export interface TemplateNames {
  readonly functions: ReadonlySet<string>;
  /** With their dollar signs. A defined template has `$` alone. */
  readonly variables: readonly string[];
}

/** Nested parentheses and blocks: the parser is recursive. */
const DEPTH_MAX = 100;
/** The texts of rules have some hundred bytes. */
const TEXT_CHARACTERS_MAX = 65_536;

/** @throws TemplateError with the place of the first error */
export function parseTemplateTree(text: string, names: TemplateNames): TemplateTree {
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw new TemplateError(
      `the template has ${text.length} characters; at most ${TEXT_CHARACTERS_MAX} are supported`,
      text,
      TEXT_CHARACTERS_MAX,
    );
  }
  return new TemplateParser(text, names).parse();
}

/** What ended a list of nodes. */
type End = "end" | "else" | "end of the text";

class TemplateParser {
  readonly #text: string;
  readonly #functions: TemplateNames["functions"];
  readonly #tokens: readonly TemplateToken[];
  readonly #defined = new Map<string, readonly BodyNode[]>();
  readonly #invoked: { readonly name: string; readonly at: number }[] = [];
  #variables: string[];
  #next = 0;
  #rangeDepth = 0;
  #depth = 0;

  constructor(text: string, { functions, variables }: TemplateNames) {
    this.#text = text;
    this.#functions = functions;
    this.#variables = ["$", ...variables];
    this.#tokens = templateTokens(text);
  }

  parse(): TemplateTree {
    const body: BodyNode[] = [];
    for (;;) {
      const end = this.#list(body, true);
      if (end.type === "end of the text") break;
      this.#fail(`unexpected {{${end.type}}}: no if, with or range is open`, end.at);
    }
    const missing = this.#invoked.find(({ name }) => !this.#defined.has(name));
    if (missing !== undefined) {
      this.#fail(`the template ${JSON.stringify(missing.name)} is not defined`, missing.at);
    }
    return { text: this.#text, body, defined: this.#defined };
  }

  #fail(message: string, at: number): never {
    throw new TemplateError(message, this.#text, at);
  }

  #peek(): TemplateToken {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)];
  }

  #take(): TemplateToken {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #peekAfterSpace(): TemplateToken {
    while (this.#peek().type === "space") this.#next++;
    return this.#peek();
  }

  #takeAfterSpace(): TemplateToken {
    this.#peekAfterSpace();
    return this.#take();
  }

  #unexpected({ type, text, at }: TemplateToken, context: string): never {
    const what =
      type === "end of the text" || type === "left delimiter" ? type : JSON.stringify(text.slice(0, 20));
    return this.#fail(`unexpected ${what} in ${context}`, at);
  }

  #expectClose(context: string): void {
    const token = this.#takeAfterSpace();
    if (token.type !== "right delimiter") this.#unexpected(token, context);
  }

  #within<Result>(at: number, parse: () => Result): Result {
    if (this.#depth >= DEPTH_MAX) this.#fail(`more than ${DEPTH_MAX} blocks and parentheses are nested`, at);
    this.#depth++;
    const result = parse();
    this.#depth--;
    return result;
  }

  /** Appends nodes up to an `end` or `else`, which it takes. The token after `else` is not taken yet. */
  #list(body: BodyNode[], isTop = false): { readonly type: End; readonly at: number } {
    for (;;) {
      const token = this.#take();
      if (token.type === "end of the text") return { type: "end of the text", at: token.at };
      if (token.type === "text") {
        body.push({ kind: "text", text: token.text, at: token.at });
        continue;
      }
      const first = this.#peekAfterSpace();
      if (first.type !== "keyword") {
        body.push({ kind: "action", at: first.at, pipe: this.#pipeline("command") });
        continue;
      }
      this.#take();
      if (first.text === "else") return { type: "else", at: first.at };
      if (first.text === "end") {
        this.#expectClose("end");
        return { type: "end", at: first.at };
      }
      if (first.text === "define") {
        if (!isTop) this.#fail("unexpected {{define}}: it must not stand inside of another block", first.at);
        this.#define(first.at);
        continue;
      }
      body.push(this.#within(first.at, () => this.#control(first)));
    }
  }

  #control({ text, at }: TemplateToken): BodyNode {
    switch (text) {
      case "if":
      case "with":
      case "range":
        return this.#branch(text);
      case "break":
      case "continue":
        this.#expectClose(`{{${text}}}`);
        if (this.#rangeDepth === 0) this.#fail(`{{${text}}} outside of {{range}}`, at);
        return { kind: text, at };
      case "block":
        return this.#block();
      default:
        return this.#invocation();
    }
  }

  #branch(kind: BranchNode["kind"]): BranchNode {
    const visible = this.#variables.length;
    const pipe = this.#pipeline(kind);
    const body: BodyNode[] = [];
    if (kind === "range") this.#rangeDepth++;
    const end = this.#list(body);
    if (kind === "range") this.#rangeDepth--;
    const otherwise = end.type === "else" ? this.#otherwise(kind) : undefined;
    if (end.type === "end of the text")
      this.#fail(`unexpected end of the text: expected {{end}} of {{${kind}}}`, end.at);
    this.#variables.length = visible;
    return { kind, at: pipe.at, pipe, body, otherwise };
  }

  /** What follows `else`: a list up to its `end`, or the branch of an `else if` or `else with`, which shares the `end`. */
  #otherwise(kind: BranchNode["kind"]): readonly BodyNode[] {
    const next = this.#peekAfterSpace();
    if (next.type === "keyword" && next.text === kind && kind !== "range") {
      this.#take();
      return [this.#within(next.at, () => this.#branch(kind))];
    }
    this.#expectClose("else");
    const body: BodyNode[] = [];
    const end = this.#list(body);
    if (end.type !== "end")
      this.#fail(`expected {{end}}, found ${end.type === "else" ? "{{else}}" : end.type}`, end.at);
    return body;
  }

  #templateName(context: string): string {
    const token = this.#takeAfterSpace();
    if (token.type !== "string" && token.type !== "raw string") this.#unexpected(token, context);
    return this.#unquote(token);
  }

  /** The body of a definition, which has no variable except `$`. */
  #definition(name: string, at: number): void {
    const variables = this.#variables;
    const rangeDepth = this.#rangeDepth;
    this.#variables = ["$"];
    this.#rangeDepth = 0;
    const body: BodyNode[] = [];
    const end = this.#within(at, () => this.#list(body));
    if (end.type !== "end") this.#fail(`expected {{end}} of the template ${JSON.stringify(name)}`, end.at);
    this.#variables = variables;
    this.#rangeDepth = rangeDepth;
    const isEmpty = (nodes: readonly BodyNode[]) =>
      nodes.every((node) => node.kind === "text" && node.text.trim() === "");
    const other = this.#defined.get(name);
    if (other !== undefined && !isEmpty(other)) {
      if (!isEmpty(body)) this.#fail(`the template ${JSON.stringify(name)} is defined twice`, at);
      return;
    }
    this.#defined.set(name, body);
  }

  #define(at: number): void {
    const name = this.#templateName("define clause");
    this.#expectClose("define clause");
    this.#definition(name, at);
  }

  #block(): BodyNode {
    const { at } = this.#peekAfterSpace();
    const name = this.#templateName("block clause");
    const pipe = this.#pipeline("block clause");
    this.#definition(name, at);
    return { kind: "template", at, name, pipe };
  }

  #invocation(): BodyNode {
    const { at } = this.#peekAfterSpace();
    const name = this.#templateName("template clause");
    this.#invoked.push({ name, at });
    if (this.#peekAfterSpace().type === "right delimiter") {
      this.#take();
      return { kind: "template", at, name };
    }
    return { kind: "template", at, name, pipe: this.#pipeline("template clause") };
  }

  /** Reads a pipeline, and the delimiter or parenthesis that ends it. */
  #pipeline(context: string, end: TemplateTokenType = "right delimiter"): PipeNode {
    const { at } = this.#peekAfterSpace();
    const variables: string[] = [];
    const isAssignment = this.#declarations(variables, context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#peekAfterSpace();
      if (token.type === end) break;
      if (!STARTS_OPERAND.has(token.type)) this.#unexpected(token, context);
      commands.push(this.#command(token.at));
    }
    const { at: endAt } = this.#take();
    if (commands.length === 0) this.#fail(`missing value for ${context}`, endAt);
    commands.forEach(({ operands: [first], at: commandAt }, stage) => {
      if (stage > 0 && CONSTANTS.has(first.kind)) {
        this.#fail(`non executable command in pipeline stage ${stage + 1}`, commandAt);
      }
    });
    return { kind: "pipe", at, variables, isAssignment, commands };
  }

  /** Reads `$x :=`, `$x =` and `$i, $x :=`; whether it is an assignment. */
  #declarations(variables: string[], context: string): boolean {
    for (;;) {
      const token = this.#peekAfterSpace();
      if (token.type !== "variable") {
        if (variables.length > 0 && token.type !== "right delimiter") {
          this.#fail("range can only initialize variables", token.at);
        }
        return false;
      }
      const before = this.#next;
      this.#take();
      const next = this.#peekAfterSpace();
      if (next.type === "assign" || next.type === "declare") {
        this.#take();
        this.#declare(variables, token.text);
        if (next.type === "assign") this.#checkVariable(token, this.#variables.slice(0, -1));
        return next.type === "assign";
      }
      if (next.type !== "character" || next.text !== ",") {
        this.#next = before;
        return false;
      }
      this.#take();
      this.#declare(variables, token.text);
      if (context !== "range" || variables.length >= 2) {
        this.#fail(`too many declarations in ${context}`, next.at);
      }
    }
  }

  #declare(variables: string[], name: string): void {
    variables.push(name);
    this.#variables.push(name);
  }

  #checkVariable({ text, at }: TemplateToken, visible: readonly string[] = this.#variables): void {
    if (visible.includes(text)) return;
    const others = visible.filter((name) => name !== "$");
    const hint =
      others.length === 0 ? "" : `; there ${others.length === 1 ? "is" : "are"} ${others.join(", ")}`;
    this.#fail(`undefined variable ${JSON.stringify(text)}${hint}`, at);
  }

  #checkFunction(name: string, at: number): void {
    if (this.#functions.has(name)) return;
    const near = nearest(name, this.#functions, Math.floor(name.length / 3));
    const hint = near === undefined ? "" : `: did you mean ${near}?`;
    this.#fail(`function ${JSON.stringify(name)} not defined${hint}`, at);
  }

  #command(at: number): CommandNode {
    const operands: OperandNode[] = [];
    for (;;) {
      this.#peekAfterSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#peek();
      if (token.type === "space") continue;
      if (token.type === "pipe") this.#take();
      else if (token.type !== "right delimiter" && token.type !== "right parenthesis") {
        this.#unexpected(token, "operand");
      }
      break;
    }
    if (operands.length === 0) this.#fail("empty command", at);
    return { kind: "command", at, operands };
  }

  /** A term with the fields that follow it without a space. Undefined if the next token is not a term. */
  #operand(): OperandNode | undefined {
    const term = this.#term();
    if (term === undefined) return undefined;
    const { at, type } = this.#peek();
    if (type !== "field") return term;
    const fields: string[] = [];
    while (this.#peek().type === "field") fields.push(this.#take().text.slice(1));
    switch (term.kind) {
      case "field":
        return { ...term, at, names: [...term.names, ...fields] };
      case "variable":
        return { ...term, at, fields };
      case "pipe":
      case "identifier":
        return { kind: "chain", at, base: term, fields };
      default:
        return this.#fail(`unexpected . after ${term.kind === "dot" ? "." : `a ${term.kind}`}`, at);
    }
  }

  #term(): OperandNode | undefined {
    const token = this.#peek();
    const { at, text } = token;
    if (!STARTS_OPERAND.has(token.type)) return undefined;
    this.#take();
    switch (token.type) {
      case "identifier":
        this.#checkFunction(text, at);
        return { kind: "identifier", at, name: text };
      case "dot":
        return { kind: "dot", at };
      case "nil":
        return { kind: "nil", at };
      case "bool":
        return { kind: "bool", at, value: text === "true" };
      case "variable":
        this.#checkVariable(token);
        return { kind: "variable", at, start: at, name: text, fields: [] };
      case "field":
        return { kind: "field", at, start: at, names: [text.slice(1)] };
      case "number":
      case "character constant":
        return this.#number(token);
      case "string":
      case "raw string":
        return { kind: "string", at, quoted: text, value: this.#unquote(token) };
      default:
        return this.#within(at, () => this.#parenthesized());
    }
  }

  #parenthesized(): PipeNode {
    return this.#pipeline("parenthesized pipeline", "right parenthesis");
  }

  #unquote({ text, at }: TemplateToken): string {
    const value = unquoteText(text);
    if (value === undefined) this.#fail(`invalid syntax of the string ${text.slice(0, 40)}`, at);
    // Carriage returns of raw strings do not count in Go.
    return text.startsWith("`") ? value.replaceAll("\r", "") : value;
  }

  #number({ type, text, at }: TemplateToken): NumberNode {
    if (type === "character constant") {
      const value = unquoteText(text);
      if (value === undefined || [...value].length !== 1) {
        this.#fail(`malformed character constant: ${text.slice(0, 20)}`, at);
      }
      const code = value.codePointAt(0)!;
      return { kind: "number", at, text, integer: BigInt(code), float: code };
    }
    const integer = integerOf(text);
    if (integer !== undefined) {
      if (BigInt.asIntN(64, integer) !== integer) this.#fail(`${text} overflows int`, at);
      return { kind: "number", at, text, integer, float: Number(integer) };
    }
    const float = /^[+-]?[\d.]/.test(text) && !/^[+-]?0[xX]/.test(text) ? parseFloatStrict(text) : undefined;
    if (float === undefined || !Number.isFinite(float)) {
      this.#fail(`bad number syntax: ${JSON.stringify(text.slice(0, 40))}`, at);
    }
    return { kind: "number", at, text, float };
  }
}

/** An integer as Go writes it: decimal, 0x, 0b, 0o and 0, with underscores between digits. */
function integerOf(text: string): bigint | undefined {
  const match =
    /^([+-]?)(0[xX]_?[\da-fA-F](?:_?[\da-fA-F])*|0[bB]_?[01](?:_?[01])*|0[oO]?_?[0-7](?:_?[0-7])*|0|[1-9](?:_?\d)*)$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, sign, written] = match;
  const digits = written.replaceAll("_", "");
  const value = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === "-" ? -value : value;
}

const STARTS_OPERAND: ReadonlySet<TemplateTokenType> = new Set<TemplateTokenType>([
  "bool",
  "character constant",
  "dot",
  "field",
  "identifier",
  "left parenthesis",
  "nil",
  "number",
  "raw string",
  "string",
  "variable",
]);

/** They cannot take the value of the pipeline as an argument. */
const CONSTANTS: ReadonlySet<OperandNode["kind"]> = new Set<OperandNode["kind"]>([
  "bool",
  "dot",
  "nil",
  "number",
  "string",
]);
