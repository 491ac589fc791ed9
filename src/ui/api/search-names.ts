/** Searches names of metrics and labels, and values of labels, with Prometheus's search API: lines of JSON in batches. */
import { ask } from "./gateway-api.ts";

export interface FoundName {
  readonly name: string;
  readonly type?: string;
  readonly help?: string;
}

export interface FoundNames {
  readonly names: readonly FoundName[];
  /** Whether further names match. */
  readonly hasMore: boolean;
}

interface NameSearch {
  /** What somebody typed so far. An empty text finds all names. */
  readonly typed: string;
  /** Whose values are searched. */
  readonly label?: string;
  /** Only series of this metric count. */
  readonly metric?: string;
  readonly signal?: AbortSignal;
}

/** More than a list of completions shows, and few enough for each key that is pressed. */
const LIMIT = 200;
/** Older series are rarely asked for. */
const RANGE_MS = 86_400_000;

/** The best names for what was typed. Throws ApiError. */
export async function searchNames(
  what: "metric_names" | "label_names" | "label_values",
  { typed, label, metric, signal }: NameSearch,
): Promise<FoundNames> {
  const response = await ask(`/api/v1/search/${what}`, {
    parameters: {
      start: String((Date.now() - RANGE_MS) / 1_000),
      limit: LIMIT,
      label,
      "match[]": metric ? `{__name__=${JSON.stringify(metric)}}` : undefined,
      ...(typed === "" ? {} : { "search[]": typed, sort_by: "score", case_sensitive: "false" }),
      include_metadata: what === "metric_names" ? "true" : undefined,
    },
    signal,
  });
  return foundIn(await response.text());
}

/** The names in the lines of an answer. Throws if the search failed after its first line. */
export function foundIn(text: string): FoundNames {
  const names: FoundName[] = [];
  let hasMore = false;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const value = JSON.parse(line) as { results?: FoundName[]; has_more?: boolean; error?: string };
    if (value.error !== undefined) throw new Error(value.error);
    names.push(...(value.results ?? []));
    hasMore ||= value.has_more === true;
  }
  return { names, hasMore };
}
