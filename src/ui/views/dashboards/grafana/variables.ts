/** The variables of a dashboard: where their values come from, which may be chosen, and which are. Pure, but for what it asks. */
import { intervalMs, intervalText, roundedInterval } from "./dashboard-times.ts";
import { at, type Loose, listOf, numberIn, objectsOf, textOf } from "./loose-json.ts";
import { filled, fixedValue, type VariableValue, type VariableValues, variablesIn } from "./template-text.ts";

export interface VariableChoice {
  readonly value: string;
  readonly text: string;
}

export interface VariableModel {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  /** What its values come from: a question, a list, a text. */
  readonly query: string;
  readonly regex: string;
  readonly sort: number;
  readonly isMulti: boolean;
  readonly includesAll: boolean;
  readonly allValue: string;
  /** The values that the file chooses. */
  readonly current: readonly string[];
  readonly isHidden: boolean;
  readonly hasLabel: boolean;
  /** Of intervals: whether there is one that follows the range, in how many parts, and at least how long. */
  readonly auto: { readonly parts: number; readonly leastMs: number } | undefined;
}

/** A variable with what may be chosen and what is. */
export interface ResolvedVariable {
  readonly model: VariableModel;
  readonly choices: readonly VariableChoice[];
  readonly chosen: readonly string[];
  readonly value: VariableValue;
  /** Why its values are not known. */
  readonly error?: string;
}

/** What a variable asks the gateway. */
export type VariableQuestion =
  | { readonly kind: "label values"; readonly label: string; readonly selector: string | undefined }
  | { readonly kind: "label names"; readonly selector: string | undefined }
  | { readonly kind: "result"; readonly expr: string };

/** Asks, and returns the texts in the answer. */
export type AskVariable = (question: VariableQuestion) => Promise<readonly string[]>;

export const ALL = "$__all";
const ALL_TEXT = "All";

export function variableOf(given: Loose): VariableModel {
  const type = textOf(given.type, "query");
  const name = textOf(given.name);
  const hide = given.hide;
  const current = at(given, "current.value");
  const { auto, auto_count: parts, auto_min: least } = given;
  return {
    name,
    type,
    label: textOf(given.label) || name,
    query: queryOf(given, type),
    regex: textOf(given.regex),
    sort: numberIn(given.sort) ?? 0,
    isMulti: given.multi === true,
    includesAll: given.includeAll === true,
    allValue: textOf(given.allValue),
    current: (Array.isArray(current) ? current : [current]).flatMap((value) =>
      typeof value === "string" || typeof value === "number" ? String(value) : [],
    ),
    isHidden: hide === 2 || hide === "hideVariable" || type === "constant" || type === "datasource",
    hasLabel: hide !== 1 && hide !== "hideLabel",
    auto:
      auto === true
        ? { parts: numberIn(parts) ?? 30, leastMs: intervalMs(textOf(least)) ?? 10_000 }
        : undefined,
  };
}

function queryOf({ query, definition, options }: Loose, type: string): string {
  if (typeof query === "string" && query !== "") return query;
  const nested = textOf(at(query, "query")) || textOf(definition);
  if (nested !== "" || type === "query") return nested;
  return objectsOf(options)
    .map(({ value }) => textOf(value))
    .filter((value) => value !== "" && value !== ALL)
    .map((value) => value.replaceAll(",", "\\,"))
    .join(",");
}

/** Kinds of variables whose values are known. */
const KINDS = ["query", "custom", "interval", "textbox", "constant", "datasource", "switch"];

/** What of the variables is not supported, as sentences. */
export function variableNotes(variables: readonly VariableModel[]): string[] {
  return variables
    .filter(({ type }) => !KINDS.includes(type))
    .map(({ label, type }) => `The variable ${label} is of the type ${type}, which is not supported.`);
}

/**
 * The question of a variable.
 *
 * @throws Error with a sentence if it is not one that the gateway answers
 */
