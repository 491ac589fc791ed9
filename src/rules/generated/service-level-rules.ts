/**
 * Rules that watch a service level: counts of good and of all events, the part of errors over several times, the error
 * budget that is left, and alerts when it burns too fast. The alerts are those of the SRE workbook, "Alerting on SLOs",
 * method 6: a long time says that it matters, and a short one that it still goes on
 * (https://sre.google/workbook/alerting-on-slos/).
 *
 * Counts of five minutes are recorded without gaps, and longer times add them up. So the rules of a window of 30 days read
 * 8,640 samples and not the raw ones. A service level begins when its rules first run.
 */
import { formatDuration } from "../../model/duration.ts";
import { BadInput, quote } from "../../model/errors.ts";
import type { ServiceLevel } from "../../model/alerts/service-level.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { printExpr } from "../../query/promql/parse/print.ts";
import { QueryError } from "../../query/promql/query-errors.ts";
import type { GroupSource, RuleSource } from "./rule-source.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The interval and the length of the recorded counts. */
const COUNT_MS = 5 * MINUTE_MS;
/** Shorter times are counted from the samples themselves, so that an alert does not wait for the next count. */
const DIRECT_MS = [COUNT_MS, 30 * MINUTE_MS, HOUR_MS];
const SUMMED_MS = [2 * HOUR_MS, 6 * HOUR_MS, DAY_MS, 3 * DAY_MS];

/** How much of the budget an alert lets burn within its long time. */
const BURNS = [
  { severity: "page", longMs: HOUR_MS, shortMs: COUNT_MS, budget: 0.02 },
  { severity: "page", longMs: 6 * HOUR_MS, shortMs: 30 * MINUTE_MS, budget: 0.05 },
  { severity: "ticket", longMs: DAY_MS, shortMs: 2 * HOUR_MS, budget: 0.1 },
  { severity: "ticket", longMs: 3 * DAY_MS, shortMs: 6 * HOUR_MS, budget: 0.1 },
];

const WINDOW = "$window";

/**
 * The groups of rules of a service level.
 *
 * @throws BadInput if `good` or `total` is no counter and has no `$window`
 */
export function serviceLevelGroups(level: ServiceLevel): GroupSource[] {
  const { name, windowMs } = level;
  const labels = { slo: name };
  const good = countOf(level, "good");
  const total = countOf(level, "total");
  const allowed = 1 - level.objectivePercent / 100;
  const isSql = good.language === "sql" || total.language === "sql";
  const rules: RuleSource[] = [
    { record: "slo:objective:ratio", expr: `vector(${plain(level.objectivePercent / 100)})`, labels },
    { record: "slo:window:seconds", expr: `vector(${windowMs / 1000})`, labels },
  ];
  const times = [...DIRECT_MS, ...SUMMED_MS].filter((ms) => ms < windowMs);
  for (const ms of [...times, windowMs]) {
    // A statement of SQL cannot be a part of an expression, so its counts are recorded first.
    const isDirect = DIRECT_MS.includes(ms) && !isSql;
    const [g, t] = isDirect
      ? [good.over(ms), total.over(ms)]
      : [summed("good", name, ms), summed("total", name, ms)];
    rules.push({
      record: "slo:errors:ratio",
      // Without any good event there may be no series of them.
      expr: `clamp_min(1 - (${g} or ${t} * 0) / (${t} > 0), 0)`,
      labels: { ...labels, window: formatDuration(ms) },
    });
  }
  rules.push({
    record: "slo:error_budget:remaining_ratio",
    expr: `1 - slo:errors:ratio{${selector(name, windowMs)}} / ${plain(allowed)}`,
    labels,
  });
  return [
    {
      name: `slo ${name} counts`,
      interval: formatDuration(COUNT_MS),
      rules: [
        { record: "slo:good:increase5m", ...good.question(COUNT_MS), labels },
        { record: "slo:total:increase5m", ...total.question(COUNT_MS), labels },
      ],
    },
    { name: `slo ${name}`, interval: "1m", rules: [...rules, ...alertsOf(level, allowed)] },
  ];
}

/** One alert per severity: all of its pairs of times, joined by `or`. */
function alertsOf(level: ServiceLevel, allowed: number): RuleSource[] {
  const { name, windowMs } = level;
  return ["page", "ticket"].flatMap((severity) => {
    const parts = BURNS.filter((burn) => burn.severity === severity && burn.longMs < windowMs).flatMap(
      ({ longMs, shortMs, budget }) => {
        const limit = ((budget * windowMs) / longMs) * allowed;
        // With a low objective no errors at all burn that fast.
        if (limit >= 1) return [];
        const above = (ms: number) => `slo:errors:ratio{${selector(name, ms)}} > ${plain(limit)}`;
        return [`max without (window) (${above(longMs)} and ignoring (window) ${above(shortMs)})`];
      },
    );
    if (parts.length === 0) return [];
    return [
      {
        alert: "ErrorBudgetBurn",
        expr: parts.join(" or "),
        labels: { severity, ...level.labels, slo: name },
        annotations: {
          summary: `The error budget of ${name} burns too fast`,
          description:
            `{{ $value | humanizePercentage }} of the events of ${name} are errors. ` +
            `${plain(allowed * 100)}% are allowed over ${formatDuration(windowMs)}.`,
        },
      },
    ];
  });
}

function summed(what: "good" | "total", name: string, ms: number): string {
  return `sum_over_time(slo:${what}:increase5m{slo=${JSON.stringify(name)}}[${formatDuration(ms)}])`;
}

function selector(name: string, ms: number): string {
  return `slo=${JSON.stringify(name)}, window="${formatDuration(ms)}"`;
}

/** The number of events in a time, as PromQL or SQL. */
interface Count {
  readonly language: "promql" | "sql";
  /** The expression of PromQL for a time, as a part of another one. */
  over(ms: number): string;
  /** The same as the field of a rule. */
  question(ms: number): Pick<RuleSource, "expr" | "sql">;
}

function countOf(level: ServiceLevel, field: "good" | "total"): Count {
  const text = level[field];
  const fault = (reason: string) =>
    new BadInput(`${field} of the slo ${quote(level.name)} is ${quote(text)}: ${reason}`, field);
  if (/^\s*(?:select|with|from)\b/i.test(text)) {
    if (!text.includes(WINDOW)) throw fault("expected SQL with $window, such as WHERE ts > $time - $window");
    const over = (ms: number) => text.replaceAll(WINDOW, `INTERVAL ${ms / 1000} SECONDS`);
    return { language: "sql", over, question: (ms) => ({ sql: over(ms) }) };
  }
  const isWhole = text.includes(WINDOW);
  const over = (ms: number) =>
    isWhole
      ? text.replaceAll(WINDOW, formatDuration(ms))
      : `sum(increase(${text.trim()}[${formatDuration(ms)}]))`;
  try {
    if (!isWhole && parse(text).type !== "vectorSelector")
      throw fault("expected a selector of counters, or an expression with $window");
    // Printed again, it is whole: a bracket of the text cannot close one of the rule.
    const printed = (ms: number) => printExpr(parse(over(ms)));
    const isPair = parse(over(COUNT_MS)).type === "binaryExpr";
    return {
      language: "promql",
      over: (ms) => (isPair ? `(${printed(ms)})` : printed(ms)),
      question: (ms) => ({ expr: printed(ms) }),
    };
  } catch (error) {
    if (error instanceof QueryError) throw fault(error.message);
    throw error;
  }
}

/** A number as PromQL reads it, without the noise of binary fractions. */
function plain(value: number): string {
  return String(Number(value.toPrecision(12)));
}
