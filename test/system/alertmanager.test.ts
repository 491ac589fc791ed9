/**
 * Notifications beside Debian's real Alertmanager 0.25: both get the same alerts and must send the same webhooks. amtool
 * works with the gateway, the gateway sends to an Alertmanager, and a Prometheus sends to the gateway.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { addToken } from "../access/token-texts.ts";
import { canRun, startAlertmanager, startPrometheus } from "../real-servers.ts";
import { HttpReceiver } from "../rules/notifications/receivers/http-receiver.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const opened: { stop(signal: "SIGKILL"): Promise<unknown> }[] = [];
afterAll(async () => {
  for (const each of opened.toReversed()) await each.stop("SIGKILL");
});

function receiver(): HttpReceiver {
  const started = new HttpReceiver();
  opened.push(started);
  return started;
}

async function startGateway(
  toml: string,
  files: Readonly<Record<string, string>> = {},
): Promise<GatewayProcess> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "weir.toml"), toml);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--no-sampler"],
    cwd: folder,
  });
  opened.push(gateway);
  return gateway;
}

const alert = (labels: Record<string, string>, startMs: number, endMs = startMs + 3_600_000) => ({
  labels,
  annotations: { summary: `${labels.alertname} at ${labels.instance}` },
  startsAt: new Date(startMs).toISOString(),
  endsAt: new Date(endMs).toISOString(),
  generatorURL: "http://127.0.0.1/q",
});
const ended = (labels: Record<string, string>, startMs: number) => alert(labels, startMs, startMs + 1);

async function post(url: string, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${text}`);
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

describe.skipIf(!canRun("prometheus-alertmanager"))("beside an Alertmanager", () => {
  test("the same alerts, silences and inhibitions make the same webhooks", async () => {
    const [theirs, ours] = [receiver(), receiver()];
    const alertmanager = await startAlertmanager(`
route:
  receiver: none
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - { receiver: critical, matchers: ['severity="critical"', 'instance=~"w.*"'], group_by: [alertname], continue: true }
    - { receiver: all, group_by: [alertname, instance], continue: true }
    - { receiver: quiet, group_by: [], continue: true }
receivers:
  - name: none
  - name: critical
    webhook_configs: [{ url: "${theirs.url}/critical" }]
  - name: all
    webhook_configs: [{ url: "${theirs.url}/all", max_alerts: 1 }]
  - name: quiet
    webhook_configs: [{ url: "${theirs.url}/quiet", send_resolved: false }]
inhibit_rules:
  - { source_matchers: [alertname=Down], target_matchers: [severity=warning], equal: [instance] }
`);
    opened.push(alertmanager);
    const times = 'group_wait = "1s"\ngroup_interval = "2s"\nrepeat_interval = "1h"\ntype = "webhook"\n';
    const gateway = await startGateway(`
[[notify]]
name = "critical"
url = "${ours.url}/critical"
matchers = ['severity="critical"', 'instance=~"w.*"']
${times}
[[notify]]
name = "all"
url = "${ours.url}/all"
group_by = ["alertname", "instance"]
max_alerts = 1
${times}
[[notify]]
name = "quiet"
url = "${ours.url}/quiet"
group_by = []
send_resolved = false
${times}
[[inhibit]]
source_matchers = ["alertname=Down"]
target_matchers = ["severity=warning"]
equal = ["instance"]
`);
    const toBoth = (path: string, body: unknown) =>
      Promise.all([alertmanager.url, gateway.url].map((url) => post(url, path, body)));
    /** What a receiver has got, by group, without the address of the sender. */
    const got = ({ received }: HttpReceiver) =>
      Object.fromEntries(
        [...Map.groupBy(received, ({ path, body }) => `${path} ${(body as { groupKey: string }).groupKey}`)]
          .map(
            ([key, requests]) =>
              [key, requests.map(({ body }) => ({ ...(body as object), externalURL: "" }))] as const,
          )
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    const both = async (count: number) => {
      await Promise.all([theirs.until(count), ours.until(count)]);
      expect(got(ours)).toEqual(got(theirs));
    };
    const down = { alertname: "Down", instance: "w1", severity: "critical" };
    const slow1 = { alertname: "Slow", instance: "w1", severity: "warning" };
    const slow2 = { alertname: "Slow", instance: "w2", severity: "warning" };
    const silenced = { alertname: "Full", instance: "w3", severity: "critical" };
    await toBoth("/api/v2/silences", {
      matchers: [{ name: "instance", value: "w[3-9]", isRegex: true, isEqual: true }],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      createdBy: "me",
      comment: "test",
    });
    // Alerts that begin now wait for group_wait.
    const startMs = Date.now();
    await toBoth(
      "/api/v2/alerts",
      [down, slow1, slow2, silenced].map((labels) => alert(labels, startMs)),
    );
    // critical: Down. all: Down, Slow w2. quiet: both together. The others are muted.
    await both(4);
    await toBoth("/api/v2/alerts", [ended(down, startMs)]);
    // critical: Down ended. all: Down ended, Slow w1. quiet: Slow w1 and w2.
    await both(8);
    await toBoth("/api/v2/alerts", [ended(slow1, startMs), ended(slow2, startMs)]);
    // all: the end of both. quiet: nothing.
    await both(10);
    const alerts = async (url: string) => (await fetch(`${url}/api/v2/alerts`)).json();
    const shown = (list: unknown) =>
      (list as Record<string, unknown>[]).map(
        ({ fingerprint, labels, startsAt, endsAt, annotations, generatorURL }) => ({
          ...{ fingerprint, labels, annotations, generatorURL },
          ...{ startsAt: Date.parse(startsAt as string), endsAt: Date.parse(endsAt as string) },
        }),
      );
    expect(shown(await alerts(gateway.url))).toEqual(shown(await alerts(alertmanager.url)));
  });

  test("the gateway sends each alert, and its end, to an Alertmanager", async () => {
    const hook = receiver();
    const alertmanager = await startAlertmanager(
      `route: { receiver: hook, group_wait: 0s, group_interval: 1s }\nreceivers:\n  - name: hook\n    webhook_configs: [{ url: "${hook.url}" }]\n`,
    );
    opened.push(alertmanager);
    const gateway = await startGateway(
      `[[notify]]\nname = "am"\ntype = "alertmanager"\nurl = "${alertmanager.url}"\n`,
    );
    const labels = { alertname: "Hot", instance: "ü" };
    const startMs = Date.now();
    await post(gateway.url, "/api/v2/alerts", [alert(labels, startMs)]);
    await hook.until(1);
    await post(gateway.url, "/api/v2/alerts", [ended(labels, startMs)]);
    await hook.until(2);
    expect(hook.received.map(({ body }) => body)).toMatchObject([
      {
        status: "firing",
        alerts: [{ labels, annotations: { summary: "Hot at ü" }, generatorURL: "http://127.0.0.1/q" }],
      },
      { status: "resolved", alerts: [{ labels }] },
    ]);
  });
});

