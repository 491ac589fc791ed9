/**
 * The text of a query, as the route that reads it from the request's parameters or body notes it: an expression, a
 * statement, or selectors. The application logs it if the query was slow.
 */
import { pathOf } from "./url-text.ts";

const texts = new WeakMap<Request, string>();

export function noteAskedQuery(request: Request, text: string): void {
  texts.set(request, text);
}

/** What a request asks. Without a text it is the path, never the parameters of the URL. */
export function askedQueryOf(request: Request): string {
  return texts.get(request) ?? pathOf(request.url);
}
