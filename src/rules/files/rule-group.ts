/** Groups of rules as they are read from a file: everything is checked, and templates are parsed. */
import type { LabelValues } from "../label-values.ts";

/** What a template can use of an alert. */
export interface ExpansionData {
  readonly value: number;
  readonly labels: LabelValues;
  readonly externalLabels: LabelValues;
  readonly externalURL: string;
  /** The time of the evaluation. */
  readonly timeMs: number;
}

/** One series of the answer to a query. */
export interface QuerySample {
  readonly labels: LabelValues;
  readonly value: number;
}

/** Answers a PromQL expression at one time. A scalar is one sample without labels. */
export type AnswerQuery = (expression: string) => Promise<readonly QuerySample[]>;

/** A parsed text with templates. */
export interface ExpandableText {
  /**
   * @param options `onError` is called if the template fails and the text says so
   * @throws Error if the template fails for this alert and there is no text
   */
  expand(
    data: ExpansionData,
    query: AnswerQuery,
    options?: { readonly onError?: (error: Error) => void },
  ): Promise<string>;
}

/**
 * Parses a text with Go templates, such as `{{ $value | humanize }}`.
 *
 * @param alert the name of the alert
 * @throws Error whose message says what is wrong
 */
export type ParseExpandable = (text: string, alert: string) => ExpandableText;

/** What a rule asks. */
export interface RuleQuestion {
  readonly language: "promql" | "sql";
  /** PromQL in its usual form, or the SQL statement as it is in the file. */
  readonly text: string;
  /** PromQL: the metrics that its selectors name. Undefined if it can read others, as SQL can. */
  readonly reads?: readonly string[];
  /** SQL: where the statement begins in the file. */
  readonly place?: { readonly line: number; readonly column: number };
}

/** A label or annotation of an alerting rule. */
export interface ExpandableField {
  readonly name: string;
  /** As it is in the file. */
  readonly source: string;
  readonly text: ExpandableText;
}

interface GroupRuleBase {
  /** The name of the alert, or of the metric that is recorded. */
  readonly name: string;
  /** Where the rule begins in its file. Both count from 1. */
  readonly line: number;
  readonly column: number;
  readonly question: RuleQuestion;
  /** The labels of the rule and of its group, as they are in the file, sorted by name. */
  readonly labels: LabelValues;
}

export interface RecordingRule extends GroupRuleBase {
  readonly kind: "recording";
}

export interface AlertingRule extends GroupRuleBase {
  readonly kind: "alerting";
  readonly forMs: number;
  readonly keepFiringForMs: number;
  /** As they are in the file, sorted by name. */
  readonly annotations: LabelValues;
  /** `labels` and `annotations` as templates. */
  readonly labelFields: readonly ExpandableField[];
  readonly annotationFields: readonly ExpandableField[];
}

export type GroupRule = RecordingRule | AlertingRule;

export interface RuleGroup {
  /** The path of its file, as it was given. */
  readonly file: string;
  readonly name: string;
  readonly line: number;
  /** Undefined: the interval of all groups. */
  readonly intervalMs: number | undefined;
  /** How much earlier than its evaluation the group queries. Undefined: that of all groups. */
  readonly queryOffsetMs: number | undefined;
  /** The most series of a recording rule, and the most alerts of an alerting rule. 0 means no limit. */
  readonly limit: number;
  readonly rules: readonly GroupRule[];
}
