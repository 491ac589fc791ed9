/**
 * The state of the view of queries, as the query of its address: `expr` and `sql` in their order (each may be repeated), `tab`,
 * the range of times, `step`, `zone`, `refresh` and `stacked`. Pure.
 */
import { parseSpan, rangeOf, rangeQuery, spanText, type TimeRange, type Zone } from "../../format/times.ts";

export type QueryLanguage = "promql" | "sql";

export interface AskedQuery {
  readonly language: QueryLanguage;
  readonly text: string;
}

export const TABS = ["graph", "table", "heatmap", "json", "tree"] as const;
export type QueryTab = (typeof TABS)[number];

export interface QueryState {
  readonly queries: readonly AskedQuery[];
  readonly tab: QueryTab;
  readonly range: TimeRange;
  /** Milliseconds between two points. Undefined if the range decides. */
  readonly stepMs: number | undefined;
  readonly zone: Zone;
  /** Milliseconds between two evaluations. 0 for none. */
  readonly refreshMs: number;
  readonly isStacked: boolean;
}

const LAST_HOUR = { lastMs: 3_600_000 };
/** More are not asked at once. */
const QUERIES_MAX = 10;

export function readState(query: URLSearchParams): QueryState {
  const queries = [...query]
    .filter(([name]) => name === "expr" || name === "sql")
    .slice(0, QUERIES_MAX)
    .map(([name, text]): AskedQuery => ({ language: name === "sql" ? "sql" : "promql", text }));
  const tab = TABS.find((each) => each === query.get("tab")) ?? "graph";
  return {
    queries: queries.length === 0 ? [{ language: "promql", text: "" }] : queries,
    tab,
    range: rangeOf(query, LAST_HOUR),
    stepMs: parseSpan(query.get("step") ?? "") || undefined,
    zone: query.get("zone") === "utc" ? "utc" : "local",
    refreshMs: parseSpan(query.get("refresh") ?? "") ?? 0,
    isStacked: query.get("stacked") === "true",
  };
}

/** The address of a state. What is as usual is left out. */
export function addressOfState(state: QueryState): string {
  const query = new URLSearchParams();
  for (const { language, text } of state.queries) query.append(language === "sql" ? "sql" : "expr", text);
  if (state.tab !== "graph") query.set("tab", state.tab);
  if (!("lastMs" in state.range && state.range.lastMs === LAST_HOUR.lastMs))
    for (const [name, value] of Object.entries(rangeQuery(state.range)))
      if (value !== undefined) query.set(name, value);
  if (state.stepMs !== undefined) query.set("step", spanText(state.stepMs));
  if (state.zone === "utc") query.set("zone", "utc");
  if (state.refreshMs > 0) query.set("refresh", spanText(state.refreshMs));
  if (state.isStacked) query.set("stacked", "true");
  return `/query?${query}`;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
/** Points of a line. A screen shows no more. */
const POINTS = 250;

/** The seconds between two points of a range: a round number, so that a line keeps its points when the range moves. */
export function stepOf({ stepMs }: Pick<QueryState, "stepMs">, spanMs: number): number {
  if (stepMs !== undefined) return stepMs / 1_000;
  const wanted = spanMs / 1_000 / POINTS;
  return STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
}
