/** Where the grammar could not go on, in words. */
import type { SyntaxNode } from "@lezer/common";
import { NotSupported } from "../errors.ts";
import { quoteText } from "../text.ts";
import type { Span } from "./ast.ts";

/** The first place at which the text is no PromQL. */
export function firstError(root: SyntaxNode, text: string): { span: Span; message: string } | undefined {
  let found: SyntaxNode | undefined;
  const cursor = root.cursor();
  do {
    if (cursor.type.isError && (found === undefined || cursor.from < found.from)) found = cursor.node;
  } while (cursor.next());
  if (found === undefined) return undefined;
  const span = { from: found.from, to: found.to };
  // `nope(x)` is read as a selector that something stands after.
  const called = /([a-zA-Z_][a-zA-Z0-9_]*)\s*$/.exec(text.slice(0, found.from));
  if (text[found.from] === "(" && called !== null) {
    const from = found.from - called[0].length;
    return { span: { from, to: found.from }, message: `unknown function with name ${quoteText(called[1])}` };
  }
  const rest = text.slice(found.from);
  if (rest.trim() === "") return { span, message: "unexpected end of input" };
  const token = /^\s*([a-zA-Z_:][\w:]*|[\d.]\w*|"[^"]{0,40}"?|'[^']{0,40}'?|\S)/.exec(rest);
  return { span, message: `unexpected ${quoteText(token?.[1] ?? rest.slice(0, 20))}` };
}

/** The error for PromQL that is known and not spoken. */
export function unsupportedWord(what: string, why?: string): NotSupported {
  return new NotSupported(`${what} is not supported here${why === undefined ? "" : `: ${why}`}`, "query");
}
