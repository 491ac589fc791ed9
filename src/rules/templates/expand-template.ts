/**
 * Evaluates the tree of a template, with the semantics and the messages of Go's text/template
 * (https://pkg.go.dev/text/template). A message names the place and quotes the node, because alerts show it.
 *
 * The evaluation is synchronous. If it needs the result of a query that it does not have, it throws `QueryNeeded`; the
 * caller runs the query and begins again. Everything that a text can make longer has a limit.
 */
import { actionText } from "./go-print.ts";
import {
  ANY,
  type GoFunction,
  GoList,
  GoMap,
  type GoParameter,
  type GoSample,
  GoStruct,
  GoObject,
  type GoValue,
  isTrue,
  STRING,
  type TemplateRun,
  typeNameOf,
} from "./go-values.ts";
import { CallError, ExpansionError } from "./template-errors.ts";
import {
  type BodyNode,
  type BranchNode,
  type ChainNode,
  type CommandNode,
  type FieldNode,
  type InvocationNode,
  nodeText,
  type NumberNode,
  type OperandNode,
  type PipeNode,
  type TemplateTree,
  type VariableNode,
} from "./template-tree.ts";

/** One evaluated command, or 64 characters of text. A hundred thousand take some 100 ms. */
const WORK_MAX = 100_000;
/** Characters of the result, and of each text on the way. */
const TEXT_CHARACTERS_MAX = 262_144;
/** Templates that call each other, and nested blocks: the evaluation is recursive. */
const DEPTH_MAX = 500;

/** A query whose result the caller has to add before it begins again. */
export class QueryNeeded extends Error {
  readonly expression: string;

  constructor(expression: string) {
    super(expression);
    this.expression = expression;
  }
}

/** The work that several attempts at one expansion share. */
export interface TemplateWork {
  spent: number;
}

export interface ExpansionInput {
  readonly tree: TemplateTree;
  /** How messages call the template. */
  readonly name: string;
  readonly functions: ReadonlyMap<string, GoFunction>;
  /** The value of `.` and `$`. */
  readonly root: GoValue;
  /** The variables that exist before the text begins, with their dollar signs. */
  readonly variables: ReadonlyMap<string, GoValue>;
  /** Bytes that messages count before the first line of the text. */
  readonly offsetBytes: number;
  readonly timeMs: number;
  readonly externalURL: string;
  /** The results of queries, or why they failed. */
  readonly results: ReadonlyMap<string, readonly GoSample[] | Error>;
  readonly work: TemplateWork;
}

/** The value of the previous command of a pipeline, if there is none. */
const NONE = Symbol("none");
type Final = GoValue | typeof NONE;
/** What ends an iteration of a range early. */
type Exit = "break" | "continue" | undefined;

type AnyNode = BodyNode | OperandNode | CommandNode;

/** @throws ExpansionError, QueryNeeded */
export function expandTree(input: ExpansionInput): string {
  return new Expansion(input).expand();
}

class Expansion implements TemplateRun {
  readonly #input: ExpansionInput;
  readonly #stack: { readonly name: string; value: GoValue }[] = [];
  /** The first variable of the stack that the current template sees. */
  #base = 0;
  #template: string;
  /** Where messages say that they are. */
  #node: AnyNode | undefined;
  #text = "";
  #depth = 0;

  constructor(input: ExpansionInput) {
    this.#input = input;
    this.#template = input.name;
  }

  get timeMs(): number {
    return this.#input.timeMs;
  }

  get externalURL(): string {
    return this.#input.externalURL;
  }

  expand(): string {
    const { root, variables, tree } = this.#input;
    this.#stack.push({ name: "$", value: root });
    for (const [name, value] of variables) this.#stack.push({ name, value });
    this.#walkAll(root, tree.body);
    return this.#text;
  }

  spend(units: number): void {
    const { work } = this.#input;
    work.spent += units;
    if (work.spent > WORK_MAX) this.#fail(`the expansion takes more than ${WORK_MAX} steps`);
  }

  query(expression: string): readonly GoSample[] {
    const result = this.#input.results.get(expression);
    if (result === undefined) throw new QueryNeeded(expression);
    if (result instanceof Error) throw new CallError(result.message);
    this.spend(result.length);
    return result;
  }

