/**
 * Divides a template into tokens: https://pkg.go.dev/text/template#hdr-Text_and_spaces. Spaces inside of actions are
 * tokens too, because they separate arguments. Pure.
 */
import { TemplateError } from "./template-errors.ts";

export type TemplateTokenType =
  | "text"
  | "left delimiter"
  | "right delimiter"
  | "space"
  | "keyword"
  | "identifier"
  | "field"
  | "variable"
  | "dot"
  | "nil"
  | "bool"
  | "number"
  | "character constant"
  | "string"
  | "raw string"
  | "assign"
  | "declare"
  | "pipe"
  | "left parenthesis"
  | "right parenthesis"
  | "character"
  | "end of the text";

export interface TemplateToken {
  readonly type: TemplateTokenType;
  readonly text: string;
  readonly at: number;
}

const KEYWORDS = new Set([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);

/** What an action consists of, in the order in which it is tried. A space before `-}}` belongs to the delimiter. */
const PATTERNS: readonly (readonly [TemplateTokenType, RegExp])[] = [
  ["right delimiter", /(?:[ \t\r\n]-)?\}\}/y],
  ["space", /(?:[ \t\r\n](?!-\}\}))+/y],
  ["string", /"(?:[^"\\\n]|\\[^\n])*"/y],
  ["raw string", /`[^`]*`/y],
  ["character constant", /'(?:[^'\\\n]|\\[^\n])*'/y],
  ["declare", /:=/y],
  ["assign", /=/y],
  ["pipe", /\|/y],
  ["left parenthesis", /\(/y],
  ["right parenthesis", /\)/y],
  ["variable", /\$[\p{L}\p{Nd}_]*/uy],
  // A dot before a digit begins a number.
  ["number", /(?:[+-]?(?:\.?\d)[\p{L}\p{Nd}_.]*(?:(?<=[eEpP])[+-][\p{L}\p{Nd}_.]*)?)/uy],
  ["field", /\.[\p{L}\p{Nd}_]+/uy],
  ["dot", /\./y],
  ["identifier", /[\p{L}_][\p{L}\p{Nd}_]*/uy],
];

/** What may follow a name: `$x+2` is an error, and not three tokens. */
const AFTER_NAME = /[ \t\r\n.,|:()}]|$/y;
const SPACES = /[ \t\r\n]*/y;

/** Returns the tokens; the last is the end of the text. */
export function templateTokens(text: string): TemplateToken[] {
  const tokens: TemplateToken[] = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf("{{", at);
    if (open < 0) break;
    const trims = /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4));
    const before = text.slice(at, open);
    const kept = trims ? before.replace(/[ \t\r\n]+$/, "") : before;
    if (kept !== "") tokens.push({ type: "text", text: kept, at });
    const inside = open + (trims ? 4 : 2);
    // The trim marker's space belongs to the marker.
    at = text.startsWith("/*", inside) ? commentEnd(text, open, inside) : action(text, open, inside, tokens);
  }
  if (at < text.length) tokens.push({ type: "text", text: text.slice(at), at });
  tokens.push({ type: "end of the text", text: "", at: text.length });
  return tokens;
}

/** Skips a comment; returns where the text goes on. */
function commentEnd(text: string, open: number, inside: number): number {
  const close = text.indexOf("*/", inside + 2);
  if (close < 0) throw new TemplateError("the comment is not closed: expected */}}", text, open);
  const delimiter = /(?:[ \t\r\n]-)?\}\}/y;
  delimiter.lastIndex = close + 2;
  const found = delimiter.exec(text);
  if (found === null) throw new TemplateError("expected }} after the end of a comment", text, close + 2);
  return afterDelimiter(text, delimiter.lastIndex, found[0]);
}

function afterDelimiter(text: string, at: number, delimiter: string): number {
  if (!delimiter.includes("-")) return at;
  SPACES.lastIndex = at;
  SPACES.exec(text);
  return SPACES.lastIndex;
}

/** Reads the tokens of an action; returns where the text goes on. */
function action(text: string, open: number, inside: number, tokens: TemplateToken[]): number {
  tokens.push({ type: "left delimiter", text: text.slice(open, inside), at: open });
  let depth = 0;
  for (let at = inside; at < text.length; ) {
    const token = tokenAt(text, at);
    at += token.text.length;
    if (token.type === "right delimiter") {
      if (depth > 0) throw new TemplateError("unclosed left parenthesis", text, token.at);
      tokens.push(token);
      return afterDelimiter(text, at, token.text);
    }
    if (token.type === "left parenthesis") depth++;
    if (token.type === "right parenthesis" && --depth < 0) {
      throw new TemplateError('unexpected ")": no parenthesis is open', text, token.at);
    }
    tokens.push(token);
  }
  throw new TemplateError("unclosed action: expected }}", text, open);
}

function tokenAt(text: string, at: number): TemplateToken {
  for (const [type, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) continue;
    if (type === "identifier" || type === "field" || type === "variable") {
      checkEnd(text, at + found.length, found);
    }
    return { type: type === "identifier" ? typeOfWord(found) : type, text: found, at };
  }
  const character = String.fromCodePoint(text.codePointAt(at)!);
  if (character === '"') throw new TemplateError('unterminated quoted string: expected "', text, at);
  if (character === "`") throw new TemplateError("unterminated raw quoted string: expected `", text, at);
  if (character === "'") throw new TemplateError("unterminated character constant: expected '", text, at);
  if (character === ":") throw new TemplateError("expected :=", text, at);
  if (!/^[!-~]$/.test(character)) {
    throw new TemplateError(`unrecognized character in action: ${JSON.stringify(character)}`, text, at);
  }
  return { type: "character", text: character, at };
}

function checkEnd(text: string, at: number, name: string): void {
  AFTER_NAME.lastIndex = at;
  if (AFTER_NAME.test(text)) return;
  const character = String.fromCodePoint(text.codePointAt(at)!);
  throw new TemplateError(
    `bad character ${JSON.stringify(character)} after ${JSON.stringify(name)}`,
    text,
    at,
  );
}

function typeOfWord(word: string): TemplateTokenType {
  if (KEYWORDS.has(word)) return "keyword";
  if (word === "true" || word === "false") return "bool";
  return word === "nil" ? "nil" : "identifier";
}
