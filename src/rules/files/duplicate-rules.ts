/** Finds rules that write the same series, or make the same alerts, as another rule. */
import { quote } from "../../model/errors.ts";
import { labelValuesKey } from "../label-values.ts";
import type { GroupRule, RuleGroup } from "./rule-group.ts";
import type { PlacedProblem } from "./yaml-tree.ts";

/**
 * Name and labels of each rule are compared, as `promtool check rules` does. Such rules are not errors: their
 * expressions can select different series.
 */
export function duplicateWarnings(groups: readonly RuleGroup[]): PlacedProblem[] {
  return pairsOf(groups).map((pair) => warningOf(pair, `line ${pair.before.rule.line}`));
}

/** As `duplicateWarnings`, for rules of different files. */
export function duplicatesInOtherFiles(
  groups: readonly RuleGroup[],
): (PlacedProblem & { readonly file: string })[] {
  return pairsOf(groups)
    .filter(({ group, before }) => group.file !== before.group.file)
    .map((pair) => ({
      file: pair.group.file,
      ...warningOf(pair, `line ${pair.before.rule.line} of ${pair.before.group.file}`),
    }));
}

interface Placed {
  readonly group: RuleGroup;
  readonly rule: GroupRule;
}

/** A rule, and the first rule with the same name and labels. */
interface Pair extends Placed {
  readonly index: number;
  readonly before: Placed;
}

function pairsOf(groups: readonly RuleGroup[]): Pair[] {
  const first = new Map<string, Placed>();
  const pairs: Pair[] = [];
  for (const group of groups) {
    for (const [index, rule] of group.rules.entries()) {
      const key = `${rule.kind} ${rule.name} ${labelValuesKey(rule.labels)}`;
      const before = first.get(key);
      if (before === undefined) first.set(key, { group, rule });
      else pairs.push({ group, rule, index, before });
    }
  }
  return pairs;
}

function warningOf({ group, rule, index, before }: Pair, place: string): PlacedProblem {
  const { line, column } = rule;
  const message =
    `group ${quote(group.name)}, rule ${index + 1}, ${quote(rule.name)}: duplicate rule: ` +
    `the rule of group ${quote(before.group.name)} in ${place} has the same name and labels. ` +
    "One of them is probably a mistake.";
  return { line, column, message };
}
