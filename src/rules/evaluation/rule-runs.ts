/**
 * Divides the rules of a group into runs. The rules of a run are asked at once and then written at once. The results are
 * those of an evaluation rule by rule:
 *
 * - A rule is in a later run than each rule before it whose samples it reads.
 * - A rule that reads what a rule after it writes is in the same run or an earlier one, so that it still finds what the
 *   evaluation before wrote.
 * - Of two rules that can write the same series, the first one is not in a later run.
 */
import { prometheusName } from "../../model/names.ts";
import type { GroupRule, RuleGroup } from "../files/rule-group.ts";
import { ALERTS, ALERTS_FOR_STATE } from "./rule-evaluation.ts";

/** The expressions of a run are evaluated in one thread. */
export const RUN_LENGTH_MAX = 100;
/** Before the first run. */
const NONE = -1;

/** The indexes of the rules of each run. */
export function runsOf(
  { rules }: Pick<RuleGroup, "rules">,
  lengthMax = RUN_LENGTH_MAX,
): readonly (readonly number[])[] {
  const stages = new Stages();
  const byStage = Map.groupBy(rules.keys(), (index) => stages.next(rules[index]!));
  const runs: number[][] = [];
  for (const [, indexes] of [...byStage].sort(([a], [b]) => a - b)) {
    let run: number[] = [];
    for (const index of indexes) {
      const isAlone = asksAlone(rules[index]!);
      if (run.length > 0 && (isAlone || run.length >= lengthMax)) {
        runs.push(run);
        run = [];
      }
      run.push(index);
      if (!isAlone) continue;
      runs.push(run);
      run = [];
    }
    if (run.length > 0) runs.push(run);
  }
  return runs;
}

/** Gives each rule its stage, in the order of the rules. */
class Stages {
  /** By metric: the last stage in which rules write it, and in which rules read it. */
  readonly #written = new Map<string, number>();
  readonly #read = new Map<string, number>();
  /** By output: the last stage of rules with the same one. */
  readonly #outputs = new Map<string, number>();
  #lastWritten = NONE;
  /** The last stage of a rule that can read any metric. */
  #readAny = NONE;

  next(rule: GroupRule): number {
    const { name, kind } = rule;
    const writes = kind === "recording" ? [name] : [ALERTS, ALERTS_FOR_STATE];
    const reads = readsOf(rule);
    const output = `${kind} ${name}`;
    const stage = Math.max(
      0,
      reads === undefined ? this.#lastWritten + 1 : 0,
      ...(reads ?? []).map((each) => (this.#written.get(each) ?? NONE) + 1),
      ...writes.map((each) => this.#read.get(each) ?? NONE),
      this.#readAny,
      this.#outputs.get(output) ?? NONE,
    );
    this.#outputs.set(output, stage);
    for (const each of writes) this.#written.set(each, Math.max(stage, this.#written.get(each) ?? NONE));
    for (const each of reads ?? []) this.#read.set(each, Math.max(stage, this.#read.get(each) ?? NONE));
    this.#lastWritten = Math.max(stage, this.#lastWritten);
    if (reads === undefined) this.#readAny = stage;
    return stage;
  }
}

/** The metrics that a rule reads, as Prometheus spells them. Undefined if it can read any. */
function readsOf(rule: GroupRule): readonly string[] | undefined {
  return asksInTemplates(rule) ? undefined : rule.question.reads?.map(prometheusName);
}

/** Whether a rule can only be asked by itself. */
function asksAlone(rule: GroupRule): boolean {
  return rule.question.language === "sql" || asksInTemplates(rule);
}

/** Queries of templates are asked when a rule is evaluated, and can read anything. */
function asksInTemplates(rule: GroupRule): boolean {
  if (rule.kind === "recording") return false;
  return [...rule.labelFields, ...rule.annotationFields].some(({ source }) => /\bquery\b/.test(source));
}
