/** Reads tokens one by one, and reports an unexpected one in upstream's words. */
import type { Fail } from "./check-types.ts";
import { tokensOf } from "./lexer.ts";
import { described, type Token } from "./tokens.ts";

export class TokenReader {
  readonly fail: Fail;
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.fail = fail;
    this.#tokens = tokensOf(text);
  }

  /** The next token; throws if the lexer could not read it. */
  get next(): Token {
    const token = this.#tokens[this.#at];
    if (token.type === "error") throw this.fail(token, token.text);
    return token;
  }

  /** The token after the next, without that check. */
  get afterNext(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)];
  }

  /** The end of the token before the next. */
  get end(): number {
    return this.#at === 0 ? 0 : this.#tokens[this.#at - 1].to;
  }

  /** Reads the next token; the end is never passed. */
  take(): Token {
    const token = this.next;
    if (token.type !== "end") this.#at++;
    return token;
  }

  /** Whether the next token is a keyword, operator or mark with this text. */
  is(text: string): boolean {
    return isWord(this.next, text);
  }

  /** Reads the next token if it is this keyword, operator or mark. */
  accept(text: string): Token | undefined {
    return this.is(text) ? this.take() : undefined;
  }

  /** Reads the next token, which must be this keyword, operator or mark. */
  expect(text: string, context?: string, expected?: string): Token {
    return this.accept(text) ?? this.unexpected(context, expected);
  }

  /** Throws an error that the next token is unexpected. */
  unexpected(context?: string, expected?: string): never {
    const where = context === undefined ? "" : ` in ${context}`;
    const wanted = expected === undefined ? "" : `, expected ${expected}`;
    throw this.fail(this.next, `unexpected ${described(this.next, this.#text)}${where}${wanted}`);
  }
}

/** Whether a token is a keyword, operator or mark with a text. */
export function isWord({ type, text }: Token, word: string): boolean {
  return text === word && (type === "keyword" || type === "operator" || type === "mark");
}
