/**
 * Relabelling, as Prometheus has it (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config):
 * rules that change the labels of a series, or drop it, one after the other. Pure. The name of the metric is the label
 * `__name__`. Expressions have the syntax of RE2, match a whole value, and take time linear in its length.
 */
import { nodeCrypto } from "../../program/deferred-libraries.ts";
import type { RE2JS } from "re2js";
import { re2 } from "../../program/deferred-libraries.ts";

export const RELABEL_ACTIONS = [
  "replace",
  "keep",
  "drop",
  "keepequal",
  "dropequal",
  "hashmod",
  "labelmap",
  "labeldrop",
  "labelkeep",
  "lowercase",
  "uppercase",
] as const;

export type RelabelAction = (typeof RELABEL_ACTIONS)[number];

export interface RelabelRule {
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  readonly regex: string;
  /** 0 for actions other than hashmod. */
  readonly modulus: number;
  readonly targetLabel: string;
  readonly replacement: string;
  readonly action: RelabelAction;
}

type LabelTable = Map<string, string>;

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** A longer expression would take seconds to compile. */
const EXPRESSION_LENGTH_MAX = 4_096;

/**
 * Whether an expression is valid.
 *
 * @throws Error with the reason
 */
export function checkExpression(regex: string): void {
  compile(regex);
}

function compile(regex: string): RE2JS {
  if (regex.length > EXPRESSION_LENGTH_MAX)
    throw new Error(`it has ${regex.length} characters, expected at most ${EXPRESSION_LENGTH_MAX}`);
  return re2().RE2JS.compile(`^(?s:${regex})$`);
}

/** A function that applies the rules to labels. It returns undefined if they drop the series. */
export function relabelling(
  rules: readonly RelabelRule[],
): (labels: ReadonlyMap<string, string>) => ReadonlyMap<string, string> | undefined {
  if (rules.length === 0) return (labels) => labels;
  const compiled = rules.map((rule) => ({ rule, regex: compile(rule.regex) }));
  return (labels) => {
    const changed = new Map(labels);
    for (const { rule, regex } of compiled) if (!apply(rule, regex, changed)) return undefined;
    return changed;
  };
}

/** Applies one rule. Returns false if it drops the series. */
function apply(rule: RelabelRule, regex: RE2JS, labels: LabelTable): boolean {
  const { action, targetLabel } = rule;
  const value = rule.sourceLabels.map((name) => labels.get(name) ?? "").join(rule.separator);
  switch (action) {
    case "keep":
      return regex.matches(value);
    case "drop":
      return !regex.matches(value);
    case "keepequal":
      return value === (labels.get(targetLabel) ?? "");
    case "dropequal":
      return value !== (labels.get(targetLabel) ?? "");
    case "replace":
      replace(rule, regex, value, labels);
      return true;
    case "lowercase":
      set(labels, targetLabel, value.toLowerCase());
      return true;
    case "uppercase":
      set(labels, targetLabel, value.toUpperCase());
      return true;
    case "hashmod":
      set(labels, targetLabel, String(hashOf(value) % BigInt(rule.modulus)));
      return true;
    case "labelmap":
      for (const [name, of] of [...labels]) {
        const matcher = regex.matcher(name);
        if (matcher.matches()) set(labels, expand(rule.replacement, regex, name), of);
      }
      return true;
    case "labeldrop":
      for (const name of [...labels.keys()]) if (regex.matches(name)) labels.delete(name);
      return true;
    case "labelkeep":
      for (const name of [...labels.keys()]) if (!regex.matches(name)) labels.delete(name);
      return true;
  }
}

function replace(rule: RelabelRule, regex: RE2JS, value: string, labels: LabelTable): void {
  if (!regex.matches(value)) return;
  const target = expand(rule.targetLabel, regex, value);
  if (LABEL_NAME.test(target)) set(labels, target, expand(rule.replacement, regex, value));
}

function set(labels: LabelTable, name: string, value: string): void {
  if (value === "") labels.delete(name);
  else labels.set(name, value);
}

/** Replaces `$1`, `${1}` and `${name}` by groups, as Go's Regexp.Expand does. Groups that do not exist are empty. */
function expand(template: string, regex: RE2JS, value: string): string {
  if (!template.includes("$")) return template;
  const matcher = regex.matcher(value);
  if (!matcher.matches()) return "";
  return template.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (match, braced?: string, bare?: string) => {
    if (match === "$$") return "$";
    const name = braced ?? bare!;
    try {
      return (/^[0-9]+$/.test(name) ? matcher.group(Number(name)) : matcher.group(name)) ?? "";
    } catch {
      return "";
    }
  });
}

/** As Prometheus: the last 64 bits of the MD5. */
function hashOf(value: string): bigint {
  return nodeCrypto().createHash("md5").update(value).digest().readBigUInt64BE(8);
}