  invoke(name: string, dot: GoValue): string {
    const body = this.#input.tree.defined.get(name);
    if (body === undefined) {
      throw new CallError(
        `template: no template ${JSON.stringify(name)} associated with template ${JSON.stringify(this.#input.name)}`,
      );
    }
    const outer = this.#text;
    this.#text = "";
    this.#within(name, dot, body);
    const text = this.#text;
    this.#text = outer;
    return text;
  }

  #fail(message: string): never {
    const { name, tree, offsetBytes } = this.#input;
    const executing = `executing ${JSON.stringify(this.#template)} at`;
    if (this.#node === undefined) throw new ExpansionError(`template: ${name}: ${message}`);
    const before = tree.text.slice(0, this.#node.at);
    const line = before.split("\n").length;
    const inLine = new TextEncoder().encode(before.slice(before.lastIndexOf("\n") + 1)).length;
    const column = inLine + (line === 1 ? offsetBytes : 0);
    const context = nodeText(this.#node);
    throw new ExpansionError(`template: ${name}:${line}:${column}: ${executing} <${context}>: ${message}`);
  }

  #write(text: string): void {
    this.spend(text.length / 64);
    this.#text += this.#limited(text);
    this.#limited(this.#text);
  }

  #limited(text: string): string {
    if (text.length > TEXT_CHARACTERS_MAX) {
      this.#fail(`the text is longer than ${TEXT_CHARACTERS_MAX} characters`);
    }
    return text;
  }

  #deeper<Result>(evaluate: () => Result): Result {
    if (this.#depth >= DEPTH_MAX) this.#fail(`exceeded maximum template depth (${DEPTH_MAX})`);
    this.#depth++;
    const result = evaluate();
    this.#depth--;
    return result;
  }

  /** Expands the body of a defined template, which sees no variable except `$`. */
  #within(name: string, dot: GoValue, body: readonly BodyNode[]): void {
    const [outerName, outerBase, mark] = [this.#template, this.#base, this.#stack.length];
    this.#template = name;
    this.#base = mark;
    this.#stack.push({ name: "$", value: dot });
    this.#deeper(() => this.#walkAll(dot, body));
    this.#stack.length = mark;
    this.#template = outerName;
    this.#base = outerBase;
  }

