/**
 * Text → syntax tree, checked. The grammar is Prometheus's own (lezer-promql); it was made for editors and
 * takes more than PromQL allows, so that the rules of upstream's parser are applied on the way:
 * - what follows an expression (`[5m]`, `offset`, `@`) belongs to the operand just before it, which the grammar
 *   hangs on the whole expression instead (see `attach`);
 * - a signed number before `^` is a sign before the power: `-2 ^ 2` is -4.
 */
import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { ParseError } from "../errors.ts";
import { isLabelName } from "../labels.ts";
import { quoteText, unquoteText } from "../text.ts";
import type {
  Aggregation,
  BinaryExpr,
  BinaryOperator,
  Cardinality,
  Expr,
  NumberLiteral,
  Span,
  VectorMatching,
} from "./ast.ts";
import { checkNode, type Fail, failIn, typeOf } from "./check.ts";
import { durationOf, numberOf } from "./durations.ts";
import { UNSUPPORTED_FUNCTIONS } from "./functions.ts";
import { attach, type Postfix } from "./postfix.ts";
import { selectorOf } from "./selector.ts";
import { firstError, unsupportedWord } from "./syntax-error.ts";

/** What nobody types by hand, and what the tree walks could not go down without limit. */
const TEXT_LENGTH_MAX = 128 * 1024;
const DEPTH_MAX = 200;

const EXPERIMENTAL_SYNTAX: Record<string, string> = {
  AnchoredExpr: "the modifier `anchored`",
  SmoothedExpr: "the modifier `smoothed`",
  FillModifier: "the modifier `fill`",
  TrimUpper: "the operator `</` for native histograms",
  TrimLower: "the operator `>/` for native histograms",
};

/**
 * Parses and checks an expression; throws ParseError with line and column.
 *
 * @param mayFindAll takes selectors whose matchers are all met where there is no label, for who means every series
 */
export function parse(text: string, mayFindAll = false): Expr {
  if (text.trim() === "") throw failIn(text)({ from: 0, to: 0 }, "no expression found in input");
  if (text.length > TEXT_LENGTH_MAX) {
    throw new ParseError(
      `the query has ${text.length} characters, at most ${TEXT_LENGTH_MAX} are read`,
      "query",
    );
  }
  const fail = failIn(text);
  const tree = parser.parse(withoutTrailingPoints(text));
  const problem = firstError(tree.topNode, text);
  if (problem !== undefined) throw fail(problem.span, problem.message);
  const root = tree.topNode.firstChild;
  if (root === null) throw fail({ from: 0, to: 0 }, "no expression found in input");
  return new Reader(text, fail, mayFindAll).read(root, 0);
}

/** The grammar knows no `2.`: the point becomes a blank, so that all else stays where it is. */
function withoutTrailingPoints(text: string): string {
  const pieces = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|(?<![\w.])(\d+)\.(?![\w.])/g;
  return text.replace(pieces, (piece, digits) => (digits === undefined ? piece : `${digits} `));
}

class Reader {
  readonly #text: string;
  readonly #fail: Fail;

  readonly #mayFindAll: boolean;

  constructor(text: string, fail: Fail, mayFindAll: boolean) {
    this.#text = text;
    this.#fail = fail;
    this.#mayFindAll = mayFindAll;
  }

