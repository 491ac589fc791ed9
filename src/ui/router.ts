/** The address of the page, as a signal. A view is a path; its state is the query, so that an address can be shared. */
import { signal } from "@preact/signals";

export interface PagePlace {
  readonly path: string;
  readonly query: URLSearchParams;
}

const here = (): PagePlace => ({ path: location.pathname, query: new URLSearchParams(location.search) });

/** Where the page is. */
export const place = signal<PagePlace>(here());

/** Goes to a path of this page, such as `/query?expr=up`. `replace` leaves no entry in the history. */
export function go(target: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  place.value = here();
  if (!replace) scrollTo(0, 0);
}

/** Changes parameters of the query. A parameter that is undefined or empty is removed. */
export function setQuery(
  changes: Readonly<Record<string, string | undefined>>,
  options: { readonly replace?: boolean } = { replace: true },
): void {
  const { path, query } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(text === "" ? path : `${path}?${text}`, options);
}

/** Follows links of this page without loading it again. Others, and those with a modifier, are left to the browser. */
export function followLinks(): () => void {
  const onClick = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || link.target !== "" || link.origin !== location.origin) return;
    if (link.hasAttribute("download") || link.dataset.load !== undefined) return;
    event.preventDefault();
    go(link.pathname + link.search + link.hash);
  };
  const onPop = () => {
    place.value = here();
  };
  document.addEventListener("click", onClick);
  addEventListener("popstate", onPop);
  return () => {
    document.removeEventListener("click", onClick);
    removeEventListener("popstate", onPop);
  };
}
