/**
 * Evaluates one rule group at its interval.
 *
 * - Evaluations are at multiples of the interval plus an offset that depends on the group's name and file, so that the
 *   groups do not all run at once, and run at the same times after a restart.
 * - Two evaluations never overlap. Those that are late are skipped and counted.
 * - Rules that do not depend on each other are asked together. A rule that takes longer than the interval is cancelled
 *   and counted, and fewer rules are asked together then. The rules after it are still evaluated.
 */
import { TIMER_MS_MAX } from "../../model/duration.ts";
import { Timeout, Unavailable } from "../../model/errors.ts";
import type { AlertReceiver } from "../alert.ts";
import {
  evaluateGroup,
  type GroupEvaluationContext,
  type RuleOutcome,
} from "../evaluation/group-evaluation.ts";
import { restoredAfterOutage, type StoredAlert, stateAfterStart } from "../evaluation/restored-state.ts";
import type { AlertOrigin } from "../evaluation/rule-evaluation.ts";
import { RUN_LENGTH_MAX } from "../evaluation/rule-runs.ts";
import { NEW_RULE_STATE, type RuleState } from "../evaluation/rule-state.ts";
import { sendableAlerts } from "../evaluation/sent-alerts.ts";
import type { GroupRule, RuleGroup } from "../files/rule-group.ts";
import { type QuestionAnswers, Unanswered } from "./question-answers.ts";
import type { RuleCounters } from "./rule-counters.ts";
import { type SampleStore, SampleWriter } from "./sample-writer.ts";

/** What is known of a rule's last evaluation. */
export interface RuleHealth {
  readonly health: "ok" | "err" | "unknown";
  readonly lastError: string;
  /** Undefined before the first evaluation. */
  readonly evaluatedAtMs: number | undefined;
  readonly tookMs: number;
}

const UNKNOWN: RuleHealth = { health: "unknown", lastError: "", evaluatedAtMs: undefined, tookMs: 0 };

export interface GroupLoopOptions extends AlertOrigin {
  readonly answers: QuestionAnswers;
  readonly store: SampleStore;
  readonly receiver: AlertReceiver;
  readonly counters: RuleCounters;
  /** The interval, offset and delay of groups that do not set them. */
  readonly intervalMs: number;
  readonly queryOffsetMs: number;
  readonly resendDelayMs: number;
  /** The address of a page that shows the answer to a rule's question. Empty if there is none. */
  readonly pageOf: (rule: GroupRule) => string;
  /** Called with each outcome. Returns what else is wrong with the rule, such as a series that another one writes too. */
  readonly inspect: (group: RuleGroup, outcome: RuleOutcome) => string | undefined;
  readonly onFault: (group: RuleGroup, rule: GroupRule | undefined, error: unknown) => void;
  /** Called when a template of a rule begins to fail. */
  readonly onTemplateFault: (group: RuleGroup, rule: GroupRule, error: Error) => void;
  readonly now: () => number;
}

/** An alert of the store with the rule that it belongs to. */
export type StoredByRule = ReadonlyMap<GroupRule, readonly StoredAlert[]>;

export class RuleGroupLoop {
  readonly group: RuleGroup;
  readonly intervalMs: number;
  readonly #options: GroupLoopOptions;
  readonly #writer: SampleWriter;
  readonly #stopping = new AbortController();
  readonly #stored: StoredByRule;
  /** The indexes of rules whose state a later version of the group has. */
  readonly #taken = new Set<number>();
  /** The rules whose templates failed in their last evaluation. */
  readonly #withBadTexts = new Set<GroupRule>();
  /** The most rules that are asked together. Halved when they were not answered in time. */
  #togetherMax = RUN_LENGTH_MAX;
  #states: RuleState[];
  #healths: RuleHealth[];
  #evaluations = 0;
  #isFinishing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();
  #last: { readonly evaluatedAtMs: number | undefined; readonly tookMs: number } = UNKNOWN;

  /**
   * @param before the loop of an earlier version of the group, which was stopped. Rules that are the same in both keep
   *   their state
   * @param stored alerts of the store, for a loop without a version before it
   */
  constructor(
    group: RuleGroup,
    options: GroupLoopOptions,
    { before, stored = new Map() }: { readonly before?: RuleGroupLoop; readonly stored?: StoredByRule } = {},
  ) {
    this.group = group;
    this.intervalMs = group.intervalMs ?? options.intervalMs;
    this.#options = options;
    this.#writer = new SampleWriter(options.store);
    this.#stored = stored;
    const kept = group.rules.map((rule) => before?.takeRule(rule));
    // Only a loop that continues after a restart has alerts of the store.
    this.#states = kept.map((each) => ({ ...(each?.state ?? NEW_RULE_STATE), isRestored: true }));
    this.#healths = kept.map((each) => each?.health ?? UNKNOWN);
    if (before !== undefined) this.#last = before.#last;
  }

