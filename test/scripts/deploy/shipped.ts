/** The dashboards and rules of scripts/deploy as tests read them: queries of panels, and whether an alert fires. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDurationMs } from "../../../src/model/duration.ts";
import { type History, type Sample, STEP } from "./exporters.ts";

const DEPLOY = join(import.meta.dir, "../../../scripts/deploy");

export interface PanelQuery {
  readonly panel: string;
  /** The expression as Grafana sends it, with all values of each variable chosen. */
  readonly expression: string;
  readonly legend: string;
}

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly type: string; readonly definition?: string }[] };
}

function dashboard(name: string): Dashboard {
  return JSON.parse(readFileSync(join(DEPLOY, `grafana/dashboards/${name}.json`), "utf8")) as Dashboard;
}

function withoutVariables(expression: string): string {
  return expression.replace(/\$(\w+)/g, (_, name: string) => (name === "__rate_interval" ? "1m" : ".*"));
}

/** Every query of every panel of a dashboard. */
export function panelQueries(name: string): PanelQuery[] {
  return dashboard(name).panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      panel: title,
      expression: withoutVariables(expr),
      legend: legendFormat,
    })),
  );
}

/** The series and the label that each variable takes its values from. */
export function variableQueries(name: string): { selector: string; label: string }[] {
  return dashboard(name)
    .templating.list.filter(({ type }) => type === "query")
    .map(({ definition = "" }) => {
      const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? [];
      return { selector: withoutVariables(selector), label };
    });
}

/** Values by the labels that tell the series of an answer apart: those of the target are left out. */
export function byLabels(samples: readonly Sample[]): Record<string, number> {
  return Object.fromEntries(
    samples.map(({ labels: { __name__, job, instance, ...labels }, value }) => [
      Object.entries(labels)
        .map(([name, text]) => `${name}=${text}`)
        .sort()
        .join(" "),
      value,
    ]),
  );
}

/** Values to be met but for the last digits, by the same labels. */
export function close(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, expect.closeTo(value, 9)]));
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The alerting rules of a file, in order. */
export function alertingRules(name: string): AlertingRule[] {
  const text = readFileSync(join(DEPLOY, `prometheus/rules/${name}.rules.yml`), "utf8");
  const { groups } = Bun.YAML.parse(text) as { groups: { rules: AlertingRule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/**
 * The alerts that fire at each of some steps, as a Prometheus that asks the gateway every 15 s would have them: those
 * whose expression has had a sample at each evaluation for as long as `for` says.
 */
export async function firing(
  history: History,
  rules: readonly AlertingRule[],
  steps: readonly number[],
): Promise<string[][]> {
  const alerts = steps.map((): string[] => []);
  for (const rule of rules) {
    const duration = parseDurationMs(rule.for)! / 1000 / STEP;
    for (const { labels, values } of await history.range(rule.expr)) {
      const who = labels.service ?? labels.instance ?? "";
      for (const [at, step] of steps.entries()) {
        const isActive = Array.from({ length: duration + 1 }, (_, back) => values.has(step - back));
        if (isActive.every(Boolean)) alerts[at].push(`${rule.alert} ${who}`.trimEnd());
      }
    }
  }
  return alerts;
}
