/**
 * One evaluation of a group: its rules in order, at one time. What a rule writes is committed before a rule that reads it
 * runs, so that a rule can use what the rules before it recorded. It has no clock.
 */
import type { GroupRule, QuerySample, RuleGroup, RuleQuestion } from "../files/rule-group.ts";
import { labelValuesKey } from "../label-values.ts";
import {
  type EvaluationTerms,
  evaluateRule,
  type RuleEvaluation,
  type RuleEvaluationContext,
  RuleFault,
} from "./rule-evaluation.ts";
import { runsOf } from "./rule-runs.ts";
import { NEW_RULE_STATE, type RuleSample, type RuleState } from "./rule-state.ts";

/** A sample that could not be stored. */
export interface UnwrittenSample {
  /** Its index among the samples. */
  readonly index: number;
  readonly reason: string;
}

/** The answer to a question, or the error instead of it. */
export type QuestionOutcome = readonly QuerySample[] | Error;

export interface GroupEvaluationContext extends RuleEvaluationContext {
  /** The offset of groups without `query_offset`. */
  readonly queryOffsetMs: number;
  /** Answers several questions in PromQL at once. Without it, they are answered one by one. Never rejects. */
  answerAll?(questions: readonly RuleQuestion[], timeMs: number): Promise<readonly QuestionOutcome[]>;
  /** The most rules that are answered together. */
  readonly togetherMax?: number;
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
  /** The templates that failed, one for each text. */
  readonly templateErrors: readonly Error[];
  /** How many rules were evaluated together with this one, itself included. */
  readonly together: number;
}

/** The states of the rules of a group, by index. Rules without a state are new. */
export type GroupStates = readonly (RuleState | undefined)[];

/** A rule of a run, and what its evaluation found. */
interface Evaluated extends RuleEvaluation {
  readonly index: number;
  readonly rule: GroupRule;
  readonly before: RuleState;
}

/** Evaluates a group at a time. The outcomes are in the order of the rules. Never throws: errors are in the outcomes. */
export async function* evaluateGroup(
  group: RuleGroup,
  states: GroupStates,
  timeMs: number,
  context: GroupEvaluationContext,
): AsyncGenerator<RuleOutcome, void, undefined> {
  const queryOffsetMs = group.queryOffsetMs ?? context.queryOffsetMs;
  const terms = { timeMs, queryOffsetMs, limit: group.limit };
  const runs =
    context.answerAll === undefined
      ? group.rules.map((_, index) => [index])
      : runsOf(group, context.togetherMax);
  for (const run of runs) {
    const answers = await answersOf(group, run, terms, context);
    const evaluated: Evaluated[] = [];
    for (const index of run) {
      const rule = group.rules[index]!;
      const before = states[index] ?? NEW_RULE_STATE;
      const own = withAnswer(context, rule, answers?.get(index));
      evaluated.push({ index, rule, before, ...(await evaluateRule(rule, before, terms, own)) });
    }
    yield* await writtenOutcomes(evaluated, context);
  }
}

/** The answers to the questions of a run by index. Undefined if each is answered when its rule is evaluated. */
async function answersOf(
  { rules }: RuleGroup,
  run: readonly number[],
  { timeMs, queryOffsetMs }: EvaluationTerms,
  context: GroupEvaluationContext,
): Promise<ReadonlyMap<number, QuestionOutcome> | undefined> {
  if (run.length === 1 || context.answerAll === undefined) return undefined;
  const questions = run.map((index) => rules[index]!.question);
  const outcomes = await context.answerAll(questions, timeMs - queryOffsetMs);
  return new Map(run.map((index, at) => [index, outcomes[at]!]));
}

function withAnswer(
  context: RuleEvaluationContext,
  { question: own }: GroupRule,
  outcome: QuestionOutcome | undefined,
): RuleEvaluationContext {
  if (outcome === undefined) return context;
  return {
    ...context,
    answer: async (question, timeMs) => {
      if (question !== own) return await context.answer(question, timeMs);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
  };
}

/** Writes the samples of a run. */
async function writtenOutcomes(
  run: readonly Evaluated[],
  context: GroupEvaluationContext,
): Promise<readonly RuleOutcome[]> {
  const good = run.filter(({ error }) => error === undefined);
  const samples = good.flatMap((each) => each.samples);
  let unwritten: readonly UnwrittenSample[] = [];
  let failure: { readonly error: unknown } | undefined;
  try {
    if (samples.length > 0) unwritten = await context.write(samples);
  } catch (error) {
    failure = { error };
  }
  const beginOf = new Map<Evaluated, number>();
  let begin = 0;
  for (const each of good) {
    beginOf.set(each, begin);
    begin += each.samples.length;
  }
  return run.map((each): RuleOutcome => {
    const { index, rule, state, before, error, templateErrors = [] } = each;
    const outcome = { index, rule, state, written: 0, templateErrors, together: run.length };
    if (error !== undefined) return { ...outcome, error };
    const count = each.samples.length;
    if (count === 0) return outcome;
    // The series of the evaluation before end when one that can be written does not have them.
    if (failure !== undefined) return { ...outcome, state: { ...state, series: before.series }, ...failure };
    const from = beginOf.get(each)!;
    const own = unwritten.filter((one) => one.index >= from && one.index < from + count);
    if (own.length === 0) return { ...outcome, written: count };
    const series = new Map(state.series);
    for (const one of own) {
      const { labels, isStale } = samples[one.index]!;
      // A stale marker that could not be stored is not tried again: its series ended.
      if (!isStale) series.delete(labelValuesKey(labels));
    }
    const reason = `${own.length} of ${count} samples were not stored: ${own[0]!.reason}`;
    return {
      ...outcome,
      state: { ...state, series },
      written: count - own.length,
      error: new RuleFault(reason),
    };
  });
}
