/**
 * Text → syntax tree, checked. A recursive descent by upstream's grammar (promql/parser/generated_parser.y): what is
 * allowed where, the precedence of operators, and which keywords can be names. Types are checked after the text is
 * read.
 */
import { ParseError, unsupportedWord } from "../query-errors.ts";
import { isLabelName } from "../labels.ts";
import { quoteText } from "../promql-text.ts";
import {
  type AggregateExpr,
  type Aggregation,
  type BinaryExpr,
  type BinaryOperator,
  type Cardinality,
  childrenOf,
  type Expr,
  isSetOperator,
  type Span,
  type VectorMatching,
} from "./ast.ts";
import { checkNode, type Fail, failIn, typeOf } from "./check-types.ts";
import { signatureOf, UNSUPPORTED_FUNCTIONS } from "./functions.ts";
import { numberOf, stringOf } from "./literals.ts";
import { readPostfix } from "./postfix.ts";
import { readSelector } from "./selector.ts";
import { isWord, TokenReader } from "./token-reader.ts";
import {
  AGGREGATORS,
  CALLED_KEYWORDS,
  FILL_MODIFIERS,
  isLabelToken,
  isMetricName,
  type Token,
  WORD_OPERATORS,
} from "./tokens.ts";

/** Nobody types this much by hand, and the recursive tree walks need a limit. */
const TEXT_LENGTH_MAX = 128 * 1024;
const DEPTH_MAX = 200;

const WITH_PARAMETER: ReadonlySet<string> = new Set([
  "topk",
  "bottomk",
  "count_values",
  "quantile",
  "limitk",
  "limit_ratio",
]);

