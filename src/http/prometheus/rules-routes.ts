/**
 * `/api/v1/rules` and `/api/v1/alerts` of Prometheus's API
 * (https://prometheus.io/docs/prometheus/latest/querying/api/#rules), for Grafana's list of alerts, and `/-/reload`.
 *
 * A token with labels sees the alerts that have its labels, and the rules that have such alerts. It does not see
 * recording rules, errors, and alerts of others.
 */
import type { Labels } from "../../model/sample.ts";
import { quote } from "../../model/errors.ts";
import type { Matcher } from "../../query/promql/matchers.ts";
import type { SelectorUse } from "../../query/promql/worker/selector-reader.ts";
import { type FileProblem, problemText } from "../../rules/files/find-rules.ts";
import type { GroupRule } from "../../rules/files/rule-group.ts";
import type { LabelValues } from "../../rules/label-values.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { apiError, success } from "./prometheus-api-answer.ts";
import { asParameter, invalid } from "./prometheus-api-parameters.ts";
import {
  activeAlerts,
  alertJson,
  groupJson,
  groupToken,
  type ListedGroup,
  ruleJson,
  worstState,
} from "./rules-json.ts";

interface RulesDependencies {
  readonly rules: {
    /** The groups that run. */
    readonly groups: readonly ListedGroup[];
    /** What is wrong in the files. The groups are earlier ones then. */
    readonly problems: readonly FileProblem[];
    /** Reads the files again; throws a RequestError if they have errors. */
    reload(): Promise<void>;
    /** Settings that have changed since the start, and that a reload does not apply. */
    readonly needRestart: readonly string[];
  };
  readonly selectors: SelectorUse;
}

/** What a request wants of the rules. */
interface Filter {
  readonly type: string;
  readonly names: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
  readonly matchers: readonly (readonly Matcher[])[] | undefined;
  readonly excludesAlerts: boolean;
  readonly page: Page | undefined;
  /** The labels of the caller's token. */
  readonly labels: LabelValues | undefined;
}

interface Page {
  readonly groupsMax: number;
  /** The token of the first group. Empty: the first of all. */
  readonly token: string;
}

const OWN = { scope: "read", bound: "narrows" } as const;
/** Problems of rule files in an answer. */
const PROBLEMS_MAX = 20;

export const rulesRoutes = ({ rules, selectors }: RulesDependencies) =>
  new Routes(apiError)
    .on("GET", "/api/v1/rules", OWN, "lists the rules with their alerts", async (request, _, { labels }) => {
      const query = queryOf(request.url);
      const texts = query.getAll("match[]");
      const filter = (matchers?: Filter["matchers"]) => readFilter(query, matchers, labels);
      // Its errors come first, since it is cheap to read.
      filter();
      const notes = labels === undefined ? warnings(rules.problems) : {};
      if (texts.length === 0) return success(listRules(rules.groups, filter()), notes);
      const listed = await asParameter("match[]", () =>
        selectors.use({ texts }, request.signal, async (matchers) => {
          const deferred = matchers.flat().flatMap((each) => each.deferred ?? []);
          // A thread evaluates regular expressions of the texts that a first walk notes.
          for (const each of deferred) each.collect();
          if (deferred.length > 0) listRules(rules.groups, { ...filter(matchers), page: undefined });
          for (const each of deferred) await each.settle();
          return listRules(rules.groups, filter(matchers));
        }),
      );
      return success(listed, notes);
    })
    .on("GET", "/api/v1/alerts", OWN, "lists the alerts that are pending or firing", (_, __, { labels }) => {
      const own = ownLabels(labels);
      const states = rules.groups.flatMap((group) => group.states);
      const notes = labels === undefined ? warnings(rules.problems) : {};
      return success({ alerts: states.flatMap((state) => activeAlerts(state, own)).map(alertJson) }, notes);
    })
    .on(["POST", "PUT"], "/-/reload", "admin", "reads the rule files again", async () => {
      await rules.reload();
      const { needRestart } = rules;
      if (needRestart.length === 0) return new Response(null, { status: 200 });
      return new Response(
        `The rules are reloaded. A restart is needed for other settings that have changed: ${needRestart.join(", ")}.\n`,
      );
    });

