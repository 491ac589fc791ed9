/**
 * One evaluation of a group: its rules in order, at one time. What a rule writes is committed before the next rule runs,
 * so that a rule can use what the rules before it recorded. It has no clock.
 */
import type { GroupRule, RuleGroup } from "../files/rule-group.ts";
import { labelValuesKey } from "../label-values.ts";
import { evaluateRule, RuleFault, type RuleEvaluationContext } from "./rule-evaluation.ts";
import { NEW_RULE_STATE, type RuleSample, type RuleState } from "./rule-state.ts";

/** A sample that could not be stored. */
export interface UnwrittenSample {
  /** Its index among the samples. */
  readonly index: number;
  readonly reason: string;
}

export interface GroupEvaluationContext extends RuleEvaluationContext {
  /** The offset of groups without `query_offset`. */
  readonly queryOffsetMs: number;
  /** Stores samples. Resolves when later queries find them. */
  write(samples: readonly RuleSample[]): Promise<readonly UnwrittenSample[]>;
}

/** What an evaluation made of one rule of a group. */
export interface RuleOutcome {
  readonly index: number;
  readonly rule: GroupRule;
  readonly state: RuleState;
  /** The samples that were stored. */
  readonly written: number;
  /** Why the evaluation failed, or some samples could not be stored. Undefined if all is well. */
  readonly error?: unknown;
}

/** The states of the rules of a group, by index. Rules without a state are new. */
export type GroupStates = readonly (RuleState | undefined)[];

/** Evaluates a group at a time, rule by rule. Never throws: errors are in the outcomes. */
export async function* evaluateGroup(
  group: RuleGroup,
  states: GroupStates,
  timeMs: number,
  context: GroupEvaluationContext,
): AsyncGenerator<RuleOutcome, void, undefined> {
  const queryOffsetMs = group.queryOffsetMs ?? context.queryOffsetMs;
  const terms = { timeMs, queryOffsetMs, limit: group.limit };
  for (const [index, rule] of group.rules.entries()) {
    const before = states[index] ?? NEW_RULE_STATE;
    const { state, samples, error } = await evaluateRule(rule, before, terms, context);
    if (error === undefined) yield await writtenOutcome(index, rule, state, before, samples, context);
    else yield { index, rule, state, written: 0, error };
  }
}

async function writtenOutcome(
  index: number,
  rule: GroupRule,
  state: RuleState,
  before: RuleState,
  samples: readonly RuleSample[],
  context: GroupEvaluationContext,
): Promise<RuleOutcome> {
  if (samples.length === 0) return { index, rule, state, written: 0 };
  try {
    const unwritten = await context.write(samples);
    const written = samples.length - unwritten.length;
    if (unwritten.length === 0) return { index, rule, state, written };
    const series = new Map(state.series);
    for (const each of unwritten) {
      const { labels, isStale } = samples[each.index];
      // A stale marker that could not be stored is not tried again: its series ended.
      if (!isStale) series.delete(labelValuesKey(labels));
    }
    const [{ reason }] = unwritten;
    const error = new RuleFault(
      `${unwritten.length} of ${samples.length} samples were not stored: ${reason}`,
    );
    return { index, rule, state: { ...state, series }, written, error };
  } catch (error) {
    // The series of the evaluation before end when one that can be written does not have them.
    return { index, rule, state: { ...state, series: before.series }, written: 0, error };
  }
}
