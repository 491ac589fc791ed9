/** The values of a dashboard's variables, asked of the gateway when the range or another variable changes. */
import { useEffect, useState } from "preact/hooks";
import { askPrometheus } from "../../api/gateway-api.ts";
import { type PromAnswer, type PromSeries, seriesName } from "../../api/promql-answer.ts";
import { endsOf, type TimeRange } from "../../format/times.ts";
import {
  type ResolvedVariable,
  resolveVariables,
  type VariableModel,
  type VariableQuestion,
} from "./grafana/variables.ts";
import { builtInValues, type PanelEnds } from "./panel-answers.ts";

const PREFIX = "var-";

/** The values that an address chooses, by the name of the variable. */
export function chosenValues(query: URLSearchParams): Map<string, string[]> {
  const chosen = new Map<string, string[]>();
  for (const [name, value] of query) {
    if (!name.startsWith(PREFIX)) continue;
    // Links of Grafana have the text of the choice of all.
    const values = chosen.getOrInsertComputed(name.slice(PREFIX.length), () => []);
    values.push(value === "All" ? "$__all" : value);
  }
  return chosen;
}

/** An address with other values of a variable. */
export function withChosen(query: URLSearchParams, name: string, values: readonly string[]): URLSearchParams {
  const changed = new URLSearchParams(query);
  changed.delete(PREFIX + name);
  for (const value of values) changed.append(PREFIX + name, value);
  return changed;
}

/** Undefined until all values are known for the first time. */
export function useVariables(
  models: readonly VariableModel[],
  query: URLSearchParams,
  range: TimeRange,
): readonly ResolvedVariable[] | undefined {
  const [resolved, setResolved] = useState<readonly ResolvedVariable[]>();
  const chosen = chosenValues(query);
  const key = JSON.stringify([[...chosen], range]);
  useEffect(() => {
    const ended = new AbortController();
    const ends = endsOf(range, Date.now());
    resolveVariables(models, {
      chosen,
      builtIn: builtInValues(ends),
      rangeMs: ends.toMs - ends.fromMs,
      ask: (question) => askValues(question, ends, ended.signal),
    }).then(
      (found) => {
        if (!ended.signal.aborted) setResolved(found);
      },
      // It was aborted.
      () => undefined,
    );
    return () => ended.abort(new DOMException("Something else is asked.", "AbortError"));
  }, [models, key]);
  return resolved;
}

async function askValues(
  question: VariableQuestion,
  { fromMs, toMs }: PanelEnds,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (question.kind === "result") {
    const body = new URLSearchParams({ query: question.expr, time: String(toMs / 1_000) });
    const answer = await askPrometheus<PromAnswer>("/api/v1/query", { method: "POST", body, signal });
    return resultTexts(answer);
  }
  const path =
    question.kind === "label names"
      ? "/api/v1/labels"
      : `/api/v1/label/${encodeURIComponent(question.label)}/values`;
  const parameters = { "match[]": question.selector, start: fromMs / 1_000, end: toMs / 1_000 };
  return await askPrometheus<string[]>(path, { parameters, signal });
}

/** Series as Grafana writes them for patterns: `name{label="value"} 1 1704067200000`. */
function resultTexts({ resultType, result }: PromAnswer): string[] {
  if (resultType === "scalar" || resultType === "string") return [(result as readonly [number, string])[1]];
  return (result as readonly PromSeries[]).map(({ metric, value }) => {
    const [seconds = 0, text = ""] = value ?? [];
    return `${seriesName(metric)} ${text} ${Math.round(seconds * 1_000)}`;
  });
}
