/**
 * The real process with rules, killed at moments that are drawn from a seed: alerts stay pending since the same time, fire
 * when it is their time, and keep firing. What ended while no gateway ran is resolved.
 */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const KILLS = 4;
const SEED = 20_261_126;
const RULES = `groups:
- name: kill
  interval: 1s
  rules:
  - record: hosts:down
    expr: count(host_up == 0)
  - alert: Down
    expr: host_up == 0
    for: 4s
    labels: {severity: page}
  - alert: AtOnce
    expr: hosts:down > 0
`;

interface ListedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
  readonly activeAt: string;
}

async function get<Data>(url: string, path: string): Promise<Data> {
  const answer = await fetch(`${url}${path}`);
  return ((await answer.json()) as { data: Data }).data;
}

async function push(url: string, hosts: readonly string[], value: number): Promise<void> {
  const answer = await fetch(`${url}/api/v1/push`, {
    method: "POST",
    body: JSON.stringify(
      hosts.map((host) => ({ metric_name: "host_up", type: "gauge", value, tags: { host } })),
    ),
  });
  expect(answer.status).toBe(200);
}

interface ListedGroup {
  readonly lastEvaluation: string;
  readonly rules: readonly { readonly health: string; readonly lastEvaluation: string }[];
}

async function groupOf(url: string): Promise<ListedGroup> {
  return (await get<{ groups: ListedGroup[] }>(url, "/api/v1/rules")).groups[0]!;
}

/** The time of the last evaluation, in milliseconds. */
async function evaluatedAt(url: string): Promise<number> {
  return Date.parse((await groupOf(url)).lastEvaluation);
}

/**
 * The alerts after all rules were evaluated at a time past another one, by name and host. A busy machine can evaluate a
 * rule before a push, or for longer than its interval, which is a failure.
 */
async function alertsAfter(url: string, afterMs: number): Promise<Map<string, ListedAlert>> {
  await until("an evaluation", async () =>
    (await groupOf(url)).rules.every(
      ({ health, lastEvaluation }) => health === "ok" && Date.parse(lastEvaluation) > afterMs,
    ),
  );
  const { alerts } = await get<{ alerts: ListedAlert[] }>(url, "/api/v1/alerts");
  return new Map(alerts.map((each) => [`${each.labels.alertname} ${each.labels.host ?? ""}`, each]));
}

test("a kill resets no alert and loses none", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "kill.rules.yml");
  writeFileSync(path, RULES);
  const start = () =>
    GatewayProcess.start({ data: join(folder, "data"), args: ["--no-sampler", `--rules=${path}`] });
  let random = SEED;
  const drawn = (max: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % max;
  };
  let gateway = await start();
  try {
    // Together, so that no evaluation finds one without the other.
    await push(gateway.url, ["a", "b"], 0);
    const first = await alertsAfter(gateway.url, Date.now());
    expect(first.get("Down a")?.state).toBe("pending");
    const activeAt = first.get("Down a")!.activeAt;
    let wasFiring = false;
    for (let kill = 0; kill < KILLS; kill++) {
      await Bun.sleep(drawn(1_500));
      await gateway.stop("SIGKILL");
      gateway = await start();
      const alerts = await alertsAfter(gateway.url, 0);
      const down = alerts.get("Down a");
      expect([kill, down?.activeAt]).toEqual([kill, activeAt]);
      // The time while no gateway ran counts too.
      const pendingMs = (await evaluatedAt(gateway.url)) - Date.parse(activeAt);
      if (wasFiring || pendingMs < 4_000)
        expect([kill, down?.state]).toEqual([kill, wasFiring ? "firing" : "pending"]);
      wasFiring ||= down?.state === "firing";
      expect([kill, alerts.get("AtOnce ")?.state]).toEqual([kill, "firing"]);
    }
    await until(
      "the alert to fire",
      async () => (await alertsAfter(gateway.url, 0)).get("Down b")?.state === "firing",
    );
    // One alert ends just before a kill.
    await push(gateway.url, ["b"], 1);
    await gateway.stop("SIGKILL");
    gateway = await start();
    const alerts = await alertsAfter(gateway.url, 0);
    expect([...alerts.keys()].sort()).toEqual(["AtOnce ", "Down a"]);
    const ask = async (query: string) => {
      const path = `/api/v1/query?query=${encodeURIComponent(query)}`;
      return (await get<{ result: { value: [number, string] }[] }>(gateway.url, path)).result.map(
        ({ value }) => Number(value[1]),
      );
    };
    const since = Date.parse(activeAt) / 1000;
    expect(await ask('min_over_time(ALERTS_FOR_STATE{alertname="Down"}[10m])')).toEqual([since, since]);
    expect(await ask('max_over_time(ALERTS_FOR_STATE{alertname="Down"}[10m])')).toEqual([since, since]);
    expect(await ask('count(ALERTS{alertname="Down", host="b"})')).toEqual([]);
  } finally {
    await gateway.stop("SIGTERM");
  }
});
