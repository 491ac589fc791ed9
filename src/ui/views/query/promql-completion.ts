/**
 * What the editor of PromQL completes, from the gateway: metrics with type and help, labels, values. It asks for the names
 * that match what was typed, the best first, so that 200,000 values cost no more than 200.
 */
import type { CompletionContext } from "@codemirror/autocomplete";
import { type CompleteStrategy, newCompleteStrategy } from "@prometheus-io/codemirror-promql";
import type {
  MetricMetadata,
  PrometheusClient,
} from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus";
import { type FoundNames, searchNames } from "../../api/search-names.ts";

export function promqlCompletion(): CompleteStrategy {
  return {
    promQL: async (context) => {
      const search = new TypedSearch(context);
      const result = await newCompleteStrategy({ remote: search }).promQL(context);
      // A list that was cut is asked for again with each character. Any other is filtered by the editor.
      return result === null || !search.hasMore ? result : { ...result, validFor: undefined };
    },
  };
}

const NOTHING: FoundNames = { names: [], hasMore: false };

/** Answers the questions of one completion. A search that fails completes nothing. */
class TypedSearch implements PrometheusClient {
  /** Whether any list has only a part of the names that match. */
  hasMore = false;
  readonly #before: string;
  readonly #left = new AbortController();
  #metadata: Record<string, MetricMetadata[]> = {};

  constructor(context: CompletionContext) {
    const { state, pos } = context;
    this.#before = state.sliceDoc(state.doc.lineAt(pos).from, pos);
    context.addEventListener("abort", () => this.#left.abort(), { onDocChange: true });
  }

  metricNames = async (prefix = "") => {
    const found = await this.#search("metric_names", { typed: prefix });
    this.#metadata = Object.fromEntries(
      found.names.map(({ name, type = "", help = "" }) => [name, [{ type, help }]]),
    );
    return namesOf(found);
  };
  metricMetadata = async () => this.#metadata;
  labelNames = async (metric?: string) =>
    namesOf(await this.#search("label_names", { typed: this.#typed(/[\w.]*$/), metric }));
  labelValues = async (label: string, metric?: string) =>
    namesOf(await this.#search("label_values", { typed: this.#typed(/[^"'`]*$/), label, metric }));
  series = async () => [];
  flags = async () => ({});

  /** The text before the cursor that belongs to the name. */
  #typed(end: RegExp): string {
    return end.exec(this.#before)?.[0] ?? "";
  }

  async #search(...[what, asked]: Parameters<typeof searchNames>): Promise<FoundNames> {
    const found = await searchNames(what, { ...asked, signal: this.#left.signal }).catch(() => NOTHING);
    this.hasMore ||= found.hasMore;
    return found;
  }
}

function namesOf({ names }: FoundNames): string[] {
  return names.map(({ name }) => name);
}
