/** Groups of rules as a rule file has them, for rules that are generated. */
import { yaml } from "../../program/deferred-libraries.ts";
import type { LabelValues } from "../label-values.ts";

export interface RuleSource {
  readonly record?: string;
  readonly alert?: string;
  readonly expr?: string;
  readonly sql?: string;
  readonly for?: string;
  readonly labels?: LabelValues;
  readonly annotations?: LabelValues;
}

export interface GroupSource {
  readonly name: string;
  readonly interval: string;
  readonly rules: readonly RuleSource[];
}

/** The text of a rule file with these groups. Prometheus reads it, too, if no rule has `sql`. */
export function ruleFileText(groups: readonly GroupSource[]): string {
  return yaml().stringify({ groups }, { lineWidth: 0, aliasDuplicateObjects: false });
}