  #walkAll(dot: GoValue, nodes: readonly BodyNode[]): Exit {
    for (const node of nodes) {
      const exit = this.#walk(dot, node);
      if (exit !== undefined) return exit;
    }
    return undefined;
  }

  #walk(dot: GoValue, node: BodyNode): Exit {
    this.#node = node;
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return undefined;
      case "action": {
        const value = this.#pipeline(dot, node.pipe);
        if (node.pipe.variables.length === 0) {
          this.#node = node;
          this.#write(this.#called("print", () => actionText(value)));
        }
        return undefined;
      }
      case "break":
      case "continue":
        return node.kind;
      case "template":
        this.#invocation(dot, node);
        return undefined;
      default:
        return this.#deeper(() => this.#branch(dot, node));
    }
  }

  #branch(dot: GoValue, node: BranchNode): Exit {
    const mark = this.#stack.length;
    const value = this.#pipeline(dot, node.pipe);
    let exit: Exit;
    if (node.kind === "range") exit = this.#range(dot, node, value);
    else if (isTrue(value)) exit = this.#walkAll(node.kind === "with" ? value : dot, node.body);
    else exit = this.#walkAll(dot, node.otherwise ?? []);
    this.#stack.length = mark;
    return exit;
  }

  #range(dot: GoValue, node: BranchNode, value: GoValue): Exit {
    const mark = this.#stack.length;
    let isEmpty = true;
    for (const [index, element] of this.#elements(value)) {
      isEmpty = false;
      this.spend(1);
      this.#setRange(node.pipe, index, element);
      const exit = this.#walkAll(element, node.body);
      this.#stack.length = mark;
      if (exit === "break") return undefined;
    }
    return isEmpty ? this.#walkAll(dot, node.otherwise ?? []) : undefined;
  }

  *#elements(value: GoValue): Iterable<[GoValue, GoValue]> {
    if (value === undefined) return;
    if (value instanceof GoMap) yield* value.sorted();
    else if (value instanceof GoList) {
      for (let at = 0; at < value.items.length; at++) yield [BigInt(at), value.items[at]];
    } else if (typeof value === "bigint") {
      for (let at = 0n; at < value; at++) yield [at, at];
    } else this.#fail(`range can't iterate over ${actionText(value)}`);
  }

  #setRange({ variables, isAssignment }: PipeNode, index: GoValue, element: GoValue): void {
    const values = variables.length > 1 ? [index, element] : [element];
    variables.forEach((name, at) => {
      if (isAssignment) this.#assign(name, values[at]);
      else this.#stack[this.#stack.length - variables.length + at].value = values[at];
    });
  }

  #invocation(dot: GoValue, node: InvocationNode): void {
    const value = node.pipe === undefined ? undefined : this.#pipeline(dot, node.pipe);
    // The parser has checked that the template is defined.
    this.#within(node.name, value, this.#input.tree.defined.get(node.name)!);
  }

  #assign(name: string, value: GoValue): void {
    for (let at = this.#stack.length - 1; at >= this.#base; at--) {
      if (this.#stack[at].name === name) {
        this.#stack[at].value = value;
        return;
      }
    }
    this.#fail(`undefined variable: ${name}`);
  }

  #variable(name: string): GoValue {
    for (let at = this.#stack.length - 1; at >= this.#base; at--) {
      if (this.#stack[at].name === name) return this.#stack[at].value;
    }
    return this.#fail(`undefined variable: ${name}`);
  }

  /** The value of a pipeline. Variables that it declares stay on the stack. */
  #pipeline(dot: GoValue, pipe: PipeNode): GoValue {
    this.#node = pipe;
    let value: Final = NONE;
    for (const command of pipe.commands) {
      this.spend(1);
      value = this.#command(dot, command, value);
    }
    const result = value as GoValue;
    for (const name of pipe.variables) {
      if (pipe.isAssignment) this.#assign(name, result);
      else this.#stack.push({ name, value: result });
    }
    return result;
  }

  #command(dot: GoValue, command: CommandNode, final: Final): GoValue {
    const { operands } = command;
    const [first] = operands;
    switch (first.kind) {
      case "field":
        return this.#field(dot, first, operands, final);
      case "chain":
        return this.#chain(dot, first, operands, final);
      case "identifier":
        return this.#function(dot, first.name, { node: first, inCommand: command }, operands, final);
      case "variable":
        return this.#variableNode(dot, first, operands, final);
      case "pipe":
        this.#checkNoArguments(operands, final);
        return this.#deeper(() => this.#pipeline(dot, first));
      default:
        this.#node = first;
        this.#checkNoArguments(operands, final);
        if (first.kind === "nil") this.#fail("nil is not a command");
        return first.kind === "dot" ? dot : constantOf(first);
    }
  }

  #checkNoArguments(operands: readonly OperandNode[], final: Final): void {
    if (operands.length > 1 || final !== NONE) {
      this.#fail(`can't give argument to non-function ${nodeText(operands[0])}`);
    }
  }

  #field(dot: GoValue, node: FieldNode, operands: readonly OperandNode[], final: Final): GoValue {
    this.#node = node;
    return this.#path(dot, dot, node, node.names, operands, final);
  }

  #chain(dot: GoValue, node: ChainNode, operands: readonly OperandNode[], final: Final): GoValue {
    this.#node = node;
    const base = this.#argument(dot, ANY, node.base);
    return this.#path(dot, base, node, node.fields, operands, final);
  }

  #variableNode(dot: GoValue, node: VariableNode, operands: readonly OperandNode[], final: Final): GoValue {
    this.#node = node;
    const value = this.#variable(node.name);
    if (node.fields.length === 0) {
      this.#checkNoArguments(operands, final);
      return value;
    }
    return this.#path(dot, value, node, node.fields, operands, final);
  }

  /** `.A.B.C`; if the last one is a method, it gets the arguments. */
  #path(
    dot: GoValue,
    from: GoValue,
    node: AnyNode,
    names: readonly string[],
    operands: readonly OperandNode[],
    final: Final,
  ): GoValue {
    return names.reduce((value, name, at) => {
      const isLast = at === names.length - 1;
      return this.#member(dot, value, name, node, isLast ? operands : [], isLast ? final : NONE);
    }, from);
  }

  #member(
    dot: GoValue,
    value: GoValue,
    name: string,
    node: AnyNode,
    operands: readonly OperandNode[],
    final: Final,
  ): GoValue {
    if (value === undefined) return undefined;
    const method = value instanceof GoObject ? value.method(name) : undefined;
    if (method !== undefined) return this.#call(dot, method, name, node, operands, final);
    const hasArguments = operands.length > 1 || final !== NONE;
    if (value instanceof GoStruct && value.fields.has(name)) {
      if (hasArguments) this.#fail(`${name} has arguments but cannot be invoked as function`);
      return value.fields.get(name);
    }
    if (value instanceof GoMap) {
      if (hasArguments) this.#fail(`${name} is not a method but has arguments`);
      return value.entries.has(name) ? value.entries.get(name) : value.absent;
    }
    return this.#fail(`can't evaluate field ${name} in type ${typeNameOf(value)}`);
  }

  #function(
    dot: GoValue,
    name: string,
    { node, inCommand }: { readonly node: AnyNode; readonly inCommand: AnyNode },
    operands: readonly OperandNode[],
    final: Final,
  ): GoValue {
    this.#node = node;
    if (name === "and" || name === "or") return this.#logic(dot, name, operands, final);
    return this.#call(dot, this.#input.functions.get(name)!, name, inCommand, operands, final);
  }

  /** `and` and `or` evaluate arguments until one decides. */
  #logic(dot: GoValue, name: "and" | "or", operands: readonly OperandNode[], final: Final): GoValue {
    const args = operands.slice(1);
    if (args.length === 0 && final === NONE) {
      this.#fail(`wrong number of args for ${name}: want at least 1 got 0`);
    }
    let value: GoValue;
    for (const each of args) {
      value = this.#argument(dot, ANY, each);
      if (isTrue(value) === (name === "or")) return value;
    }
    return final === NONE ? value : final;
  }

  #call(
    dot: GoValue,
    called: GoFunction,
    name: string,
    node: AnyNode,
    operands: readonly OperandNode[],
    final: Final,
  ): GoValue {
    const { parameters, isVariadic = false } = called;
    const given = operands.slice(1);
    const count = given.length + (final === NONE ? 0 : 1);
    const fixed = parameters.length - 1;
    if (isVariadic && count < fixed) {
      this.#fail(`wrong number of args for ${name}: want at least ${fixed} got ${given.length}`);
    }
    if (!isVariadic && count !== parameters.length) {
      this.#fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`);
    }
    const parameter = (at: number) => parameters[Math.min(at, parameters.length - 1)];
    const args = given.map((each, at) => this.#argument(dot, parameter(at), each));
    if (final !== NONE) args.push(this.#checked(final, parameter(given.length)));
    const result = this.#called(name, () => called.call(args, this), node);
    if (typeof result === "string") this.spend(this.#limited(result).length / 64);
    return result;
  }

  #called<Result>(name: string, call: () => Result, node?: AnyNode): Result {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (node !== undefined) this.#node = node;
      return this.#fail(`error calling ${name}: ${error.message}`);
    }
  }

  #checked(value: GoValue, parameter: GoParameter): GoValue {
    if (value === undefined) {
      return parameter.isNilable ? value : this.#fail(`invalid value; expected ${parameter.name}`);
    }
    if (!parameter.accepts(value)) {
      this.#fail(`wrong type for value; expected ${parameter.name}; got ${typeNameOf(value)}`);
    }
    return value;
  }

  #argument(dot: GoValue, parameter: GoParameter, node: OperandNode): GoValue {
    this.#node = node;
    switch (node.kind) {
      case "dot":
        return this.#checked(dot, parameter);
      case "nil":
        return parameter.isNilable ? undefined : this.#fail(`cannot assign nil to ${parameter.name}`);
      case "field":
        return this.#checked(this.#field(dot, node, [node], NONE), parameter);
      case "variable":
        return this.#checked(this.#variableNode(dot, node, [], NONE), parameter);
      case "pipe":
        return this.#checked(
          this.#deeper(() => this.#pipeline(dot, node)),
          parameter,
        );
      case "identifier":
        return this.#checked(this.#function(dot, node.name, { node, inCommand: node }, [], NONE), parameter);
      case "chain":
        return this.#checked(this.#chain(dot, node, [], NONE), parameter);
      default:
        return this.#constant(node, parameter);
    }
  }

  #constant(node: Constant, parameter: GoParameter): GoValue {
    if (parameter === ANY) return constantOf(node);
    if (parameter !== STRING) this.#fail(`can't handle ${nodeText(node)} for arg of type ${parameter.name}`);
    if (node.kind !== "string") this.#fail(`expected string; found ${nodeText(node)}`);
    return node.value;
  }
}

type Constant = NumberNode | Extract<OperandNode, { readonly kind: "bool" | "string" }>;

function constantOf(node: Constant): GoValue {
  return node.kind === "number" ? (node.integer ?? node.float) : node.value;
}