  /** The states of the rules, by index. */
  get states(): readonly RuleState[] {
    return this.#states;
  }

  get healths(): readonly RuleHealth[] {
    return this.#healths;
  }

  /** The time of the last evaluation, and how long it took. */
  get last(): { readonly evaluatedAtMs: number | undefined; readonly tookMs: number } {
    return this.#last;
  }

  /** The state of a rule with the same name, labels and question. Each is taken once. */
  takeRule(rule: GroupRule): { readonly state: RuleState; readonly health: RuleHealth } | undefined {
    const key = ruleKey(rule);
    const index = this.group.rules.findIndex((each, at) => !this.#taken.has(at) && ruleKey(each) === key);
    if (index < 0) return undefined;
    this.#taken.add(index);
    return { state: this.#states[index]!, health: this.#healths[index]! };
  }

  /** The states of rules that no later version of the group took. */
  untakenStates(): RuleState[] {
    return this.#states.filter((_, at) => !this.#taken.has(at));
  }

  start(): void {
    const { now } = this.#options;
    this.#schedule(evaluationTime(this.group, this.intervalMs, now()) + this.intervalMs);
  }

  /** Evaluates no more. Resolves when the running evaluation has ended. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** As `finish`, and cancels the running evaluation. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Unavailable("the gateway is stopping"));
    await this.finish();
  }

  /** Evaluates the group at a time. Never rejects. */
  async evaluate(timeMs: number): Promise<void> {
    const begun = performance.now();
    const { group } = this;
    const { counters, onFault } = this.#options;
    if (this.#evaluations === 0 && this.#stored.size > 0) this.#restore(timeMs);
    let written = 0;
    try {
      written = await this.#evaluateRules(timeMs);
    } catch (error) {
      onFault(group, undefined, error);
    }
    this.#writer.forgetUnused();
    this.#evaluations++;
    if (this.#evaluations === 2) this.#restoreAfterOutage(timeMs);
    const tookMs = performance.now() - begun;
    this.#last = { evaluatedAtMs: timeMs, tookMs };
    counters.evaluated(group, { timeMs, tookMs, written });
  }

  async #evaluateRules(timeMs: number): Promise<number> {
    const { group } = this;
    const rule = new RuleTime(this.intervalMs, this.#stopping.signal);
    let written = 0;
    let remaining = 0;
    let unanswered = 0;
    let spent = { tookMs: 0, isCancelled: false };
    try {
      for await (const outcome of evaluateGroup(group, this.#states, timeMs, this.#context(rule))) {
        if (this.#stopping.signal.aborted) return written;
        // The outcomes of rules that were evaluated together come one after the other.
        if (remaining === 0) {
          remaining = outcome.together;
          spent = rule.next();
        }
        remaining--;
        const isCancelled = spent.isCancelled && outcome.error !== undefined;
        if (outcome.error instanceof Unanswered) unanswered = Math.max(unanswered, outcome.together);
        await this.#settle(outcome, { timeMs, tookMs: spent.tookMs / outcome.together, isCancelled });
        written += outcome.written;
      }
    } finally {
      rule.end();
    }
    // A rule that takes too much time or memory must not let others fail at each evaluation.
    const together = unanswered > 0 ? Math.floor(unanswered / 2) : this.#togetherMax * 2;
    this.#togetherMax = Math.max(1, Math.min(RUN_LENGTH_MAX, together));
    return written;
  }

  #context(rule: RuleTime): GroupEvaluationContext {
    const { answers, externalLabels, externalURL, queryOffsetMs } = this.#options;
    const patienceMs = Math.min(PATIENCE_MS_MAX, this.intervalMs / PATIENCE_PER_INTERVAL);
    return {
      externalLabels,
      externalURL,
      queryOffsetMs,
      togetherMax: this.#togetherMax,
      answer: (question, timeMs) => answers.answer(question, timeMs, { signal: rule.signal, patienceMs }),
      answerAll: (questions, timeMs) =>
        answers.answerAll(questions, timeMs, { signal: rule.signal, patienceMs }),
      write: (samples) => this.#writer.write(samples),
    };
  }

  /** Keeps what an evaluation made of a rule, and sends its alerts. */
  async #settle(
    outcome: RuleOutcome,
    { timeMs, tookMs, isCancelled }: { timeMs: number; tookMs: number; isCancelled: boolean },
  ): Promise<void> {
    const { group, intervalMs } = this;
    const { index, rule, state, error } = outcome;
    const { counters, inspect, onFault, receiver, pageOf, resendDelayMs, externalLabels } = this.#options;
    this.#states[index] = state;
    const lastError = error === undefined ? inspect(group, outcome) : messageOf(error);
    const isBad = lastError !== undefined;
    const wasBad = this.#healths[index]!.health === "err";
    this.#healths[index] = {
      health: isBad ? "err" : "ok",
      lastError: lastError ?? "",
      evaluatedAtMs: timeMs,
      tookMs,
    };
    counters.ruleEvaluated(group, { tookMs, isBad, isCancelled });
    // Once until it recovers: a rule is evaluated every few seconds.
    if (isBad && !wasBad) onFault(group, rule, error ?? lastError);
    this.#noteTemplates(outcome);
    const generatorURL = pageOf(rule);
    const { alerts, sent } = sendableAlerts(state, {
      ...{ timeMs, intervalMs, resendDelayMs, externalLabels, generatorURL },
    });
    if (alerts.length === 0) return;
    try {
      await receiver.receive(alerts);
      this.#states[index] = sent;
    } catch (failed) {
      // They are sent again after the next evaluation.
      onFault(group, rule, failed);
    }
  }

  /** Counts the templates that failed, and reports the first of a rule. */
  #noteTemplates({ rule, error, templateErrors }: RuleOutcome): void {
    const [first] = templateErrors;
    if (first === undefined) {
      // An evaluation that failed did not expand them.
      if (error === undefined) this.#withBadTexts.delete(rule);
      return;
    }
    this.#options.counters.templatesFailed(this.group, templateErrors.length);
    if (!this.#withBadTexts.has(rule)) this.#options.onTemplateFault(this.group, rule, first);
    this.#withBadTexts.add(rule);
  }

  #restore(timeMs: number): void {
    this.#states = this.group.rules.map((rule, index) => {
      const stored = this.#stored.get(rule);
      if (stored === undefined) return this.#states[index]!;
      return stateAfterStart(rule, stored, timeMs, this.intervalMs);
    });
  }

