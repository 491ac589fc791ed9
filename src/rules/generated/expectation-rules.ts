/**
 * Rules of a dead man's switch: an alert `PushMissing` when no push arrived for longer than expected, and
 * `PushNeverSeen` when none ever did. They read `weir_last_push_timestamp_seconds`, which the gateway stores of each job
 * and instance, also of those that fell silent.
 */
import { formatDuration } from "../../model/duration.ts";
import type { Expectation } from "../../model/alerts/expectation.ts";
import type { GroupSource, RuleSource } from "./rule-source.ts";

const METRIC = "weir_last_push_timestamp_seconds";
const INTERVAL_MS_MAX = 60_000;
const INTERVAL_MS_MIN = 1_000;

/** The group of rules of an expectation. `number` distinguishes it from others of the same job. */
export function expectationGroup(expectation: Expectation, number: number): GroupSource {
  const { job, instance, everyMs, learn, labels } = expectation;
  const who = { job, instance };
  const matchers = Object.entries(who)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const pushes = matchers.length === 0 ? METRIC : `${METRIC}{${matchers.join(", ")}}`;
  const every = formatDuration(everyMs);
  // Of a job without an instance any push counts, unless each of its instances was learned.
  const by = learn || instance !== undefined ? "job, instance" : "job";
  const limit = everyMs / 1000;
  const own = { severity: "warning", every, ...namesOf(who), ...labels };
  const silent: RuleSource = {
    alert: "PushMissing",
    expr: `time() - max by (${by}) (${pushes}) > ${limit}`,
    labels: own,
    annotations: {
      summary: `No push from {{ or $labels.job "clients without a job" }}{{ if $labels.instance }} on {{ $labels.instance }}{{ end }} for {{ $value | humanizeDuration }}`,
      description: `A push is expected every ${every}.`,
    },
  };
  const never: RuleSource = {
    alert: "PushNeverSeen",
    expr: `absent(${pushes})`,
    for: every,
    labels: own,
    annotations: {
      summary: `{{ $labels.job }}{{ if $labels.instance }} on {{ $labels.instance }}{{ end }} has never pushed`,
      description: `A push is expected every ${every}.`,
    },
  };
  return {
    name: `expect ${number}${job === undefined ? "" : ` ${job}`}`,
    interval: formatDuration(
      Math.min(INTERVAL_MS_MAX, Math.max(INTERVAL_MS_MIN, Math.floor(everyMs / 10_000) * 1_000)),
    ),
    rules: learn ? [silent] : [silent, never],
  };
}

/**
 * The job and the instance as labels of the rule. The alert has them anyway; here they distinguish the rule from those of
 * other expectations, so that each one finds its own alerts after a restart. A label of a rule is a template, so a name
 * that looks like one is left out.
 */
function namesOf(who: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(who).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[1].includes("{{"),
  );
  return Object.fromEntries(entries);
}
