/**
 * One evaluation of one rule, as a function: what the rule knew, the time and the answer of its query in, the new state
 * and the samples out. It has no clock and writes nothing. The semantics are those of Prometheus's package rules.
 */
import type {
  AlertingRule,
  AnswerQuery,
  ExpandableField,
  ExpandableText,
  ExpansionData,
  GroupRule,
  QuerySample,
  RecordingRule,
  RuleQuestion,
} from "../files/rule-group.ts";
import { type LabelValues, labelValuesKey, sortedLabelValues } from "../label-values.ts";
import type { ActiveAlert, RuleSample, RuleState } from "./rule-state.ts";

/** Labels and address that all alerts of a gateway have. */
export interface AlertOrigin {
  /** Added to alerts that are sent, and available to templates. */
  readonly externalLabels: LabelValues;
  /** The address at which people reach this gateway. Empty if it is not known. */
  readonly externalURL: string;
}

export interface RuleEvaluationContext extends AlertOrigin {
  /**
   * Answers the question of a rule, or an expression in a template. A scalar is one sample without labels.
   *
   * @throws Error if the question has no answer. The evaluation fails
   */
  answer(question: RuleQuestion, timeMs: number): Promise<readonly QuerySample[]>;
}

/** The times and limits of an evaluation. */
export interface EvaluationTerms {
  /** The time of the evaluation. Alerts begin and end at it. */
  readonly timeMs: number;
  /** How much earlier the query looks. Samples are written at that time. */
  readonly queryOffsetMs: number;
  /** The most series or alerts. 0 means no limit. */
  readonly limit: number;
}

export interface RuleEvaluation {
  readonly state: RuleState;
  /** What is to be written, stale markers of ended series included. */
  readonly samples: readonly RuleSample[];
  /** Why the evaluation failed. Nothing is to be written then. */
  readonly error?: unknown;
  /** The templates that failed, one for each text. Their alerts have the error as the text. */
  readonly templateErrors?: readonly Error[];
}

export const ALERTS = "ALERTS";
export const ALERTS_FOR_STATE = "ALERTS_FOR_STATE";
/** How long a resolved alert is kept and sent, so that a receiver that is away learns of it. */
const RESOLVED_RETENTION_MS = 15 * 60_000;

/** A mistake of the rule that shows in an evaluation. */
export class RuleFault extends Error {
  override readonly name = "RuleFault";
}

/** Never rejects. */
export async function evaluateRule(
  rule: GroupRule,
  state: RuleState,
  terms: EvaluationTerms,
  context: RuleEvaluationContext,
): Promise<RuleEvaluation> {
  try {
    const results = await context.answer(rule.question, terms.timeMs - terms.queryOffsetMs);
    return rule.kind === "recording"
      ? withStaleMarkers(recorded(rule, results, terms), state, state.alerts, terms)
      : await evaluatedAlerts(rule, results, state, terms, context);
  } catch (error) {
    return { state, samples: [], error };
  }
}

/** The samples of a recording rule. */
function recorded({ name, labels }: RecordingRule, results: readonly QuerySample[], terms: EvaluationTerms) {
  const timeMs = terms.timeMs - terms.queryOffsetMs;
  const samples = new Map<string, RuleSample>();
  for (const result of results) {
    const own = sortedLabelValues({ ...result.labels, __name__: name, ...labels });
    samples.set(labelValuesKey(own), { labels: own, timeMs, value: result.value, isStale: false });
  }
  if (samples.size < results.length)
    throw new RuleFault("vector contains metrics with the same labelset after applying rule labels");
  if (terms.limit > 0 && samples.size > terms.limit)
    throw new RuleFault(`exceeded limit of ${terms.limit} with ${samples.size} series`);
  return samples;
}

async function evaluatedAlerts(
  rule: AlertingRule,
  results: readonly QuerySample[],
  state: RuleState,
  terms: EvaluationTerms,
  context: RuleEvaluationContext,
): Promise<RuleEvaluation> {
  const { timeMs, limit } = terms;
  const found = new Map<string, ActiveAlert>();
  const templateErrors: Error[] = [];
  for (const result of results) {
    const alert = await newAlert(rule, result, timeMs, { context, templateErrors });
    const key = labelValuesKey(alert.labels);
    if (found.has(key))
      throw new RuleFault("vector contains metrics with the same labelset after applying alert labels");
    found.set(key, alert);
  }
  const alerts = new Map<string, ActiveAlert>();
  const samples = new Map<string, RuleSample>();
  let active = 0;
  for (const [key, known] of [...state.alerts, ...newOnes(found, state)]) {
    const next = nextAlert(rule, known, found.get(key), timeMs);
    if (next === undefined) continue;
    alerts.set(key, next);
    if (next.state === "inactive") continue;
    active++;
    if (!state.isRestored) continue;
    for (const sample of samplesOf(rule, next, timeMs - terms.queryOffsetMs))
      samples.set(labelValuesKey(sample.labels), sample);
  }
  if (limit > 0 && active > limit) {
    const error = new RuleFault(`exceeded limit of ${limit} with ${active} alerts`);
    return { state: { ...state, alerts: new Map() }, samples: [], error, templateErrors };
  }
  return { ...withStaleMarkers(samples, state, alerts, terms), templateErrors };
}

