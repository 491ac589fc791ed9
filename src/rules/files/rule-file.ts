/**
 * Reads a file of rules in the format of Prometheus
 * (https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/), with `sql` as an alternative to `expr`.
 *
 * A file is checked as a whole: all of its errors are returned, each with line and column. Unknown fields are errors. The
 * messages about rules are those of `promtool check rules`.
 */
import { parseDurationMs } from "../../model/duration.ts";
import { quote } from "../../model/errors.ts";
import { type Expr, selectorsIn } from "../../query/promql/parse/ast.ts";
import { typeOf } from "../../query/promql/parse/check-types.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { printExpr } from "../../query/promql/parse/print.ts";
import { ParseError, QueryError } from "../../query/promql/query-errors.ts";
import { type LabelValues, sortedLabelValues } from "../label-values.ts";
import { TemplateError } from "../templates/template-errors.ts";
import { duplicateWarnings } from "./duplicate-rules.ts";
import type {
  ExpandableField,
  ExpandableText,
  GroupRule,
  ParseExpandable,
  RuleGroup,
  RuleQuestion,
} from "./rule-group.ts";
import { type PlacedProblem, TooManyAliases, type YamlField, type YamlNode, YamlTree } from "./yaml-tree.ts";

export interface RuleFileContent {
  /** Complete only if there are no errors. */
  readonly groups: readonly RuleGroup[];
  /** Why the file cannot be used, in the order of its lines. */
  readonly errors: readonly PlacedProblem[];
  /** What is probably not meant. The file can be used. */
  readonly warnings: readonly PlacedProblem[];
}

/** A file of 10,000 rules has 3 MB. */
const TEXT_LENGTH_MAX = 8 * 1_048_576;
const RULES_MAX = 20_000;

const GROUP_FIELDS = ["name", "interval", "query_offset", "limit", "labels", "rules"];
const RULE_FIELDS = [
  ...["alert", "record", "expr", "sql", "for", "keep_firing_for", "labels", "annotations"],
];
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** What a rule file may contain beside PromQL. */
export interface RuleFileOptions {
  readonly parseTemplate: ParseExpandable;
}

/** @param file its path, for the groups */
export function readRuleFile(file: string, text: string, options: RuleFileOptions): RuleFileContent {
  if (text.length > TEXT_LENGTH_MAX) {
    const message = `the file has ${text.length} characters, at most ${TEXT_LENGTH_MAX} are accepted`;
    return { groups: [], errors: [{ line: 1, column: 1, message }], warnings: [] };
  }
  return new RuleFileReader(file, text, options).read();
}

/** Fields of a rule or a group, and how messages name it. */
interface Fields {
  readonly node: YamlNode;
  readonly prefix: string;
  readonly fields: ReadonlyMap<string, YamlField>;
}

class RuleFileReader {
  readonly #file: string;
  readonly #tree: YamlTree;
  readonly #options: RuleFileOptions;
  readonly #warnings: PlacedProblem[] = [];
  #rules = 0;

  constructor(file: string, text: string, options: RuleFileOptions) {
    this.#file = file;
    this.#tree = new YamlTree(text);
    this.#options = options;
  }

  read(): RuleFileContent {
    const groups = this.#groupsWithin();
    this.#warnings.push(...duplicateWarnings(groups));
    const inOrder = (a: PlacedProblem, b: PlacedProblem) => a.line - b.line || a.column - b.column;
    return {
      groups,
      errors: this.#tree.problems.toSorted(inOrder),
      warnings: this.#warnings.toSorted(inOrder),
    };
  }