function warnings(problems: readonly FileProblem[]): { warnings?: readonly string[] } {
  if (problems.length === 0) return {};
  const texts = problems.slice(0, PROBLEMS_MAX).map(problemText);
  return { warnings: ["the rules have errors, so the earlier ones run", ...texts] };
}

function ownLabels(labels: Labels | undefined): LabelValues | undefined {
  return labels && Object.fromEntries(labels);
}

function readFilter(
  query: URLSearchParams,
  matchers: Filter["matchers"],
  labels: Labels | undefined,
): Filter {
  const type = (query.get("type") ?? "").toLowerCase();
  if (type !== "" && type !== "alert" && type !== "record")
    throw invalid("type", `not supported value ${quote(type)}`);
  const texts = (name: string) => new Set(query.getAll(name));
  return {
    type,
    names: texts("rule_name[]"),
    groups: texts("rule_group[]"),
    files: texts("file[]"),
    matchers,
    excludesAlerts: readFlag(query, "exclude_alerts"),
    page: readPage(query),
    labels: ownLabels(labels),
  };
}

/** As Go reads booleans. */
function readFlag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? "";
  if (/^(1|t|true|TRUE|True|T)$/.test(text)) return true;
  if (text === "" || /^(0|f|false|FALSE|False|F)$/.test(text)) return false;
  throw invalid(name, `expected true or false, got ${quote(text)}`);
}

function readPage(query: URLSearchParams): Page | undefined {
  const text = query.get("group_limit") ?? "";
  const token = query.get("group_next_token") ?? "";
  if (text === "") {
    if (token === "") return undefined;
    throw invalid("group_limit", "group_limit needs to be present in order to paginate over the groups");
  }
  const groupsMax = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(groupsMax))
    throw invalid("group_limit", `group_limit needs to be a valid number: got ${quote(text)}`);
  if (groupsMax <= 0) throw invalid("group_limit", "group_limit needs to be greater than 0");
  return { groupsMax, token };
}

function listRules(all: readonly ListedGroup[], filter: Filter): unknown {
  const { page } = filter;
  const sorted = all.toSorted(
    (a, b) => compare(a.group.file, b.group.file) || compare(a.group.name, b.group.name),
  );
  const from =
    page === undefined || page.token === ""
      ? 0
      : sorted.findIndex(({ group }) => groupToken(group) === page.token);
  if (from < 0)
    throw invalid(
      "group_next_token",
      `invalid group_next_token ${quote(page?.token)}. were rule groups changed?`,
    );
  const groups: unknown[] = [];
  for (const listed of sorted.slice(from)) {
    const { name, file } = listed.group;
    if (filter.groups.size > 0 && !filter.groups.has(name)) continue;
    if (filter.files.size > 0 && !filter.files.has(file)) continue;
    const rules = listed.group.rules.flatMap((rule, index) => listRule(rule, index, listed, filter) ?? []);
    if (rules.length === 0) continue;
    if (page !== undefined && groups.length === page.groupsMax)
      return { groups, groupNextToken: groupToken(listed.group) };
    groups.push(groupJson(listed, rules));
  }
  return { groups };
}

/** Undefined if the rule is not to be listed. */
function listRule(rule: GroupRule, index: number, { states, healths }: ListedGroup, filter: Filter): unknown {
  const { type, names, matchers, excludesAlerts, labels } = filter;
  if (type !== "" && (type === "alert") !== (rule.kind === "alerting")) return undefined;
  if (names.size > 0 && !names.has(rule.name)) return undefined;
  const isWanted = (set: readonly Matcher[]) =>
    set.every((each) => each.matches(rule.labels[each.name] ?? ""));
  if (matchers !== undefined && !matchers.some(isWanted)) return undefined;
  const alerts = activeAlerts(states[index]!, labels);
  if (labels !== undefined && alerts.length === 0) return undefined;
  const health = labels === undefined ? healths[index]! : { ...healths[index]!, lastError: "" };
  return ruleJson(rule, health, worstState(alerts), excludesAlerts ? undefined : alerts);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