  read(node: SyntaxNode, depth: number): Expr {
    if (depth > DEPTH_MAX) {
      throw this.#fail(spanOf(node), `expressions may be nested ${DEPTH_MAX} deep at most`);
    }
    const expr = this.#convert(node, depth + 1);
    if (expr.type !== "vectorSelector" || !this.#mayFindAll) checkNode(expr, this.#fail);
    return expr;
  }

  #convert(node: SyntaxNode, depth: number): Expr {
    const span = spanOf(node);
    switch (node.name) {
      case "NumberDurationLiteral":
        return this.#number(node);
      case "StringLiteral":
        return { type: "stringLiteral", span, value: this.#string(node) };
      case "VectorSelector":
        return selectorOf(node, this.#text, this.#fail);
      case "ParenExpr":
        return { type: "parenExpr", span, expr: this.read(operands(node)[0], depth) };
      case "UnaryExpr":
        return this.#unary(node, depth);
      case "BinaryExpr":
        return this.#binary(node, depth);
      case "AggregateExpr":
        return this.#aggregation(node, depth);
      case "FunctionCall":
        return this.#call(node, depth);
      case "MatrixSelector":
      case "SubqueryExpr":
      case "OffsetExpr":
      case "StepInvariantExpr":
        return attach(this.read(operands(node)[0], depth), this.#postfix(node), this.#fail);
      default:
        throw unsupportedWord(EXPERIMENTAL_SYNTAX[node.name] ?? `\`${this.#slice(node)}\``);
    }
  }

  #slice(node: SyntaxNode): string {
    return this.#text.slice(node.from, node.to);
  }

  #string(node: SyntaxNode): string {
    const value = unquoteText(this.#slice(node));
    if (value === undefined) {
      throw this.#fail(spanOf(node), `invalid or unterminated quoted string ${quoteText(this.#slice(node))}`);
    }
    return value;
  }

  #number(node: SyntaxNode): NumberLiteral {
    const { value, duration } = numberOf(this.#slice(node), spanOf(node), this.#fail);
    return { type: "numberLiteral", span: spanOf(node), value, duration };
  }

  #unary(node: SyntaxNode, depth: number): Expr {
    const op = this.#text[node.from] as "+" | "-";
    const expr = this.read(operands(node)[0], depth);
    if (expr.type === "numberLiteral") {
      return { ...expr, span: spanOf(node), value: op === "-" ? -expr.value : expr.value };
    }
    return { type: "unaryExpr", span: spanOf(node), op, expr };
  }

  #binary(node: SyntaxNode, depth: number): Expr {
    const [left, right] = operands(node);
    const operator = childrenOfNode(node).find((child) => child.from >= left.to)!;
    if (EXPERIMENTAL_SYNTAX[operator.name]) throw unsupportedWord(EXPERIMENTAL_SYNTAX[operator.name]);
    if (node.getChild("FillModifier")) throw unsupportedWord(EXPERIMENTAL_SYNTAX.FillModifier);
    const op = this.#slice(operator).toLowerCase() as BinaryOperator;
    const lhs = this.read(left, depth);
    const rhs = this.read(right, depth);
    const bool = node.getChild("BoolModifier") !== null;
    const clause = node.getChild("MatchingModifierClause");
    const vectors = typeOf(lhs) === "vector" && typeOf(rhs) === "vector";
    const matching = clause !== null || vectors ? this.#matching(clause, op, spanOf(node)) : undefined;
    const expr: BinaryExpr = { type: "binaryExpr", span: spanOf(node), op, lhs, rhs, bool, matching };
    if (op === "^" && lhs.type === "numberLiteral" && /^[+-]/.test(this.#slice(left))) {
      const positive = { ...lhs, value: Math.abs(lhs.value) };
      checkNode(expr, this.#fail);
      const sign = this.#text[left.from] as "+" | "-";
      return { type: "unaryExpr", span: spanOf(node), op: sign, expr: { ...expr, lhs: positive } };
    }
    return expr;
  }

  #matching(clause: SyntaxNode | null, op: BinaryOperator, span: Span): VectorMatching {
    const isSet = op === "and" || op === "or" || op === "unless";
    if (clause === null) {
      return { card: isSet ? "many-to-many" : "one-to-one", labels: [], on: false, include: [] };
    }
    const lists = clause.getChildren("GroupingLabels").map((list) => this.#labelNames(list));
    const left = clause.getChild("GroupLeft");
    const right = clause.getChild("GroupRight");
    if (isSet && (left || right)) {
      throw this.#fail(span, `no grouping allowed for ${quoteText(op)} operation`);
    }
    const grouped: Cardinality = left ? "many-to-one" : right ? "one-to-many" : "one-to-one";
    return {
      card: isSet ? "many-to-many" : grouped,
      labels: lists[0] ?? [],
      on: clause.getChild("On") !== null,
      include: lists[1] ?? [],
    };
  }

  #labelNames(list: SyntaxNode): string[] {
    return childrenOfNode(list).map((child) => {
      const name = child.name === "LabelName" ? this.#slice(child) : this.#string(child);
      if (!isLabelName(name)) throw this.#fail(spanOf(child), `invalid label name ${quoteText(name)}`);
      return name;
    });
  }

  #aggregation(node: SyntaxNode, depth: number): Expr {
    const span = spanOf(node);
    const op = this.#slice(node.getChild("AggregateOp")!).toLowerCase() as Aggregation;
    const modifier = node.getChild("AggregateModifier");
    const list = modifier?.getChild("GroupingLabels");
    const args = operands(node.getChild("FunctionCallBody")!).map((arg) => this.read(arg, depth));
    const wanted = ["topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"].includes(op)
      ? 2
      : 1;
    if (args.length === 0) throw this.#fail(span, "no arguments for aggregate expression provided");
    if (args.length !== wanted) {
      throw this.#fail(
        span,
        `wrong number of arguments for aggregate expression provided, expected ${wanted}, got ${args.length}`,
      );
    }
    return {
      type: "aggregation",
      span,
      op,
      expr: args[wanted - 1],
      param: wanted === 2 ? args[0] : undefined,
      grouping: list ? this.#labelNames(list) : [],
      without: modifier?.getChild("Without") != null,
    };
  }

  #call(node: SyntaxNode, depth: number): Expr {
    const name = this.#slice(node.getChild("FunctionIdentifier")!);
    const why = UNSUPPORTED_FUNCTIONS.get(name);
    if (why !== undefined) throw unsupportedWord(`${name}()`, why);
    const args = operands(node.getChild("FunctionCallBody")!).map((arg) => this.read(arg, depth));
    return { type: "call", span: spanOf(node), name, args };
  }

  #postfix(node: SyntaxNode): Postfix {
    const span = spanOf(node);
    if (node.name === "OffsetExpr") {
      const offset = node.getChild("OffsetDurationExpr")!;
      return { kind: "offset", span, offsetMs: durationOf(offset, this.#text, this.#fail) };
    }
    if (node.name === "StepInvariantExpr") {
      const word = node.getChild("AtModifierPreprocessors");
      if (word !== null) return { kind: "at", span, at: word.getChild("AtStart") ? "start" : "end" };
      const time = node.getChildren("NumberDurationLiteral").at(-1)!;
      const { value } = this.#number(time);
      if (!Number.isFinite(value) || Math.abs(value) > 1e15) {
        throw this.#fail(spanOf(time), `timestamp out of bounds for @ modifier: ${this.#slice(time)}`);
      }
      return { kind: "at", span, at: Math.round(value * 1000) };
    }
    const durations = node
      .getChildren("DurationExpr")
      .map((each) => ({ span: spanOf(each), ms: durationOf(each, this.#text, this.#fail) }));
    for (const each of durations) {
      if (each.ms <= 0) throw this.#fail(each.span, "duration must be greater than 0");
    }
    const [range, step] = durations.map((each) => each.ms);
    return node.name === "MatrixSelector"
      ? { kind: "range", span, rangeMs: range }
      : { kind: "subquery", span, rangeMs: range, stepMs: step };
  }
}

const EXPRESSIONS = new Set([
  "AggregateExpr",
  "BinaryExpr",
  "FunctionCall",
  "MatrixSelector",
  "NumberDurationLiteral",
  "OffsetExpr",
  "AnchoredExpr",
  "SmoothedExpr",
  "ParenExpr",
  "StringLiteral",
  "SubqueryExpr",
  "UnaryExpr",
  "VectorSelector",
  "StepInvariantExpr",
]);

function operands(node: SyntaxNode): SyntaxNode[] {
  return childrenOfNode(node).filter((child) => EXPRESSIONS.has(child.name));
}

function childrenOfNode(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== "LineComment") children.push(child);
  }
  return children;
}

function spanOf(node: SyntaxNode): Span {
  return { from: node.from, to: node.to };
}
