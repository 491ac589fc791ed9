/**
 * Text → tokens, by the rules and with the errors of upstream's lexer (promql/parser/lex.go): the form of numbers,
 * durations, strings and names, and which characters are allowed where. An error is the last token.
 */
import { quoteText } from "../promql-text.ts";
import { FILL_MODIFIERS, type Token, type TokenType, wordType } from "./tokens.ts";

/** Reads all tokens of a text; the last is "end" or "error". */
export function tokensOf(text: string): Token[] {
  return new Lexer(text).run();
}

/** Keywords between brackets, where no other words are allowed. */
const DURATION_WORDS = new Set(["step", "range", "min_of", "max_of"]);
const OPERATORS = /[+\-*/%^@]|==|!=|<\/|>\/|<=|>=|<|>|=/y;
const MATCH_OPERATORS = /=~|!~|!=|=/y;
const SPACES = /[ \t\r\n]+/y;
const COMMENT = /#[^\r\n]*/y;
const WORD = /[a-zA-Z_:][\w:]*/y;
const LABEL = /[a-zA-Z_]\w*/y;
const UNITS = /[smhdwy]s?(?:\d+[smhdw]s?)*(?!\w)/y;
/** The part of an invalid duration that an error quotes. */
const UNITS_BEGUN = /[smhdwy]s?(?:\d+[smhdw]s?)*(?:\d+|\w)?/y;

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #parens = 0;
  #inBraces = false;
  #inBrackets = false;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Token[] {
    for (;;) {
      while (this.#match(SPACES) !== undefined || this.#match(COMMENT) !== undefined) {
        // Spaces and comments are skipped.
      }
      const last = this.#at >= this.#text.length ? this.#end() : this.#next();
      if (last) return this.#tokens;
    }
  }

  /** Reads the end; returns true, as `#next` does after the last token. */
  #end(): true {
    if (this.#inBraces) return this.#fail("unexpected end of input inside braces");
    if (this.#parens > 0) return this.#fail("unclosed left parenthesis");
    if (this.#inBrackets) return this.#fail("unclosed left bracket");
    this.#add("end", "");
    return true;
  }

  /** Reads one token; returns true if it is an error. */
  #next(): boolean {
    const character = this.#text[this.#at];
    if (character === '"' || character === "'") return this.#string(character);
    if (character === "`") return this.#rawString();
    if (this.#inBraces) return this.#nextInBraces(character);
    if (/\d/.test(character) || /^\.\d/.test(this.#text.slice(this.#at, this.#at + 2))) return this.#number();
    if (this.#inBrackets && /[a-zA-Z_]/.test(character)) return this.#durationWord(character);
    switch (character) {
      case "(":
        this.#parens++;
        return this.#mark();
      case ")":
        this.#mark();
        if (--this.#parens >= 0) return false;
        this.#tokens.pop();
        return this.#fail("unexpected right parenthesis ')'");
      case "{":
        this.#inBraces = true;
        return this.#mark();
      case "[":
        if (this.#inBrackets) return this.#fail("unexpected left bracket '['");
        this.#inBrackets = true;
        return this.#mark();
      case "]":
        if (!this.#inBrackets) return this.#fail("unexpected right bracket ']'");
        this.#inBrackets = false;
        return this.#mark();
      case ",":
        return this.#mark();
      case ":":
        if (this.#inBrackets) return this.#mark();
        break;
      case "=":
        if (this.#text[this.#at + 1] === "~") return this.#fail("unexpected character after '=': '~'");
        break;
      case "!":
        if (this.#text[this.#at + 1] !== "=") return this.#failAfter("!", "");
        break;
    }
    const word = this.#peek(WORD);
    if (word !== undefined) return this.#word(word);
    const operator = this.#peek(OPERATORS);
    if (operator !== undefined) return this.#add("operator", operator);
    return this.#fail(`unexpected character: ${quoteRune(runeAt(this.#text, this.#at))}`);
  }

  #nextInBraces(character: string): boolean {
    if (character === "," || character === "}") {
      this.#inBraces = character !== "}";
      return this.#mark();
    }
    if (character === "{") return this.#fail("unexpected left brace '{'");
    const label = this.#peek(LABEL);
    if (label !== undefined) return this.#add("identifier", label);
    const operator = this.#peek(MATCH_OPERATORS);
    if (operator !== undefined) return this.#add("operator", operator);
    if (character === "!") return this.#failAfter("!", " inside braces");
    return this.#fail(`unexpected character inside braces: ${quoteRune(runeAt(this.#text, this.#at))}`);
  }

  #word(word: string): false {
    const lower = word.toLowerCase();
    if (FILL_MODIFIERS.has(lower)) {
      const isCalled = /^[ \t\r\n]*\(/.test(this.#text.slice(this.#at + word.length));
      return isCalled ? this.#add("keyword", word, lower) : this.#add("identifier", word);
    }
    const type = wordType(word);
    return this.#add(type, word, type === "keyword" ? lower : word);
  }

  #durationWord(character: string): boolean {
    const word = this.#peek(LABEL)!;
    const lower = word.toLowerCase();
    if (DURATION_WORDS.has(lower)) return this.#add("keyword", word, lower);
    // min() and max() aggregate. In durations, `_of` compares.
    const isCalled = /^[ \t\r\n]*\(/.test(this.#text.slice(this.#at + word.length));
    const meant = isCalled && DURATION_WORDS.has(`${lower}_of`) ? `, did you mean ${lower}_of()?` : "";
    return this.#fail(`unexpected character in duration expression: ${quoteRune(character)}${meant}`);
  }

  #number(): boolean {
    const { length, isNumber } = scanNumber(this.#text, this.#at);
    const written = this.#text.slice(this.#at, this.#at + length);
    if (isNumber) return this.#add("number", written);
    const units = this.#peek(UNITS, this.#at + length);
    if (units !== undefined) return this.#add("duration", written + units);
    const begun = written + (this.#peek(UNITS_BEGUN, this.#at + length) ?? "");
    return this.#fail(`bad number or duration syntax: ${quoteText(begun)}`);
  }

  #string(quote: string): boolean {
    let at = this.#at + 1;
    for (;;) {
      const character = this.#text[at];
      if (character === quote) break;
      if (character === undefined || character === "\n") return this.#fail("unterminated quoted string");
      if (character === "\\") {
        const behind = scanEscape(this.#text, at + 1, quote);
        if (typeof behind === "string") return this.#fail(behind);
        at = behind;
      } else {
        if (isNoRune(this.#text, at)) return this.#fail("invalid UTF-8 rune");
        at += runeAt(this.#text, at).length;
      }
    }
    return this.#add("string", this.#text.slice(this.#at, at + 1));
  }

  #rawString(): boolean {
    const end = this.#text.indexOf("`", this.#at + 1);
    if (end < 0) return this.#fail("unterminated raw string");
    for (let at = this.#at + 1; at < end; at += runeAt(this.#text, at).length)
      if (isNoRune(this.#text, at)) return this.#fail("invalid UTF-8 rune");
    return this.#add("string", this.#text.slice(this.#at, end + 1));
  }

  #peek(pattern: RegExp, at = this.#at): string | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#text)?.[0];
  }

  #match(pattern: RegExp): string | undefined {
    const found = this.#peek(pattern);
    this.#at += found?.length ?? 0;
    return found;
  }

  #mark(): false {
    return this.#add("mark", this.#text[this.#at]);
  }

  /** Adds a token and moves past it; returns false, because more tokens can follow. */
  #add(type: TokenType, written: string, text = written): false {
    this.#tokens.push({ type, text, from: this.#at, to: this.#at + written.length });
    this.#at += written.length;
    return false;
  }

  #fail(message: string): true {
    this.#tokens.push({ type: "error", text: message, from: this.#at, to: this.#text.length });
    return true;
  }

  #failAfter(character: string, where: string): true {
    const next = runeAt(this.#text, this.#at + 1);
    return this.#fail(`unexpected character after '${character}'${where}: ${quoteRune(next)}`);
  }
}

/**
 * Returns how many characters a number has, and whether they are a number. As in upstream, this decides where a number
 * ends: it has at most one dot and one exponent, underscores only between digits, and no letter after it. `numberOf`
 * checks the rest.
 */
function scanNumber(text: string, from: number): { length: number; isNumber: boolean } {
  let at = from;
  const is = (characters: string) => at < text.length && characters.includes(text[at]);
  const accept = (characters: string) => {
    const found = is(characters);
    if (found) at++;
    return found;
  };
  const done = (isNumber: boolean) => ({ length: at - from, isNumber });
  const isHexadecimal = accept("0") && accept("xX");
  if (isHexadecimal) accept("_");
  const digits = isHexadecimal ? "0123456789abcdefABCDEF" : "0123456789";
  accept(".");
  accept(digits);
  let hasDot = false;
  let hasExponent = false;
  while (is(`${digits}._eE`)) {
    if (accept(".")) {
      if (hasDot) return done(false);
      hasDot = true;
      if (accept("_.")) return done(false);
      // A hexadecimal number has no fraction.
      if (isHexadecimal) return done(false);
      continue;
    }
    if (!isHexadecimal && accept("eE")) {
      if (hasExponent) return done(false);
      hasExponent = true;
      accept("+-");
      if (accept("._eE") || at === text.length) return done(false);
      continue;
    }
    if (accept("_")) {
      if (accept("._eE") || at === text.length) return done(false);
      continue;
    }
    while (accept(digits));
  }
  return done(!/\w/.test(text[at] ?? ""));
}

/** The offset after an escape sequence whose backslash is just before `from`; an error message if it is invalid. */
function scanEscape(text: string, from: number, quote: string): number | string {
  const kind = text[from];
  if (kind === undefined) return "escape sequence not terminated";
  if ("abfnrtv\\".includes(kind) || kind === quote) return from + 1;
  const [length, base, most] = /[0-7]/.test(kind)
    ? [3, 8, 255]
    : kind === "x"
      ? [2, 16, 255]
      : kind === "u"
        ? [4, 16, 0x10ffff]
        : kind === "U"
          ? [8, 16, 0x10ffff]
          : [0, 0, 0];
  if (length === 0) return `unknown escape sequence ${describeRune(runeAt(text, from))}`;
  const begin = base === 8 ? from : from + 1;
  let value = 0;
  for (let at = begin; at < begin + length; at++) {
    if (at >= text.length) return "escape sequence not terminated";
    const digit = Number.parseInt(text[at], base);
    if (Number.isNaN(digit)) return `illegal character ${describeRune(runeAt(text, at))} in escape sequence`;
    value = value * base + digit;
  }
  if (value > most || (value >= 0xd800 && value < 0xe000))
    return "escape sequence is an invalid Unicode code point";
  return begin + length;
}

/** The whole character at an offset; U+FFFD after the end, as in upstream. */
function runeAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? "\ufffd" : String.fromCodePoint(code);
}

/** Invalid UTF-8 is read as U+FFFD. Upstream rejects both, too. */
function isNoRune(text: string, at: number): boolean {
  const rune = runeAt(text, at);
  return rune === "\ufffd" || !rune.isWellFormed();
}

/** Quotes a character as Go's %q does. */
function quoteRune(rune: string): string {
  if (rune === "'") return "'\\''";
  if (/[\p{C}\p{Z}]/u.test(rune) && rune > "\x7f")
    return `'\\u${rune.codePointAt(0)!.toString(16).padStart(4, "0")}'`;
  return `'${rune === '"' ? rune : quoteText(rune).slice(1, -1)}'`;
}

/** Describes a character as Go's %#U does: `U+0071 'q'`. */
function describeRune(rune: string): string {
  const code = rune.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return /\p{C}/u.test(rune) ? `U+${code}` : `U+${code} '${rune}'`;
}