describe.skipIf(!canRun("amtool"))("amtool", () => {
  test("adds, lists, changes and ends silences, and lists and adds alerts", async () => {
    const gateway = await startGateway("");
    const amtool = async (...args: string[]) => {
      const child = Bun.spawn(["amtool", `--alertmanager.url=${gateway.url}`, ...args], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      if ((await child.exited) !== 0) throw new Error(err);
      return out.trim();
    };
    await amtool("alert", "add", "Hot", "instance=w1", "severity=critical", "--annotation=summary=hot");
    await amtool("alert", "add", "Cold", "instance=w2");
    expect(await amtool("alert", "query", "-o", "extended")).toMatch(
      /alertname="Hot" instance="w1" severity="critical"\s+summary="hot"/,
    );
    const id = await amtool(
      "silence",
      "add",
      "instance=~w.",
      "severity=critical",
      "-c",
      "a test",
      "-d",
      "1h",
      "-a",
      "me",
    );
    expect(await amtool("silence", "query")).toMatch(
      new RegExp(`${id}\\s+instance=~"w." severity="critical"\\s.*me\\s+a test`),
    );
    expect(await amtool("alert", "query", "-s")).toContain("suppressed");
    expect(await amtool("alert", "query")).not.toContain("Hot");
    expect(await amtool("silence", "update", "-d", "2h", "-c", "longer", id)).toContain("longer");
    expect(await amtool("silence", "query", "-q")).toBe(id);
    await amtool("silence", "expire", id);
    expect(await amtool("silence", "query", "-q")).toBe("");
    expect(await amtool("silence", "query", "--expired", "-q")).toBe(id);
    await expect(amtool("silence", "expire", "nope")).rejects.toThrow("404");
    expect(await amtool("cluster", "show")).toContain("disabled");
  });
});

test("rules of the gateway reach a webhook, with their annotations, and their end does too", async () => {
  const hook = receiver();
  const gateway = await startGateway(
    `rules = ["rules.yml"]\nruleIntervalMs = "1s"\nexternalUrl = "http://weir.example.org/"\n[[notify]]\nname = "hook"\ntype = "webhook"\nurl = "${hook.url}"\ngroup_wait = "0s"\ngroup_interval = "1s"\n`,
    {
      "rules.yml": `
groups:
  - name: g
    rules:
      - alert: QueueLong
        expr: queue_length > 5
        labels: { severity: warning }
        annotations: { summary: "{{ $labels.queue }} has {{ $value }}" }
`,
    },
  );
  const push = (value: number) =>
    post(gateway.url, "/api/v1/push", [
      { metric_name: "queue_length", value, type: "gauge", tags: { queue: "q1" } },
    ]);
  await push(7);
  await hook.until(1);
  expect(hook.received[0]!.body).toMatchObject({
    status: "firing",
    receiver: "hook",
    externalURL: "http://weir.example.org",
    commonLabels: { alertname: "QueueLong", queue: "q1", severity: "warning" },
    commonAnnotations: { summary: "q1 has 7" },
    alerts: [{ generatorURL: "http://weir.example.org/query?expr=queue_length%20%3E%205" }],
  });
  await push(2);
  await until(
    "the end arrives",
    () => (hook.received.at(-1)!.body as { status: string }).status === "resolved",
  );
});

test("the link of an alert opens the page with the question of its rule, in PromQL or SQL", async () => {
  const hook = receiver();
  await startGateway(
    `rules = ["rules.yml"]\nruleIntervalMs = "1s"\nexternalUrl = "http://weir.example.org/behind/"\n[[notify]]\nname = "hook"\ntype = "webhook"\nurl = "${hook.url}"\ngroup_wait = "1s"\ngroup_by = []\n`,
    {
      "rules.yml": `
groups:
  - name: g
    rules:
      - { alert: InPromql, expr: 'vector(2) + 1 > 0' }
      - { alert: InSql, sql: 'SELECT 1 + 1 AS value' }
`,
    },
  );
  await hook.until(1);
  const { alerts } = hook.received[0]!.body as { alerts: { labels: object; generatorURL: string }[] };
  const asked = alerts.map(({ generatorURL }) => new URL(generatorURL));
  expect(asked.map(({ origin, pathname }) => origin + pathname)).toEqual([
    "http://weir.example.org/behind/query",
    "http://weir.example.org/behind/query",
  ]);
  expect(asked.map(({ searchParams }) => Object.fromEntries(searchParams))).toEqual([
    { expr: "vector(2) + 1 > 0" },
    { sql: "SELECT 1 + 1 AS value" },
  ]);
});

test.skipIf(!canRun("prometheus"))("a Prometheus sends its alerts to a gateway with tokens", async () => {
  const hook = receiver();
  const secrets = temporaryFolder();
  const tokens = join(secrets, "tokens.json");
  const token = join(secrets, "alerts-token");
  writeFileSync(token, `${await addToken(tokens, "prometheus", { scopes: ["alerts"] })}\n`);
  const gateway = await startGateway(
    `tokenFile = "${tokens}"\n` +
      `[[notify]]\nname = "hook"\ntype = "webhook"\nurl = "${hook.url}"\ngroup_wait = "0s"\n`,
  );
  const rules = join(temporaryFolder(), "rules.yml");
  writeFileSync(
    rules,
    "groups: [{ name: g, rules: [{ alert: Always, expr: vector(1), annotations: { summary: 'always {{ $value }}' } }] }]\n",
  );
  const prometheus = await startPrometheus(
    `global: { evaluation_interval: 1s, external_labels: { site: b } }
rule_files: ["${rules}"]
alerting:
  alertmanagers:
    - authorization: { credentials_file: "${token}" }
      static_configs: [{ targets: ["${new URL(gateway.url).host}"] }]
`,
    // Its first alerts are dropped, before it knows the gateway.
    "--rules.alert.resend-delay=1s",
  );
  opened.push(prometheus);
  await hook.until(1);
  expect(hook.received[0]!.body).toMatchObject({
    status: "firing",
    alerts: [{ labels: { alertname: "Always", site: "b" }, annotations: { summary: "always 1" } }],
  });
});
