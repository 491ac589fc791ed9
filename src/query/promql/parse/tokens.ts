/**
 * The tokens of PromQL, and which keywords can be names: the lists of upstream's grammar (`metric_identifier` and
 * `maybe_label` in promql/parser/generated_parser.y).
 */
import { quoteText } from "../promql-text.ts";
import { AGGREGATIONS, type Span } from "./ast.ts";

export type TokenType =
  | "identifier"
  /** A name with a colon, which only a metric can have. */
  | "metric identifier"
  | "keyword"
  | "number"
  | "duration"
  | "string"
  /** An operator of an expression or of a matcher. */
  | "operator"
  /** `( ) { } [ ] , :` */
  | "mark"
  | "end"
  /** Text that is not a token; `text` is the error. */
  | "error";

export interface Token extends Span {
  readonly type: TokenType;
  /** As written; keywords in lower case. */
  readonly text: string;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

export const AGGREGATORS: ReadonlySet<string> = new Set(AGGREGATIONS);
/** The binary operators that are words. */
export const WORD_OPERATORS = words("and or unless atan2");
const MODIFIERS = words("offset by without on ignoring group_left group_right bool anchored smoothed");
/** Keywords that are functions if a parenthesis follows. */
export const CALLED_KEYWORDS = words("start end step range min_of max_of");
/** Keywords only if a parenthesis follows. */
export const FILL_MODIFIERS = words("fill fill_left fill_right");
const NUMBERS = words("inf nan");

const KEYWORDS = new Set([...AGGREGATORS, ...WORD_OPERATORS, ...MODIFIERS, ...CALLED_KEYWORDS]);
const NO_METRIC = words("bool on ignoring group_left group_right atan2");
const NO_LABEL = words("without");

/** The type of a word outside braces. Keywords and numbers can be written in capitals. */
export function wordType(word: string): TokenType {
  const lower = word.toLowerCase();
  if (KEYWORDS.has(lower)) return "keyword";
  if (NUMBERS.has(lower)) return "number";
  return word.includes(":") ? "metric identifier" : "identifier";
}

/** Whether a token can be the name of a metric. */
export function isMetricName({ type, text }: Token): boolean {
  if (type === "keyword") return !NO_METRIC.has(text) && !FILL_MODIFIERS.has(text);
  return type === "identifier" || type === "metric identifier";
}

/** Whether a token can be the name of a label in `by`, `on` and the like. */
export function isLabelToken({ type, text }: Token): boolean {
  if (type === "keyword") return !NO_LABEL.has(text) && !FILL_MODIFIERS.has(text);
  return type === "identifier" || type === "metric identifier";
}

/** The token in upstream's words: `identifier "x"`, `<by>`, `<op:+>`, `end of input`. */
export function described(token: Token, source: string): string {
  const { type, text } = token;
  const written = source.slice(token.from, token.to);
  switch (type) {
    case "end":
      return "end of input";
    case "keyword":
      if (AGGREGATORS.has(text)) return `<aggr:${written}>`;
      if (WORD_OPERATORS.has(text)) return `<op:${written}>`;
      return CALLED_KEYWORDS.has(text) ? quoteText(written) : `<${written}>`;
    case "operator":
      return text === "=" ? quoteText(text) : `<op:${text}>`;
    case "mark":
      return quoteText(text);
    case "identifier":
    case "metric identifier":
      return `${type} ${quoteText(written)}`;
    default:
      return `${type} ${shortened(written)}`;
  }
}

/** At most ten characters of a literal. */
function shortened(text: string): string {
  const characters = [...text];
  return characters.length > 10 ? `${quoteText(characters.slice(0, 10).join(""))}...` : quoteText(text);
}
