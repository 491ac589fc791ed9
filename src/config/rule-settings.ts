/** The settings of rules and alerts, parts of the table in settings.ts. */
import type { Setting } from "./settings.ts";

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;

export const RULE_SETTINGS = {
  rules: {
    type: { is: "names" },
    default: [],
    what: "Files of alerting and recording rules, as Prometheus reads them: paths, and patterns such as `rules/*.yml`. Can be given more than once. New versions are used within seconds (src/rules/README.md).",
    why: "Only you know what should be watched.",
  },
  slo: {
    type: { is: "slo" },
    default: [],
    what: "Service levels that are recorded and watched: tables `[[slo]]` in weir.toml (src/rules/generated/README.md). Not a flag or a variable.",
    why: "Only you know what was promised.",
  },
  expect: {
    type: { is: "expect" },
    default: [],
    what: "Who must push how often: tables `[[expect]]` in weir.toml (src/rules/generated/README.md). Not a flag or a variable.",
    why: "Only you know how long a silence is usual.",
  },
  defaultRules: {
    type: { is: "flag" },
    default: false,
    what: "Whether the rules that come with the gateway run too: about the gateway, its machine, GPUs and task workers (src/rules/default-rules/README.md).",
    why: "An alert that nobody asked for is noise, so you switch them on.",
  },
  ruleIntervalMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time between two evaluations of a rule group that sets no interval.",
    why: "Prometheus's own default.",
  },
  ruleQueryOffsetMs: {
    type: { is: "milliseconds", max: day },
    default: 0,
    what: "How far back rules query, for rule groups that set no query_offset.",
    why: "Prometheus's own default. Set it to the delay of workers that push seldom.",
  },
  ruleResendMs: {
    type: { is: "milliseconds", min: second, max: day },
    default: minute,
    what: "Time after which an alert that still fires is sent again.",
    why: "Prometheus's own default. A receiver takes an alert for resolved if it misses four of them.",
  },
  ruleSeriesMax: {
    type: { is: "count", min: 1, max: 1_000_000 },
    default: 10_000,
    what: "Series that the answer to the question of a rule can have. A rule with more fails.",
    why: "Each is an alert or a stored sample. 10,000 of them take the thread that accepts pushes some 20 ms.",
  },
  externalLabels: {
    type: { is: "names" },
    default: [],
    what: "Labels of all alerts and samples that are sent to others, such as `site=berlin`. Can be given more than once.",
    why: "One gateway needs none. Several that send to one receiver are told apart by them.",
  },
  externalUrl: {
    type: { is: "text", optional: true },
    default: "",
    what: "Address at which people reach this gateway, for links in alerts, such as `https://weir.example.com`.",
    why: "Only you know it. Without it, alerts have no link.",
  },
} as const satisfies Record<string, Setting>;

export const ALERT_SETTINGS = {
  notify: {
    type: { is: "notify" },
    default: [],
    what: "Where notifications of alerts are sent: tables `[[notify]]` in weir.toml (src/rules/notifications/README.md). Not a flag or a variable.",
    why: "Only you know who should learn of alerts.",
  },
  inhibit: {
    type: { is: "inhibit" },
    default: [],
    what: "Alerts that mute others while they are firing: tables `[[inhibit]]` in weir.toml (src/rules/notifications/README.md). Not a flag or a variable.",
    why: "Only you know which alert explains another.",
  },
} as const satisfies Record<string, Setting>;
