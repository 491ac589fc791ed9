/** Titles and texts: the defaults, templates with Alertmanager's data, and what happens if a template fails. */
import { describe, expect, test } from "bun:test";
import type { NotificationData } from "../../../../src/rules/notifications/texts/notification-data.ts";
import { NotificationTemplates } from "../../../../src/rules/notifications/texts/notification-templates.ts";
import { MINUTE, NOON, notifier } from "../simulated-time.ts";

const alert = (instance: string, status: "firing" | "resolved" = "firing") => ({
  status,
  labels: { alertname: "Hot", instance, severity: "critical" },
  annotations: { runbook_url: "https://wiki.example.org/hot", summary: `${instance} is hot`, value: "91 °C" },
  startsAt: NOON,
  endsAt: status === "firing" ? undefined : NOON + 2 * MINUTE,
  generatorURL: "https://weir.example.org/q",
  fingerprint: "0123456789abcdef",
});

const data = (alerts: NotificationData["alerts"]): NotificationData => ({
  receiver: "phone",
  status: alerts.some(({ status }) => status === "firing") ? "firing" : "resolved",
  alerts,
  groupLabels: { alertname: "Hot", zone: "b" },
  commonLabels: { alertname: "Hot", severity: "critical", zone: "b" },
  commonAnnotations: alerts.length === 1 ? alerts[0]!.annotations : {},
  externalURL: "https://weir.example.org",
  groupKey: "{}:{}",
});

const texts = (alerts: NotificationData["alerts"], title?: string, text?: string) =>
  new NotificationTemplates([notifier({ name: "phone", title, text })]).textsOf(
    { name: "phone" },
    data(alerts),
    NOON + 5 * MINUTE,
  );

test("the default says what is wrong, since when, the value, the labels and where to look", () => {
  expect(texts([alert("gpu-1")])).toEqual({
    title: "[FIRING:1] Hot b: gpu-1 is hot",
    text: [
      "Hot: firing since 2024-10-04 12:00:00 UTC (5m)",
      "gpu-1 is hot",
      "value: 91 °C",
      "instance=gpu-1 severity=critical",
      "runbook_url: https://wiki.example.org/hot",
      "source: https://weir.example.org/q",
      "",
      "https://weir.example.org",
    ].join("\n"),
  });
});

test("the default lists firing alerts first, says how long resolved ones took, and counts those past 20", () => {
  const { title, text } = texts([alert("a", "resolved"), alert("b")]);
  expect(title).toBe("[FIRING:1] Hot b");
  expect(text).toMatch(
    /^Hot: firing since [\s\S]*\n\nHot: resolved at 2024-10-04 12:02:00 UTC after 2m\na is hot/,
  );
  expect(texts([alert("a", "resolved")]).title).toBe("[RESOLVED] Hot b: a is hot");
  const many = texts(Array.from({ length: 23 }, (_, at) => alert(`w${at}`)));
  expect(many.text).toContain("… and 3 more alerts.");
  expect(many.text.match(/firing since/g)).toHaveLength(20);
});

describe("a template", () => {
  const alerts = [alert("a"), alert("b", "resolved"), alert("c")];
  const ok = (template: string, want: string) =>
    test(`${template} is ${JSON.stringify(want)}`, () => {
      expect(texts(alerts, undefined, template).text).toBe(want);
      expect(texts(alerts, template).title).toBe(want);
    });
  ok("plain", "plain");
  ok("{{ .Status | toUpper }} {{ .Receiver }} {{ .ExternalURL }}", "FIRING phone https://weir.example.org");
  ok("{{ len .Alerts }} {{ .Alerts.Firing | len }} {{ len .Alerts.Resolved }}", "3 2 1");
  // Alertmanager's own default title.
  ok(
    '[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }} {{ if gt (len .CommonLabels) (len .GroupLabels) }}({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join " " }}{{ end }}){{ end }}',
    "[FIRING:2] Hot b (critical)",
  );
  ok(
    "{{ range .Alerts }}{{ .Labels.instance }}={{ .Annotations.value }};{{ end }}",
    "a=91 °C;b=91 °C;c=91 °C;",
  );
  ok(
    '{{ range .Alerts.Resolved }}{{ .EndsAt.Format "15:04" }} {{ .Fingerprint }}{{ end }}',
    "12:02 0123456789abcdef",
  );
  ok("{{ range .GroupLabels.SortedPairs }}{{ .Name }}:{{ .Value }} {{ end }}", "alertname:Hot zone:b");
  ok('{{ .CommonLabels.nothing }}{{ .GroupLabels.Names | join "," }}', "alertname,zone");
  ok('{{ .CommonLabels.Remove (stringSlice "alertname" "zone") }}', "map[severity:critical]");
  ok('{{ (index .Alerts 1).Labels.instance | reReplaceAll "b" "x" }}', "x");
  ok('{{ define "t" }}<{{ .Status }}>{{ end }}{{ template "t" . }}', "<firing>");

  const bad = (template: string, message: string) =>
    test(`${template} ends the start`, () => expect(() => texts(alerts, template)).toThrow(message));
  bad("{{ .Status", 'title of notify ("phone") is not a template at line 1, column ');
  bad("{{ .status }}", "unknown field .status: expected .Receiver, .Status, .Alerts");
  bad('{{ query "up" }}', "query");
  bad('{{ template "slack.default.title" . }}', "slack.default.title");
  bad("a\n{{ nofunction }}", "line 2, column");

  test("that fails is replaced by the default text, with the reason", () => {
    const { title, text } = texts([alert("a")], "{{ index .Alerts 7 }}", "fine");
    expect(title).toBe("[FIRING:1] Hot b: a is hot");
    expect(text).toMatch(/^fine\n\nThe template of the title failed: .*index/);
  });
});
