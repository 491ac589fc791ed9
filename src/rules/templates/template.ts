/**
 * Templates of rules: Go's text/template with the functions of Prometheus, for labels and annotations of alerts. A text
 * is parsed once, and expanded for each alert.
 *
 * What is not supported (a syntax, a function, a variable, a field) is an error when the text is parsed, with the place.
 * An expansion that fails becomes a text that says so, as in Prometheus: an alert without a description is better than
 * no alert. Nothing here reads a store or a clock.
 */
import { BUILTIN_FUNCTIONS } from "./builtin-functions.ts";
import { expandTree, QueryNeeded, type TemplateWork } from "./expand-template.ts";
import { type GoFunction, type GoSample, GoStruct, type GoValue, labelMap } from "./go-values.ts";
import { parseTemplateTree } from "./parse-template.ts";
import { PROMETHEUS_FUNCTIONS } from "./prometheus-functions.ts";
import { checkFields } from "./template-fields.ts";
import { ExpansionError } from "./template-errors.ts";

/** What a text can show. */
export interface TemplateData {
  /** `$value` and `.Value`: the value of the alert's expression. */
  readonly value: number;
  /** `$labels` and `.Labels` */
  readonly labels: GoSample["labels"];
  /** `$externalLabels` and `.ExternalLabels` */
  readonly externalLabels: GoSample["labels"];
  /** `$externalURL` and `.ExternalURL` */
  readonly externalURL: string;
  /** The time of the evaluation in ms: that of `now` and of queries. */
  readonly timeMs: number;
}

/** Runs a PromQL expression at the time of the evaluation. The samples are in the order of the answer. */
export type TemplateQuery = (expression: string) => Promise<readonly GoSample[]>;

export interface ExpandOptions {
  /** Called if the expansion fails. */
  readonly onError?: (error: ExpansionError) => void;
}

/** A parsed text. */
export interface Template {
  /** Whether the text has no action: it expands to itself. */
  readonly isPlain: boolean;
  /** Resolves to the text, or to `<error expanding template: …>`. Rejects only if the gateway has a bug. */
  expand(data: TemplateData, query: TemplateQuery, options?: ExpandOptions): Promise<string>;
}

/** Different queries of one expansion. */
const QUERIES_MAX = 100;

const FUNCTIONS: ReadonlyMap<string, GoFunction> = new Map(
  Object.entries({ ...BUILTIN_FUNCTIONS, ...PROMETHEUS_FUNCTIONS }),
);
const NAMES = new Set([...FUNCTIONS.keys(), "and", "or"]);

const FIELDS = {
  Labels: "map",
  ExternalLabels: "map",
  ExternalURL: "text",
  Value: "number",
} as const;

/** The variables, and the fields that they are from. */
const VARIABLES = {
  $labels: "Labels",
  $externalLabels: "ExternalLabels",
  $externalURL: "ExternalURL",
  $value: "Value",
} as const;

/** Prometheus declares its variables before the text, and counts them in the columns of its messages. */
const OFFSET_BYTES = Object.entries(VARIABLES)
  .map(([name, field]) => `{{${name} := .${field}}}`)
  .join("").length;

const ROOT_TYPE =
  "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }";

/**
 * Parses a text.
 *
 * @param alert the name of the alert, which messages contain
 * @throws TemplateError with the line and column of the first error
 */
export function parseTemplate(text: string, alert = ""): Template {
  const tree = parseTemplateTree(text, { functions: NAMES, variables: Object.keys(VARIABLES) });
  checkFields(tree, FIELDS, VARIABLES);
  const name = `__alert_${alert}`;
  return {
    isPlain: !text.includes("{{"),
    async expand(data, query, { onError } = {}) {
      const fields = new Map<string, GoValue>([
        ["Labels", labelMap(data.labels)],
        ["ExternalLabels", labelMap(data.externalLabels)],
        ["ExternalURL", data.externalURL],
        ["Value", data.value],
      ]);
      const variables = new Map(
        Object.entries(VARIABLES).map(([variable, field]) => [variable, fields.get(field)] as const),
      );
      const results = new Map<string, readonly GoSample[] | Error>();
      const work: TemplateWork = { spent: 0 };
      for (;;) {
        try {
          const { timeMs, externalURL } = data;
          const root = new GoStruct(ROOT_TYPE, fields);
          const input = {
            tree,
            name,
            functions: FUNCTIONS,
            root,
            variables,
            timeMs,
            externalURL,
            results,
            work,
          };
          return expandTree({ ...input, offsetBytes: OFFSET_BYTES });
        } catch (error) {
          if (error instanceof ExpansionError) {
            onError?.(error);
            return `<error expanding template: error executing template ${name}: ${error.message}>`;
          }
          if (!(error instanceof QueryNeeded)) throw error;
          const { expression } = error;
          results.set(
            expression,
            results.size >= QUERIES_MAX
              ? new Error(`the expansion runs more than ${QUERIES_MAX} queries`)
              : await query(expression).catch((reason: Error) => reason),
          );
        }
      }
    },
  };
}