const PRECEDENCES: Readonly<Record<string, number>> = {
  ...{ or: 1, and: 2, unless: 2 },
  ...{ "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "</": 3, ">/": 3 },
  ...{ "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, atan2: 5, "^": 6 },
};
/** A sign has the precedence of a product: `-2 ^ 2` is -4. */
const SIGN_PRECEDENCE = 5;

/**
 * Parses and checks an expression; throws ParseError with line and column.
 *
 * @param mayFindAll accepts selectors that match every series, such as `{job=~".*"}`
 */
export function parse(text: string, mayFindAll = false): Expr {
  if (text.length > TEXT_LENGTH_MAX) {
    throw new ParseError(
      `the query has ${text.length} characters, at most ${TEXT_LENGTH_MAX} are accepted`,
      "query",
    );
  }
  const fail = failIn(text);
  const expr = new Parser(text, fail).run();
  check(expr, fail, mayFindAll);
  return expr;
}

/** Checks the nodes of a tree, children before parents. */
function check(expr: Expr, fail: Fail, mayFindAll: boolean): void {
  for (const child of childrenOf(expr)) check(child, fail, mayFindAll);
  if (expr.type !== "vectorSelector" || !mayFindAll) checkNode(expr, fail);
}

class Parser {
  readonly #text: string;
  readonly #fail: Fail;
  readonly #reader: TokenReader;
  /** The innermost construct, which upstream names in its errors. */
  #context: string | undefined;
  /** The depth of the tree below each node. */
  readonly #depths = new WeakMap<Expr, number>();

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.#fail = fail;
    this.#reader = new TokenReader(text, fail);
  }

  run(): Expr {
    const first: Token = this.#reader.next;
    if (first.type === "end") throw this.#fail({ from: 0, to: 0 }, "no expression found in input");
    const expr = this.#expression(1, 0);
    const last: Token = this.#reader.next;
    if (last.type !== "end") this.#reader.unexpected();
    return expr;
  }

  #expression(precedenceMin: number, depth: number): Expr {
    this.#checkDepth(depth);
    let lhs = this.#signed(depth);
    for (;;) {
      const operator = this.#reader.next;
      const isOperator = operator.type === "operator" || WORD_OPERATORS.has(operator.text);
      const precedence = isOperator && operator.type !== "identifier" ? (PRECEDENCES[operator.text] ?? 0) : 0;
      if (precedence < precedenceMin) return lhs;
      this.#reader.take();
      if (operator.text.endsWith("/") && operator.text !== "/")
        throw unsupportedWord(`the operator \`${operator.text}\` for native histograms`);
      const modifiers = this.#modifiers();
      const rhs = this.#expression(operator.text === "^" ? precedence : precedence + 1, depth + 1);
      lhs = this.#made(binary(operator, lhs, rhs, modifiers, this.#fail));
    }
  }

  #signed(depth: number): Expr {
    const sign = this.#reader.accept("+") ?? this.#reader.accept("-");
    if (sign === undefined) return this.#operand(depth);
    const expr = this.#expression(SIGN_PRECEDENCE + 1, depth + 1);
    const span = { from: sign.from, to: expr.span.to };
    const op = sign.text as "+" | "-";
    if (expr.type === "numberLiteral")
      return this.#made({ ...expr, span, value: op === "-" ? -expr.value : expr.value });
    return this.#made({ type: "unaryExpr", span, op, expr });
  }

  /** Reads an operand with everything that follows it: ranges, `offset`, `@`. */
  #operand(depth: number): Expr {
    let expr = this.#made(this.#primary(depth));
    for (;;) {
      const next = readPostfix(this.#reader, expr);
      if (next === undefined) return expr;
      expr = this.#made(next);
    }
  }

  #primary(depth: number): Expr {
    const reader = this.#reader;
    const token = reader.next;
    const span = { from: token.from, to: token.to };
    switch (token.type) {
      case "number":
      case "duration":
        reader.take();
        return { type: "numberLiteral", span, ...numberOf(token, this.#fail) };
      case "string":
        reader.take();
        return { type: "stringLiteral", span, value: stringOf(token, this.#fail) };
      case "mark":
        if (token.text === "(") return this.#parenthesized(depth);
        if (token.text === "{") return readSelector(reader, undefined, this.#text);
        break;
    }
    if (token.type === "keyword" && AGGREGATORS.has(token.text) && this.#isAggregation())
      return this.#aggregation(depth);
    const isCalled = token.type === "identifier" || CALLED_KEYWORDS.has(token.text);
    if (isCalled && isWord(reader.afterNext, "(")) return this.#call(depth);
    if (!isMetricName(token)) reader.unexpected(this.#context);
    return readSelector(reader, reader.take(), this.#text);
  }

  /** Whether the next token is an aggregator, and not a metric of that name. */
  #isAggregation(): boolean {
    return ["(", "by", "without"].some((word) => isWord(this.#reader.afterNext, word));
  }

  #parenthesized(depth: number): Expr {
    const { from } = this.#reader.take();
    const expr = this.#expression(1, depth + 1);
    const { to } = this.#reader.expect(")", this.#context);
    return { type: "parenExpr", span: { from, to }, expr };
  }

  #aggregation(depth: number): AggregateExpr {
    const reader = this.#reader;
    const operator = reader.take();
    const outer = this.#context;
    this.#context = "aggregation";
    const before = this.#grouping();
    const args = this.#arguments(depth);
    const { grouping, without } = before ?? this.#grouping() ?? { grouping: [], without: false };
    this.#context = outer;
    const span = { from: operator.from, to: reader.end };
    const wanted = WITH_PARAMETER.has(operator.text) ? 2 : 1;
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
      op: operator.text as Aggregation,
      expr: args[wanted - 1],
      param: wanted === 2 ? args[0] : undefined,
      grouping,
      without,
    };
  }

  #grouping(): { grouping: string[]; without: boolean } | undefined {
    const without = this.#reader.accept("without") !== undefined;
    if (!without && this.#reader.accept("by") === undefined) return undefined;
    return { grouping: this.#labelNames(), without };
  }

  #call(depth: number): Expr {
    const token = this.#reader.take();
    const name = this.#text.slice(token.from, token.to);
    const known = UNSUPPORTED_FUNCTIONS.get(name);
    if (known !== undefined) throw unsupportedWord(`${name}()`, known);
    const args = this.#arguments(depth);
    const span = { from: token.from, to: this.#reader.end };
    if (signatureOf(name) === undefined)
      throw this.#fail(span, `unknown function with name ${quoteText(name)}`);
    return { type: "call", span, name, args };
  }

  /** Reads the arguments of a call, with the parentheses. */
  #arguments(depth: number): Expr[] {
    const reader = this.#reader;
    reader.expect("(", this.#context);
    const args: Expr[] = [];
    if (reader.accept(")")) return args;
    for (;;) {
      args.push(this.#expression(1, depth + 1));
      const comma = reader.accept(",");
      if (comma === undefined) break;
      if (reader.is(")")) throw this.#fail(comma, "trailing commas not allowed in function call args");
    }
    reader.expect(")", this.#context);
    return args;
  }

  /** Reads the modifiers between an operator and its right side. */
  #modifiers(): Modifiers {
    const reader = this.#reader;
    const bool = reader.accept("bool") !== undefined;
    const match = reader.accept("on") ?? reader.accept("ignoring");
    let labels: string[] | undefined;
    let group: Modifiers["group"];
    let include: string[] = [];
    if (match !== undefined) {
      labels = this.#labelNames();
      const side = reader.accept("group_left") ?? reader.accept("group_right");
      if (side !== undefined) {
        group = side.text as Modifiers["group"];
        // Only the end is an error that names what is expected here: anything else may begin the right side.
        if (reader.is("(") || reader.next.type === "end") include = this.#labelNames();
      }
    }
    if (reader.next.type === "keyword" && FILL_MODIFIERS.has(reader.next.text))
      throw unsupportedWord("the modifier `fill`");
    return { bool, on: match?.text === "on", labels, group, include };
  }

  /** Reads names of labels in parentheses, with an optional last comma. */
  #labelNames(): string[] {
    const reader = this.#reader;
    const context = "grouping opts";
    reader.expect("(", context, '"("');
    const names: string[] = [];
    while (!reader.is(")")) {
      if (names.length > 0) reader.expect(",", context, '"," or ")"');
      if (names.length > 0 && reader.is(")")) break;
      names.push(this.#labelName(context));
    }
    reader.take();
    return names;
  }

  #labelName(context: string): string {
    const token: Token = this.#reader.next;
    const isQuoted = token.type === "string";
    if (!isQuoted && !isLabelToken(token)) this.#reader.unexpected(context, "label");
    this.#reader.take();
    const name = isQuoted ? stringOf(token, this.#fail) : this.#text.slice(token.from, token.to);
    if (!isLabelName(name)) throw this.#fail(token, `invalid label name for grouping: ${quoteText(name)}`);
    return name;
  }

  /** Records the depth of a node, and rejects one that is too deep for the tree walks. */
  #made<Node extends Expr>(expr: Node): Node {
    let depth = 1;
    for (const child of childrenOf(expr)) depth = Math.max(depth, 1 + (this.#depths.get(child) ?? 0));
    this.#depths.set(expr, depth);
    this.#checkDepth(depth, expr.span);
    return expr;
  }

  #checkDepth(depth: number, span: Span = this.#reader.next): void {
    if (depth > DEPTH_MAX) throw this.#fail(span, `expressions may be nested ${DEPTH_MAX} deep at most`);
  }
}

interface Modifiers {
  readonly bool: boolean;
  readonly on: boolean;
  /** Absent without `on` and `ignoring`. */
  readonly labels: readonly string[] | undefined;
  readonly group: "group_left" | "group_right" | undefined;
  readonly include: readonly string[];
}

function binary(operator: Token, lhs: Expr, rhs: Expr, modifiers: Modifiers, fail: Fail): BinaryExpr {
  const op = operator.text as BinaryOperator;
  const span = { from: lhs.span.from, to: rhs.span.to };
  const areVectors = typeOf(lhs) === "vector" && typeOf(rhs) === "vector";
  const matching =
    modifiers.labels !== undefined || areVectors ? matchingOf(op, modifiers, span, fail) : undefined;
  return {
    type: "binaryExpr",
    span,
    op,
    opSpan: { from: operator.from, to: operator.to },
    lhs,
    rhs,
    bool: modifiers.bool,
    matching,
  };
}

function matchingOf(
  op: BinaryOperator,
  { labels, on, group, include }: Modifiers,
  span: Span,
  fail: Fail,
): VectorMatching {
  if (isSetOperator(op)) {
    if (group !== undefined) throw fail(span, `no grouping allowed for ${quoteText(op)} operation`);
    return { card: "many-to-many", labels: labels ?? [], on, include };
  }
  const card: Cardinality =
    group === "group_left" ? "many-to-one" : group === "group_right" ? "one-to-many" : "one-to-one";
  return { card, labels: labels ?? [], on, include };
}