export function questionOf(query: string): VariableQuestion {
  const text = query.trim();
  const call = /^(label_values|label_names|metrics|query_result)\s*\(([\s\S]*)\)\s*$/.exec(text);
  if (call === null) return { kind: "label values", label: "__name__", selector: text };
  const [, name, inside = ""] = call;
  switch (name) {
    case "label_values": {
      // The label is behind the last comma that is outside of the selector.
      const [, selector, label] = /^(?:([\s\S]+?)\s*,\s*)?([\w.:/"-]+)\s*$/.exec(inside.trim()) ?? [];
      if (label === undefined) throw new Error(`${text} has no label.`);
      return { kind: "label values", label: label.replaceAll('"', ""), selector };
    }
    case "label_names":
      return { kind: "label names", selector: inside.trim() || undefined };
    case "metrics":
      return {
        kind: "label values",
        label: "__name__",
        selector: `{__name__=~${JSON.stringify(`.*(?:${inside.trim()}).*`)}}`,
      };
    default:
      return { kind: "result", expr: inside.trim() };
  }
}

/** The variables, each behind those that it depends on. */
export function inDependencyOrder(variables: readonly VariableModel[]): VariableModel[] {
  const byName = new Map(variables.map((variable) => [variable.name, variable]));
  const ordered = new Set<VariableModel>();
  const open = new Set<VariableModel>();
  const visit = (variable: VariableModel) => {
    if (ordered.has(variable) || open.has(variable)) return;
    open.add(variable);
    for (const name of variablesIn(`${variable.query} ${variable.regex}`)) {
      const other = byName.get(name);
      if (other !== undefined) visit(other);
    }
    ordered.add(variable);
  };
  for (const variable of variables) visit(variable);
  return [...ordered];
}

interface ResolveOptions {
  /** The values that the address chooses, by the name of the variable. */
  readonly chosen: ReadonlyMap<string, readonly string[]>;
  /** What Grafana itself defines, such as `__range`. */
  readonly builtIn: VariableValues;
  readonly rangeMs: number;
  readonly ask: AskVariable;
}

/** Finds the values of all variables, one after the other. One that fails has no values, and says why. */
export async function resolveVariables(
  variables: readonly VariableModel[],
  { chosen, builtIn, rangeMs, ask }: ResolveOptions,
): Promise<ResolvedVariable[]> {
  const values = new Map<string, VariableValue>(builtIn);
  const resolved = new Map<string, ResolvedVariable>();
  for (const model of inDependencyOrder(variables)) {
    let choices: readonly VariableChoice[] = [];
    let error: string | undefined;
    try {
      choices = await choicesOf(model, values, rangeMs, ask);
    } catch (reason) {
      if (reason instanceof DOMException) throw reason;
      error = reason instanceof Error ? reason.message : String(reason);
    }
    const found = chooseFrom(model, choices, chosen.get(model.name), error);
    resolved.set(model.name, found);
    values.set(model.name, found.value);
    if (model.type === "interval" && found.chosen[0] === autoName(model)) {
      // Grafana has the length of the automatic interval under this name.
      values.set(model.name, fixedValue(autoText(model, rangeMs)));
      resolved.set(model.name, { ...found, value: fixedValue(autoText(model, rangeMs)) });
    }
  }
  return variables.map(({ name }) => resolved.get(name)!);
}

const autoName = ({ name }: VariableModel) => `$__auto_interval_${name}`;

function autoText({ auto }: VariableModel, rangeMs: number): string {
  const { parts, leastMs } = auto ?? { parts: 30, leastMs: 10_000 };
  return intervalText(Math.max(leastMs, roundedInterval(rangeMs / parts)));
}

async function choicesOf(
  model: VariableModel,
  values: VariableValues,
  rangeMs: number,
  ask: AskVariable,
): Promise<readonly VariableChoice[]> {
  const { type, query } = model;
  const plain = (value: string) => ({ value, text: value });
  switch (type) {
    case "query": {
      const texts = await ask(questionOf(filled(query, values, "promql")));
      return sorted(matching(texts, filled(model.regex, values, "text")), model.sort);
    }
    case "custom":
      return splitValues(query).map((each) => {
        const [, text, value] = /^(.+?)\s+:\s+(.+)$/.exec(each) ?? [];
        return text === undefined ? plain(each) : { text, value: value! };
      });
    case "interval": {
      const lengths = splitValues(query)
        .filter((text) => text !== "auto")
        .map(plain);
      const auto = { value: autoName(model), text: `auto (${autoText(model, rangeMs)})` };
      return model.auto === undefined ? lengths : [auto, ...lengths];
    }
    case "datasource":
      return [{ value: "weir", text: "Weir" }];
    case "textbox":
    case "constant":
      return [plain(filled(query, values, "text"))];
    case "switch":
      return ["true", "false"].map(plain);
    default:
      return model.current.map(plain);
  }
}

/** Commas separate values. One with a backslash before it is a part of a value. */
export function splitValues(text: string): string[] {
  return text
    .split(/(?<!\\),/)
    .map((each) => each.replaceAll("\\,", ",").trim())
    .filter((each) => each !== "");
}

/** The texts that a pattern `/…/` matches, or what its group does. Groups `text` and `value` may differ. */
export function matching(texts: readonly string[], regex: string): VariableChoice[] {
  const distinct = (choices: readonly VariableChoice[]) => [
    ...new Map(choices.map((choice) => [`${choice.value}\n${choice.text}`, choice])).values(),
  ];
  if (regex === "") return distinct(texts.map((value) => ({ value, text: value })));
  const [, source, flags = ""] = /^\/([\s\S]*)\/([gimsuy]*)$/.exec(regex) ?? [];
  const pattern = new RegExp(source ?? regex, flags.replaceAll(/[gy]/g, ""));
  return distinct(
    texts.flatMap((each) => {
      const match = pattern.exec(each);
      if (match === null) return [];
      const { value, text } = match.groups ?? {};
      const group = value ?? text ?? match.slice(1).find((part) => part !== undefined) ?? each;
      return { value: group, text: text ?? group };
    }),
  );
}

/** Orders of Grafana: 1, 3, 5 and 7 rise, 2, 4, 6 and 8 fall; by text, by number, without case, naturally. */
function sorted(choices: readonly VariableChoice[], sort: number): readonly VariableChoice[] {
  if (sort < 1 || sort > 8) return choices;
  const sign = sort % 2 === 1 ? 1 : -1;
  const numberOf = ({ text }: VariableChoice) => Number(/-?\d+(?:\.\d+)?/.exec(text)?.[0] ?? Number.NaN);
  const orders = [
    (a: VariableChoice, b: VariableChoice) => (a.text < b.text ? -1 : Number(a.text > b.text)),
    (a: VariableChoice, b: VariableChoice) => (numberOf(a) || 0) - (numberOf(b) || 0),
    (a: VariableChoice, b: VariableChoice) => a.text.toLowerCase().localeCompare(b.text.toLowerCase(), "en"),
    (a: VariableChoice, b: VariableChoice) => a.text.localeCompare(b.text, "en", { numeric: true }),
  ];
  const order = orders[Math.floor((sort - 1) / 2)]!;
  return choices.toSorted((a, b) => sign * order(a, b));
}

/** What is chosen: by the address, else by the file, else all or the first. */
function chooseFrom(
  model: VariableModel,
  choices: readonly VariableChoice[],
  fromAddress: readonly string[] | undefined,
  error: string | undefined,
): ResolvedVariable {
  const { isMulti, includesAll, type, current } = model;
  const isFree = type === "textbox" || type === "constant";
  const known = new Set(choices.map(({ value }) => value));
  const mayBe = (value: string) => known.has(value) || isFree || (value === ALL && includesAll);
  // The address may have a value that is not there at the moment.
  let chosen: readonly string[] = fromAddress ?? current.filter(mayBe);
  if (chosen.length === 0) chosen = includesAll ? [ALL] : choices.slice(0, 1).map(({ value }) => value);
  if (type === "constant") chosen = choices.map(({ value }) => value);
  if (chosen.includes(ALL) && includesAll) chosen = [ALL];
  else if (!isMulti) chosen = chosen.slice(0, 1);
  return {
    ...{ model, choices, chosen, value: variableValue(model, choices, chosen) },
    ...(error === undefined ? {} : { error }),
  };
}

function variableValue(
  { isMulti, includesAll, allValue }: VariableModel,
  choices: readonly VariableChoice[],
  chosen: readonly string[],
): VariableValue {
  const isPattern = isMulti || includesAll;
  const isAll = chosen[0] === ALL;
  const texts = new Map(choices.map(({ value, text }) => [value, text]));
  const values = isAll ? choices.map(({ value }) => value) : chosen;
  return {
    values,
    texts: isAll ? [ALL_TEXT] : values.map((value) => texts.get(value) ?? value),
    isPattern,
    ...(isAll && allValue !== "" ? { allValue } : {}),
  };
}

/** What is chosen, for people: `All`, or the texts. */
export function chosenText({ value }: ResolvedVariable): string {
  return value.texts.join(" + ");
}

/** The choice after a value was switched on or off. All excludes the others. */
export function toggled({ chosen, model }: ResolvedVariable, value: string): readonly string[] {
  if (value === ALL) return [ALL];
  const others = listOf(chosen).filter((each): each is string => each !== ALL);
  const next = others.includes(value) ? others.filter((each) => each !== value) : [...others, value];
  return next.length === 0 && model.includesAll ? [ALL] : next;
}
