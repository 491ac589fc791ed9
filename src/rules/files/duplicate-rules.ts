/** Finds rules that write the same series, or make the same alerts, as another rule of their file. */
import { quote } from "../../model/errors.ts";
import { labelValuesKey } from "../label-values.ts";
import type { GroupRule, RuleGroup } from "./rule-group.ts";
import type { PlacedProblem } from "./yaml-tree.ts";

/**
 * Name and labels of each rule are compared, as `promtool check rules` does. Such rules are not errors: their
 * expressions can select different series.
 */
export function duplicateWarnings(groups: readonly RuleGroup[]): PlacedProblem[] {
  const first = new Map<string, { readonly group: RuleGroup; readonly rule: GroupRule }>();
  const warnings: PlacedProblem[] = [];
  for (const group of groups) {
    for (const [index, rule] of group.rules.entries()) {
      const key = `${rule.kind} ${rule.name} ${labelValuesKey(rule.labels)}`;
      const before = first.get(key);
      if (before === undefined) {
        first.set(key, { group, rule });
        continue;
      }
      const { line, column } = rule;
      const where = `the rule of group ${quote(before.group.name)} in line ${before.rule.line}`;
      const message =
        `group ${quote(group.name)}, rule ${index + 1}, ${quote(rule.name)}: duplicate rule: ` +
        `${where} has the same name and labels. One of them is probably a mistake.`;
      warnings.push({ line, column, message });
    }
  }
  return warnings;
}
