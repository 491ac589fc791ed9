/** The alerts that the store has from before a restart: the last samples of `ALERTS` and `ALERTS_FOR_STATE`. */
import { ALERTS, ALERTS_FOR_STATE } from "../evaluation/rule-evaluation.ts";
import { OUTAGE_TOLERANCE_MS, type StoredAlert } from "../evaluation/restored-state.ts";
import type { QuerySample } from "../files/rule-group.ts";
import { type LabelValues, labelValuesKey, sortedLabelValues } from "../label-values.ts";
import { readPromqlText } from "./promql-text-answer.ts";
import type { RuleQueries } from "./question-answers.ts";

/** More alerts than that are not restored: they begin anew. */
const ALERTS_MAX = 100_000;

/** Alerts whose last sample is at most an hour old and no stale marker. */
export async function storedAlerts(queries: RuleQueries, timeMs: number): Promise<readonly StoredAlert[]> {
  const ask = async (text: string): Promise<readonly QuerySample[]> => {
    const terms = { limit: ALERTS_MAX, lookbackMs: OUTAGE_TOLERANCE_MS };
    return await readPromqlText(await queries.promql(text, timeMs, terms));
  };
  const states = await ask(ALERTS_FOR_STATE);
  if (states.length === 0) return [];
  const seen = valuesByAlert(await ask(`timestamp(${ALERTS_FOR_STATE})`));
  const firing = valuesByAlert(await ask(`${ALERTS}{alertstate="firing"}`));
  return states.map(({ labels, value }) => {
    const own = alertLabels(labels);
    const key = labelValuesKey(own);
    const seenAt = (seen.get(key) ?? 0) * 1000;
    return { labels: own, activeAt: value * 1000, seenAt, isFiring: firing.has(key) };
  });
}

function valuesByAlert(samples: readonly QuerySample[]): ReadonlyMap<string, number> {
  return new Map(samples.map(({ labels, value }) => [labelValuesKey(alertLabels(labels)), value]));
}

/** The labels of the alert without those that only its series have. */
function alertLabels(labels: LabelValues): LabelValues {
  return sortedLabelValues({ ...labels, __name__: "", alertstate: "" });
}