  #restoreAfterOutage(timeMs: number): void {
    this.#states = this.group.rules.map((rule, index) => {
      const state = this.#states[index]!;
      if (state.isRestored || rule.kind === "recording") return state;
      return restoredAfterOutage(rule, state, this.#stored.get(rule) ?? [], timeMs);
    });
  }

  #schedule(plannedMs: number): void {
    const { now, counters } = this.#options;
    // If the clock was set back, the next evaluation is an interval away and not hours.
    const nextMs = evaluationTime(this.group, this.intervalMs, now()) + this.intervalMs;
    const timeMs = Math.min(plannedMs, nextMs);
    const waitMs = Math.max(0, timeMs - now());
    if (waitMs > TIMER_MS_MAX) {
      this.#timer = setTimeout(() => this.#schedule(timeMs), TIMER_MS_MAX);
      this.#timer.unref();
      return;
    }
    this.#timer = setTimeout(() => {
      const missed = Math.floor((now() - timeMs) / this.intervalMs);
      if (missed > 0) counters.missed(this.group, missed);
      const at = timeMs + Math.max(0, missed) * this.intervalMs;
      this.#running = this.evaluate(at).then(() => {
        if (!this.#isFinishing) this.#schedule(at + this.intervalMs);
      });
    }, waitMs);
    this.#timer.unref();
  }
}

/** Rules wait for those of other groups, for at most a fifth of their interval: see RuleQueryOptions. */
const PATIENCE_PER_INTERVAL = 5;
const PATIENCE_MS_MAX = 2_000;

/** The time of one rule: its signal aborts at the end of the group's interval. */
class RuleTime {
  readonly #intervalMs: number;
  readonly #stopping: AbortSignal;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #begun = performance.now();
  signal: AbortSignal;

  constructor(intervalMs: number, stopping: AbortSignal) {
    this.#intervalMs = intervalMs;
    this.#stopping = stopping;
    this.signal = this.#begin();
  }

  /** Ends the time of a rule, and begins that of the next one. */
  next(): { readonly tookMs: number; readonly isCancelled: boolean } {
    const ended = { tookMs: performance.now() - this.#begun, isCancelled: this.#abort.signal.aborted };
    this.end();
    this.signal = this.#begin();
    return ended;
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #begin(): AbortSignal {
    this.#begun = performance.now();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const late = new Timeout(`the rule took longer than the interval of its group, ${this.#intervalMs} ms`);
    this.#timer = setTimeout(() => this.#abort.abort(late), Math.min(this.#intervalMs, TIMER_MS_MAX));
    this.#timer.unref();
    return AbortSignal.any([signal, this.#stopping]);
  }
}

/** The last time up to now at which a group is evaluated: whole seconds, if the interval is. */
export function evaluationTime(
  { file, name }: Pick<RuleGroup, "file" | "name">,
  intervalMs: number,
  nowMs: number,
): number {
  const unitMs = intervalMs % 1_000 === 0 ? 1_000 : 1;
  const offsetMs = Number(BigInt(Bun.hash(`${file};${name}`)) % BigInt(intervalMs / unitMs)) * unitMs;
  return Math.floor((nowMs - offsetMs) / intervalMs) * intervalMs + offsetMs;
}

/** Equal for rules that go on as one. */
export function ruleKey({ kind, name, labels, question }: GroupRule): string {
  return JSON.stringify([kind, name, labels, question.language, question.text]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
