/** Opens the rules: connects them with the queries that answer them, and with ingest, which stores what they record. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Config, externalLabels } from "./config/config.ts";
import { SettingError } from "./config/setting-error.ts";
import type { Log } from "./log/log.ts";
import type { Counters } from "./model/counters.ts";
import { BadInput } from "./model/errors.ts";
import { programPath } from "./program/program-files.ts";
import type { Promql } from "./query/promql/promql-queries.ts";
import type { SqlEngine } from "./query/sql/sql-engine.ts";
import type { AlertReceiver } from "./rules/alert.ts";
import { type GeneratedRules, problemText } from "./rules/files/find-rules.ts";
import type { GroupRule } from "./rules/files/rule-group.ts";
import { expectationGroup } from "./rules/generated/expectation-rules.ts";
import { type GroupSource, ruleFileText } from "./rules/generated/rule-source.ts";
import { serviceLevelGroups } from "./rules/generated/service-level-rules.ts";
import { RuleEngine, type RuleSources } from "./rules/rule-engine.ts";
import { QuestionAnswers, type RuleQueries } from "./rules/running/question-answers.ts";
import { RuleCounters } from "./rules/running/rule-counters.ts";
import type { SampleStore } from "./rules/running/sample-writer.ts";
import { storedAlerts } from "./rules/running/stored-alerts.ts";

const DEFAULT_RULES = programPath("src/rules/default-rules");

interface RuleParts {
  readonly log: Log;
  readonly counters: Counters;
  readonly now: () => number;
  readonly promql: Promql;
  readonly sql: SqlEngine;
  readonly ingest: SampleStore;
  readonly receiver: AlertReceiver;
  /** Reads the settings again. Without it they stay as they are. */
  readonly readConfig?: () => Config;
}

/** The settings that a reload applies. */
const RELOADED: ReadonlySet<string> = new Set(["rules", "defaultRules", "slo", "expect"]);

/** The rules of the settings. They run when the engine is started as a service. */
export function openRules(
  config: Config,
  { log, counters, now, promql, sql, ingest, receiver, readConfig }: RuleParts,
): RuleEngine {
  const queries: RuleQueries = {
    promql: (text, timeMs, { limit, ...options }) => promql.ofRule(text, timeMs, { limit }, options),
    promqlBatch: (texts, timeMs, { limit, ...options }) => promql.ofRules(texts, timeMs, { limit }, options),
    sql: (text, timeMs, { limit, signal }) =>
      sql.query(text, {
        ...{ limitRows: limit, signal, isOfRule: true },
        parameters: /\$time\b/.test(text) ? { time: new Date(timeMs) } : undefined,
      }),
  };
  /** The warnings of the last reading: they are logged when they are new. */
  let known: ReadonlySet<string> = new Set();
  const engine: RuleEngine = new RuleEngine({
    started: sourcesOf(config, config),
    sources: () => readSources(config, readConfig),
    templates: async () => (await import("./rules/templates/template.ts")).parseTemplate,
    checkStatement: (text) => sql.checkRule(text),
    answers: new QuestionAnswers({ queries, seriesMax: config.ruleSeriesMax }),
    store: ingest,
    receiver,
    counters: new RuleCounters(counters),
    intervalMs: config.ruleIntervalMs,
    queryOffsetMs: config.ruleQueryOffsetMs,
    resendDelayMs: config.ruleResendMs,
    ...originOf(config),
    pageOf: (rule) => pageOf(config.externalUrl, rule),
    storedAlerts: (timeMs) => storedAlerts(queries, timeMs),
    onLoaded: ({ files, groups, warnings }) => {
      const rules = groups.reduce((count, group) => count + group.rules.length, 0);
      log("rules_loaded", { files: files.length, groups: groups.length, rules });
      const texts = new Set(warnings.map(problemText));
      for (const problem of texts) if (!known.has(problem)) log("rules_doubtful", { problem });
      known = texts;
      const settings = engine.needRestart.join(", ");
      if (settings !== "") log("settings_need_restart", { settings });
    },
    onInvalid: (errors) => log("rules_invalid", { errors: errors.length, first: problemText(errors[0]!) }),
    onRuleFailed: (group, rule, error) =>
      log("rule_failed", {
        ...{ file: group?.file, group: group?.name, rule: rule?.name },
        error: error instanceof Error ? error.message : String(error),
      }),
    onTemplateFault: ({ file, name }, rule, { message: error }) =>
      log("rule_template_failed", { file, group: name, rule: rule.name, error }),
    now,
  });
  return engine;
}

/** The rules that settings name. Throws SettingError if they are invalid. */
function sourcesOf(config: Config, started: Config): RuleSources {
  return {
    patterns: config.defaultRules ? [...config.rules, ...defaultRuleFiles()] : config.rules,
    generated: generatedRules(config),
    needRestart: Object.entries(config)
      .filter(([key, value]) => !RELOADED.has(key) && !Bun.deepEquals(value, started[key as keyof Config]))
      .map(([key]) => key),
  };
}

/** As `sourcesOf`, of the settings as they are now. Throws BadInput if they are invalid. */
function readSources(started: Config, readConfig: RuleParts["readConfig"]): RuleSources {
  try {
    return sourcesOf(readConfig?.() ?? started, started);
  } catch (error) {
    if (error instanceof SettingError) throw new BadInput(error.message);
    throw error;
  }
}

/** The rules of service levels and expectations. Throws SettingError if a service level is no question. */
export function generatedRules(config: Config): GeneratedRules[] {
  return generatedGroups(config).map(([file, groups]) => ({ file, text: ruleFileText(groups) }));
}

/** The same rules as one rule file. Empty if there are none. Throws as `generatedRules` does. */
export function generatedRuleFile(config: Config): string {
  const groups = generatedGroups(config).flatMap(([, each]) => each);
  return groups.length === 0 ? "" : ruleFileText(groups);
}

/** The groups by the table of the settings that they are from. */
function generatedGroups(config: Config): [table: string, groups: readonly GroupSource[]][] {
  const { slo, expect, sampler, samplerParts } = config;
  if (expect.length > 0 && !(sampler && samplerParts.includes("gateway")))
    throw new SettingError(
      "expect needs the times of the last pushes, which the part gateway of the sampler stores; expected the sampler with it.",
    );
  try {
    const tables: [string, readonly GroupSource[]][] = [
      ["[[slo]]", slo.flatMap(serviceLevelGroups)],
      ["[[expect]]", expect.map((each, at) => expectationGroup(each, at + 1))],
    ];
    return tables.filter(([, groups]) => groups.length > 0);
  } catch (error) {
    if (error instanceof BadInput) throw new SettingError(`${error.message}.`);
    throw error;
  }
}

/** The files of the default rules. Their unit tests stand beside them, with other names. */
function defaultRuleFiles(): string[] {
  const names = readdirSync(DEFAULT_RULES).filter((name) => name.endsWith(".rules.yml"));
  return names.sort().map((name) => join(DEFAULT_RULES, name));
}

/** What all alerts of the gateway have. */
function originOf(config: Config) {
  return { externalLabels: externalLabels(config), externalURL: config.externalUrl.replace(/\/+$/, "") };
}

/** The address of the page that asks the question of a rule: the view of queries (src/ui/views/query/query-address.ts). */
function pageOf(externalUrl: string, { question: { language, text } }: GroupRule): string {
  if (externalUrl === "") return "";
  const parameter = language === "sql" ? "sql" : "expr";
  return `${externalUrl.replace(/\/+$/, "")}/query?${parameter}=${encodeURIComponent(text)}`;
}