  #groupsWithin(): RuleGroup[] {
    try {
      return this.#groups();
    } catch (error) {
      if (error instanceof TooManyAliases) return [];
      throw error;
    }
  }

  #groups(): RuleGroup[] {
    const tree = this.#tree;
    // An empty file is a file without rules.
    if (tree.root === undefined) return [];
    const fields = tree.fields(tree.root, `the file as "groups: […]"`, ["groups"]);
    const list = fields?.get("groups");
    const groups: RuleGroup[] = [];
    const names = new Set<string>();
    for (const item of tree.items(list?.value ?? null, `"groups"`, list?.key) ?? []) {
      const group = this.#group(item, list?.key, names);
      if (group !== undefined) groups.push(group);
    }
    return groups;
  }

  #group(item: YamlNode | null, list: YamlNode | undefined, names: Set<string>): RuleGroup | undefined {
    const tree = this.#tree;
    const node = item ?? list!;
    const fields = tree.fields(item, "a group", GROUP_FIELDS, node);
    if (fields === undefined) return undefined;
    const name = tree.text(fields.get("name")?.value ?? null, "name", fields.get("name")?.key) ?? "";
    const at = fields.get("name")?.value ?? node;
    if (name === "") tree.note(at, "Groupname must not be empty");
    else if (names.has(name)) tree.note(at, `groupname: ${quote(name)} is repeated in the same file`);
    names.add(name);
    const group: Fields = { node, prefix: `group ${quote(name)}: `, fields };
    const labels = this.#labels(group, "labels", "label");
    const intervalMs = this.#duration(group, "interval");
    const queryOffsetMs = this.#duration(group, "query_offset");
    const limit = this.#limit(group);
    const rules: GroupRule[] = [];
    const listed = fields.get("rules");
    const items = tree.items(listed?.value ?? null, `"rules" of the group ${quote(name)}`, listed?.key) ?? [];
    for (const [index, entry] of items.entries()) {
      this.#rules++;
      if (this.#rules > RULES_MAX) {
        tree.note(entry ?? listed?.key, `the file has more than ${RULES_MAX} rules`);
        break;
      }
      const rule = this.#rule(entry, entry ?? listed!.key, name, index, labels);
      if (rule !== undefined) rules.push(rule);
    }
    return {
      file: this.#file,
      name,
      line: tree.place(node).line,
      // As in Prometheus, `0s` is the interval of all groups.
      intervalMs: intervalMs || undefined,
      queryOffsetMs,
      limit,
      rules,
    };
  }

  #rule(
    entry: YamlNode | null,
    node: YamlNode,
    groupName: string,
    index: number,
    groupLabels: LabelValues,
  ): GroupRule | undefined {
    const tree = this.#tree;
    const begin = tree.problems.length;
    const place = `group ${quote(groupName)}, rule ${index + 1}`;
    const fields = tree.fields(entry, `a rule (${place})`, RULE_FIELDS, node);
    if (fields === undefined) return undefined;
    const textOf = (field: string) =>
      tree.text(fields.get(field)?.value ?? null, field, fields.get(field)?.key) ?? "";
    const alert = textOf("alert");
    const record = textOf("record");
    const name = alert || record;
    const prefix = `${place}, ${quote(name)}: `;
    const rule: Fields = { node, prefix, fields };
    const note = (field: string | undefined, message: string) => {
      const found = field === undefined ? undefined : fields.get(field);
      tree.note(found?.value ?? found?.key ?? node, prefix + message);
    };
    if (alert !== "" && record !== "") note("record", "only one of 'record' and 'alert' must be set");
    if (name === "") note(undefined, "one of 'record' or 'alert' must be set");
    const question = this.#question(rule, textOf("expr"), textOf("sql"), note);
    const ownLabels = this.#labels(rule, "labels", "label");
    const annotations = this.#labels(rule, "annotations", "annotation");
    const forMs = this.#duration(rule, "for") ?? 0;
    const keepFiringForMs = this.#duration(rule, "keep_firing_for") ?? 0;
    const labels = sortedNames({ ...groupLabels, ...ownLabels });
    if (record !== "") {
      const invalid = {
        for: forMs > 0,
        keep_firing_for: keepFiringForMs > 0,
        annotations: hasAny(annotations),
      };
      for (const [field, isThere] of Object.entries(invalid))
        if (isThere) note(field, `invalid field '${field}' in recording rule`);
      if (!METRIC_NAME.test(record)) note("record", `invalid recording rule name: ${record}`);
    }
    const labelFields = record === "" ? this.#expandable(rule, name, "label", labels) : [];
    const annotationFields = this.#expandable(rule, name, "annotation", annotations);
    if (tree.problems.length > begin || question === undefined) return undefined;
    const { line, column } = tree.place(fields.get(alert === "" ? "record" : "alert")?.key ?? node);
    const base = { name, line, column, question, labels };
    if (record !== "") return { kind: "recording", ...base };
    return {
      kind: "alerting",
      ...base,
      forMs,
      keepFiringForMs,
      annotations,
      labelFields,
      annotationFields,
    };
  }

  #question(
    { fields, prefix }: Fields,
    expr: string,
    sql: string,
    note: (field: string | undefined, message: string) => void,
  ): RuleQuestion | undefined {
    if (expr !== "" && sql !== "") {
      note("sql", "only one of 'expr' and 'sql' must be set");
      return undefined;
    }
    if (sql.trim() !== "") {
      const place = this.#tree.place(fields.get("sql")?.value ?? undefined);
      return { language: "sql", text: sql, place: { line: place.line, column: place.column } };
    }
    if (expr === "") {
      note(fields.has("expr") ? "expr" : undefined, "field 'expr' must be set in rule");
      return undefined;
    }
    try {
      const parsed = parse(expr);
      const type = typeOf(parsed);
      if (type === "matrix" || type === "string") {
        const place = this.#tree.place(fields.get("expr")?.value ?? undefined);
        const got = type === "matrix" ? "a range vector" : "a string";
        const message = `${prefix}each evaluation will fail: the expression is ${got}, expected a vector or a scalar`;
        this.#warnings.push({ ...place, message });
      }
      return { language: "promql", text: printExpr(parsed), reads: namesIn(parsed) };
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      const what =
        error instanceof ParseError ? "could not parse expression" : "the expression is not supported";
      note("expr", `${what}: ${error.message}`);
      return undefined;
    }
  }

  /** The labels or annotations of a rule or a group. */
  #labels({ fields, prefix }: Fields, field: string, what: "label" | "annotation"): LabelValues {
    const tree = this.#tree;
    const found = fields.get(field);
    if (found === undefined) return {};
    const entries: [string, string][] = [];
    for (const [name, { key, value }] of tree.fields(found.value, quote(field), undefined, found.key) ?? []) {
      const text = tree.text(value, name, key);
      if (!LABEL_NAME.test(name) || (what === "label" && name === "__name__")) {
        tree.note(key, `${prefix}invalid ${what} name: ${name}`);
      } else if (text !== undefined) {
        entries.push([name, text]);
        if (!text.isWellFormed()) tree.note(value ?? key, `${prefix}invalid ${what} value: ${quote(text)}`);
      }
    }
    return sortedNames(Object.fromEntries(entries));
  }

  #expandable(
    { fields, prefix, node }: Fields,
    alert: string,
    what: "label" | "annotation",
    values: LabelValues,
  ): ExpandableField[] {
    const own = fields.get(`${what}s`);
    const result: ExpandableField[] = [];
    for (const [name, source] of Object.entries(values)) {
      try {
        result.push({ name, source, text: expandableOf(source, alert, this.#options.parseTemplate) });
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        // Lines of the text are not those of the file, because YAML folds and escapes.
        const at = error instanceof TemplateError ? `line ${error.line}, column ${error.column}: ` : "";
        const place = this.#fieldNode(own, name) ?? node;
        this.#tree.note(place, `${prefix}${what} ${quote(name)}: template: ${at}${error.message}`);
      }
    }
    return result;
  }

  #fieldNode(mapping: YamlField | undefined, name: string): YamlNode | undefined {
    const found = mapping && this.#tree.fields(mapping.value, "", undefined, mapping.key)?.get(name);
    return found?.value ?? found?.key;
  }

  #duration({ fields, prefix }: Fields, field: string): number | undefined {
    const found = fields.get(field);
    if (found === undefined) return undefined;
    const text = this.#tree.text(found.value, field, found.key);
    if (text === undefined) return undefined;
    const ms = text === "0" ? 0 : parseDurationMs(text);
    if (ms !== undefined) return ms;
    const reason = text === "" ? "empty duration string" : `not a valid duration string: ${quote(text)}`;
    this.#tree.note(found.value ?? found.key, `${prefix}${field}: ${reason}, expected one such as 1h30m`);
    return undefined;
  }

  #limit({ fields, prefix }: Fields): number {
    const found = fields.get("limit");
    if (found === undefined) return 0;
    const text = this.#tree.text(found.value, "limit", found.key);
    if (text === undefined) return 0;
    const limit = /^[-+]?[0-9]+$/.test(text) ? Number(text) : text === "" ? 0 : Number.NaN;
    if (!Number.isSafeInteger(limit))
      this.#tree.note(found.value ?? found.key, `${prefix}limit: expected an integer, got ${quote(text)}`);
    return Number.isSafeInteger(limit) ? Math.max(0, limit) : 0;
  }
}

/** The metrics that an expression names. Undefined if a selector has none, or a pattern of names. */
function namesIn(expression: Expr): readonly string[] | undefined {
  const names = selectorsIn(expression).map(
    ({ name, matchers }) =>
      name || matchers.find((each) => each.name === "__name__" && each.operator === "=")?.value,
  );
  return names.every((name) => name !== undefined) ? [...new Set(names)] : undefined;
}

/** Most texts have no template. */
function expandableOf(source: string, alert: string, parseTemplate: ParseExpandable): ExpandableText {
  return source.includes("{{") ? parseTemplate(source, alert) : { expand: () => Promise.resolve(source) };
}

/** In ascending order of their names. Empty values are kept: as labels of a rule they remove a label. */
function sortedNames(values: LabelValues): LabelValues {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function hasAny(values: LabelValues): boolean {
  return Object.keys(sortedLabelValues(values)).length > 0;
}
