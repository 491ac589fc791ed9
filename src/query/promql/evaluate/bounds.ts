/**
 * Limits on the text of a query that are checked before anything is read: how many selectors and matchers it has. Each
 * selector is a walk over series, and each matcher is a step for every series of it.
 */
import { LimitReached } from "../query-errors.ts";

/** Dashboards have some ten. */
const SELECTORS_MAX = 500;
const MATCHERS_MAX = 100;

interface Selector {
  readonly matchers: readonly unknown[];
}

/** @throws LimitReached if the selectors of a query, or the matchers of one, are too many */
export function checkSelectors(selectors: readonly Selector[]): void {
  if (selectors.length > SELECTORS_MAX) {
    throw new LimitReached(
      `the query has ${selectors.length} selectors, at most ${SELECTORS_MAX} are accepted: send several queries`,
    );
  }
  const longest = Math.max(0, ...selectors.map(({ matchers }) => matchers.length));
  if (longest > MATCHERS_MAX) {
    throw new LimitReached(
      `a selector of the query has ${longest} matchers, at most ${MATCHERS_MAX} are accepted: use fewer`,
    );
  }
}