/** The alerts that the state does not know, or knows as resolved: those begin anew. */
function* newOnes(found: ReadonlyMap<string, ActiveAlert>, state: RuleState) {
  for (const [key, alert] of found) {
    const known = state.alerts.get(key);
    if (known === undefined || known.state === "inactive") yield [key, alert] as const;
  }
}

/**
 * The alert after an evaluation. Undefined if it is forgotten.
 *
 * @param known as it was before, or as the evaluation found it if it is new
 * @param found as the evaluation found it
 */
function nextAlert(
  { forMs, keepFiringForMs }: AlertingRule,
  known: ActiveAlert,
  found: ActiveAlert | undefined,
  timeMs: number,
): ActiveAlert | undefined {
  if (found === undefined) {
    if (known.state === "firing" && keepFiringForMs > 0) {
      const keepFiringSince = known.keepFiringSince ?? timeMs;
      if (timeMs - keepFiringSince < keepFiringForMs) return { ...known, keepFiringSince };
    }
    if (known.state === "pending") return undefined;
    if (known.state === "firing") return { ...known, state: "inactive", resolvedAt: timeMs };
    return timeMs - (known.resolvedAt ?? timeMs) > RESOLVED_RETENTION_MS ? undefined : known;
  }
  // The resolved one is replaced by the new one, which follows it in the list.
  if (known.state === "inactive") return undefined;
  const { value, annotations } = found;
  const next: ActiveAlert = { ...known, value, annotations, keepFiringSince: undefined };
  if (next.state !== "pending" || timeMs - next.activeAt < forMs) return next;
  return { ...next, state: "firing", firedAt: timeMs };
}

async function newAlert(
  rule: AlertingRule,
  { labels, value }: QuerySample,
  timeMs: number,
  { context, templateErrors }: { context: RuleEvaluationContext; templateErrors: Error[] },
): Promise<ActiveAlert> {
  const { externalLabels, externalURL } = context;
  const onError = (error: Error) => void templateErrors.push(error);
  const data: ExpansionData = { value, labels, externalLabels, externalURL, timeMs };
  // As in Prometheus, a template asks at the time of the evaluation, whatever the offset of the query is.
  const query: AnswerQuery = (text) => context.answer({ language: "promql", text }, timeMs);
  const own = { ...labels, __name__: "", ...(await expandedFields(rule.labelFields, data, query, onError)) };
  return {
    state: "pending",
    labels: sortedLabelValues({ ...own, alertname: rule.name }),
    annotations: await expandedFields(rule.annotationFields, data, query, onError),
    value,
    activeAt: timeMs,
    firedAt: undefined,
    resolvedAt: undefined,
    keepFiringSince: undefined,
    lastSentAt: undefined,
  };
}

/** The texts by name. A name can be that of a property of all objects, such as `__proto__`. */
async function expandedFields(
  fields: readonly ExpandableField[],
  data: ExpansionData,
  query: AnswerQuery,
  onError: (error: Error) => void,
): Promise<LabelValues> {
  const entries: [string, string][] = [];
  for (const { name, text } of fields) entries.push([name, await expanded(text, data, query, onError)]);
  return Object.fromEntries(entries);
}

/** A template that fails must not hide the alert. */
async function expanded(
  text: ExpandableText,
  data: ExpansionData,
  query: AnswerQuery,
  onError: (error: Error) => void,
): Promise<string> {
  try {
    return await text.expand(data, query, { onError });
  } catch (error) {
    onError(error instanceof Error ? error : new Error(String(error)));
    return `<error expanding template: ${error instanceof Error ? error.message : String(error)}>`;
  }
}

/** `ALERTS`, which is 1, and `ALERTS_FOR_STATE`, which is the second in which the alert was found. */
function samplesOf(
  { name }: AlertingRule,
  { labels, state, activeAt }: ActiveAlert,
  timeMs: number,
): RuleSample[] {
  const sample = (metric: string, value: number, more: LabelValues = {}): RuleSample => ({
    labels: sortedLabelValues({ ...labels, __name__: metric, alertname: name, ...more }),
    timeMs,
    value,
    isStale: false,
  });
  return [sample(ALERTS, 1, { alertstate: state }), sample(ALERTS_FOR_STATE, Math.floor(activeAt / 1000))];
}

/** Adds a stale marker for each series that the evaluation before wrote and this one does not. */
function withStaleMarkers(
  samples: ReadonlyMap<string, RuleSample>,
  { series, isRestored }: RuleState,
  alerts: RuleState["alerts"],
  { timeMs, queryOffsetMs }: EvaluationTerms,
): RuleEvaluation {
  const ended = [...series]
    .filter(([key]) => !samples.has(key))
    .map(([, labels]) => ({ labels, timeMs: timeMs - queryOffsetMs, value: Number.NaN, isStale: true }));
  const written = new Map([...samples].map(([key, { labels }]) => [key, labels]));
  return { state: { alerts, series: written, isRestored }, samples: [...samples.values(), ...ended] };
}
