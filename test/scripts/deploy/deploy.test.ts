/**
 * Tests the files of scripts/deploy with real programs. promtool reads the configurations and runs the cases of the
 * rules. The gateway's /metrics contains every metric and label that an expression names. Every panel of the dashboards
 * has data if PromQL is evaluated over a few minutes of it.
 *
 * promtool is part of Debian's package `prometheus` (2.42). If it is not installed, its tests are skipped.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Engine } from "../../../src/query/promql/engine.ts";
import { LabelSet } from "../../../src/query/promql/labels.ts";
import { childrenOf, type Expr, type VectorSelector } from "../../../src/query/promql/parse/ast.ts";
import { parse } from "../../../src/query/promql/parse/parse.ts";
import { DEFAULTS } from "../../defaults.ts";
import { MemoryStorage } from "../../query/promql/memory-storage.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { exposedMetrics, WORKERS } from "./exposed.ts";

const ROOT = join(import.meta.dir, "../../..");
const DEPLOY = join(ROOT, "scripts/deploy");
const read = (path: string) => readFileSync(join(DEPLOY, path), "utf8");
const DASHBOARDS = ["gateway", "workers", "host"] as const;
/** Those whose queries have tests of their own, over what programs of other kinds expose. */
const EXPORTERS_DASHBOARDS = ["gpu-workers", "services"] as const;
const RULE_FILES = ["weir", "gpu-worker", "services"] as const;

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: string | { readonly query: string };
}
interface DataSource {
  readonly type: string;
  readonly uid: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Record<"x" | "y" | "w" | "h", number>;
  readonly datasource?: DataSource;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: DataSource;
  }[];
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

const load = (name: string) => JSON.parse(read(`grafana/dashboards/${name}.json`)) as Dashboard;
const dashboards = DASHBOARDS.map(load);
const allDashboards = [...dashboards, ...EXPORTERS_DASHBOARDS.map(load)];
const rulesOf = (name: string) =>
  (
    Bun.YAML.parse(read(`prometheus/rules/${name}.rules.yml`)) as { groups: { rules: Rule[] }[] }
  ).groups.flatMap((group) => group.rules);
const rules = rulesOf("weir");

/** An expression of a dashboard as Grafana would send it, with all values chosen. */
function withoutVariables(expression: string): string {
  const values: Record<string, string> = { __rate_interval: "1m", __range: "20m" };
  return expression.replace(/\$(\w+)/g, (_, name: string) => values[name] ?? ".*");
}

/** Where it stands, what is asked, and how the answer is named. */
const panelQueries = dashboards.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ expr, legendFormat }) => ({
      where: `${title}: ${panel.title}`,
      expression: withoutVariables(expr),
      legend: legendFormat,
    })),
  ),
);
const allExpressions = [
  ...panelQueries.map(({ where, expression }) => ({ where, expression })),
  ...rules.map(({ alert, expr }) => ({ where: alert, expression: expr })),
];

describe.if(Bun.which("promtool") !== null)("promtool", () => {
  /** Runs it; what it wrote stands in the failure. */
  function promtool(...args: string[]): void {
    const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", ...args], { cwd: DEPLOY });
    expect(exitCode, `promtool ${args.join(" ")}:\n${stdout}${stderr}`).toBe(0);
  }

  test.each(RULE_FILES)("checks the rules of %s", (name) =>
    promtool("check", "rules", `prometheus/rules/${name}.rules.yml`),
  );
  test.each(RULE_FILES)("runs the cases of the rules of %s", (name) =>
    promtool("test", "rules", `prometheus/rules/${name}.rules.test.yml`),
  );
  test("checks the configuration of Prometheus, and of vmagent", () => {
    promtool("check", "config", "prometheus/prometheus.yml");
    promtool("check", "config", "prometheus/vmagent.yml");
  });

  test("checks the configuration for Kubernetes, except the discovery, which Debian's build lacks", () => {
    const folder = temporaryFolder();
    const file = join(folder, "kubernetes.yml");
    const discovery = /kubernetes_sd_configs:\n\s+- role: (pod|endpointslice)\n/g;
    const text = read("prometheus/kubernetes.yml").replace("- rules/", `- ${DEPLOY}/prometheus/rules/`);
    expect([...text.matchAll(discovery)]).toHaveLength(2);
    writeFileSync(file, text.replace(discovery, "static_configs: [{ targets: [a:9091] }]\n"));
    promtool("check", "config", file);
  });
});

describe.if(Bun.which("vmagent") !== null)("vmagent", () => {
  const check = (path: string, ...flags: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync([
      ...["vmagent", "-dryRun", "-remoteWrite.url=http://127.0.0.1:1/", ...flags],
      `-promscrape.config=${path}`,
    ]);
    return { exitCode, stderr: stderr.toString() };
  };

  test("accepts its own configuration", () => {
    expect(check(join(DEPLOY, "prometheus/vmagent.yml"))).toMatchObject({ exitCode: 0 });
  });

  test("accepts the configuration for Kubernetes with its discovery, but for what is Prometheus's own", () => {
    const lenient = "-promscrape.config.strictParse=false";
    expect(check(join(DEPLOY, "prometheus/kubernetes.yml"), lenient)).toMatchObject({ exitCode: 0 });
    // That the check finds something.
    const wrong = join(temporaryFolder(), "kubernetes.yml");
    writeFileSync(wrong, read("prometheus/kubernetes.yml").replace("action: keep", "action: kept"));
    expect(check(wrong, lenient).stderr).toContain('unknown `action` "kept"');
  });
});

describe("scrape configurations", () => {
  test.each(["prometheus", "kubernetes", "vmagent"])("%s keeps the labels of the senders", (name) => {
    const { scrape_configs: jobs } = Bun.YAML.parse(read(`prometheus/${name}.yml`)) as {
      scrape_configs: { job_name: string; honor_labels?: boolean }[];
    };
    expect(jobs[0].job_name).toBe("weir");
    expect(jobs.map((job) => job.honor_labels)).toEqual(jobs.map(() => true));
  });
});

describe("rules", () => {
  test("each has a summary, a description and a runbook", () => {
    const bare = RULE_FILES.flatMap(rulesOf).filter(
      ({ annotations: { summary, description, runbook }, labels }) =>
        !summary || !description || !runbook || !/^(critical|warning)$/.test(labels.severity),
    );
    expect(bare.map(({ alert }) => alert)).toEqual([]);
  });

  test("about the gateway do not select by job, since its metrics have no job in its own store", () => {
    const selectors = rules.flatMap(({ expr }) =>
      [...expr.matchAll(/weir_\w+\{[^}]*\}/g)].map(([text]) => text),
    );
    expect(selectors.filter((text) => /\bjob=/.test(text))).toEqual([]);
  });

  test.each(RULE_FILES)("each rule of %s has test cases", (name) => {
    const cases = read(`prometheus/rules/${name}.rules.test.yml`);
    const alerts = rulesOf(name).map(({ alert }) => alert);
    expect(
      alerts.filter((alert) => !cases.includes(`alertname: ${alert}`) && !cases.includes(`"${alert}"`)),
    ).toEqual([]);
  });
});

describe("dashboards", () => {
  test.each(allDashboards)("$title can be read by Grafana 10 and later", (dashboard) => {
    expect(dashboard.uid).toMatch(/^weir-[a-z]+$/);
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const chosen = { type: "prometheus", uid: "$" + "{datasource}" };
    for (const panel of panels.filter(({ type }) => type !== "row")) {
      expect(panel.targets?.length, panel.title).toBeGreaterThan(0);
      expect(panel.fieldConfig?.defaults.unit, panel.title).toBeString();
      for (const { datasource } of [panel, ...panel.targets!]) expect(datasource).toEqual(chosen);
    }
  });

  test.each(allDashboards)("$title has no overlapping panels", ({ panels }) => {
    const cells = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.get(`${x} ${y}`), title).toBeUndefined();
          cells.set(`${x} ${y}`, title);
        }
      }
    }
  });

  test.each(allDashboards)(
    "$title uses only variables that it defines, and uses all of them",
    (dashboard) => {
      const text = JSON.stringify({
        ...dashboard,
        templating: dashboard.templating.list.map((each) => each.query),
      });
      const used = [...text.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name);
      const builtIn = new Set(["__rate_interval", "__range", "__all"]);
      expect([...new Set(used)].filter((name) => !builtIn.has(name)).sort()).toEqual(
        dashboard.templating.list.map(({ name }) => name).sort(),
      );
    },
  );

  test("the provisioning names the data source and the folder of the dashboards", () => {
    const { datasources } = Bun.YAML.parse(read("grafana/provisioning/datasources/weir.yaml")) as {
      datasources: { type: string; url: string; uid: string; jsonData: Record<string, unknown> }[];
    };
    expect(datasources).toHaveLength(1);
    expect(datasources[0]).toMatchObject({ type: "prometheus", uid: "weir", url: "http://127.0.0.1:9091" });
    expect(datasources[0].jsonData).toMatchObject({ httpMethod: "POST", prometheusType: "Prometheus" });
    const { providers } = Bun.YAML.parse(read("grafana/provisioning/dashboards/weir.yaml")) as {
      providers: { type: string; options: { path: string } }[];
    };
    expect(providers.map(({ type }) => type)).toEqual(["file"]);
    // The README says to copy the dashboards there.
    expect(read("README.md")).toContain(providers[0].options.path);
  });
});

describe("expressions", () => {
  /** Name and labels, as a Prometheus with honor_labels has them, and the value. */
  interface Sample {
    readonly name: string;
    readonly labels: ReadonlyMap<string, string>;
    readonly value: number;
    readonly grows: boolean;
  }
  let samples: Sample[] = [];
  /** By name: the labels that its series have. A histogram's own name, which the gateway's PromQL knows, too. */
  const labelsOf = new Map<string, Set<string>>();

  beforeAll(async () => {
    samples = samplesOf(await exposedMetrics());
    samples.push({
      name: "up",
      labels: new Map([
        ["job", "weir"],
        ["instance", "127.0.0.1:9091"],
      ]),
      value: 1,
      grows: false,
    });
    for (const { name, labels } of samples) {
      for (const each of [name, name.replace(/_count$/, "")]) {
        const known = labelsOf.get(each) ?? new Set();
        for (const label of labels.keys()) known.add(label);
        labelsOf.set(each, known);
      }
    }
  });

  /** Reads text 0.0.4, and gives each sample the target's job and instance where it has none. */
  function samplesOf(text: string): Sample[] {
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
    return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, pairs = "", value]) => {
      const labels = new Map([
        ["job", "weir"],
        ["instance", "127.0.0.1:9091"],
      ]);
      for (const [, label, quoted] of pairs.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g)) {
        labels.set(label, JSON.parse(quoted) as string);
      }
      const type = types.get(name) ?? types.get(name.replace(/_(bucket|sum|count)$/, ""));
      return { name, labels, value: Number(value), grows: type === "counter" || type === "histogram" };
    });
  }

  const selectorsIn = (expr: Expr): VectorSelector[] => [
    ...(expr.type === "vectorSelector" ? [expr] : []),
    ...childrenOf(expr).flatMap(selectorsIn),
  ];
  const nodesIn = (expr: Expr): Expr[] => [expr, ...childrenOf(expr).flatMap(nodesIn)];

  test("use only metrics that the gateway exposes, and labels that these have", () => {
    const unknown: string[] = [];
    for (const { where, expression } of allExpressions) {
      for (const node of nodesIn(parse(expression))) {
        if (node.type === "vectorSelector") {
          const labels = labelsOf.get(node.name);
          if (labels === undefined) unknown.push(`${where}: ${node.name}`);
          for (const { name } of node.matchers) {
            if (name !== "__name__" && !labels?.has(name)) unknown.push(`${where}: ${node.name}{${name}}`);
          }
        }
        if (node.type === "aggregation") {
          const below = new Set(selectorsIn(node).flatMap(({ name }) => [...(labelsOf.get(name) ?? [])]));
          for (const label of node.grouping) {
            if (!below.has(label)) unknown.push(`${where}: ${node.op} by (${label})`);
          }
        }
      }
    }
    expect(unknown).toEqual([]);
  });

  test("of variables use only existing metrics and labels", () => {
    const queries = dashboards.flatMap(({ templating }) =>
      templating.list.filter(({ type }) => type === "query").map(({ query }) => query),
    );
    for (const query of queries) {
      const text = typeof query === "string" ? query : query.query;
      const [, selector, label] = /^label_values\((.+), (\w+)\)$/.exec(text) ?? [];
      const [{ name, matchers }] = selectorsIn(parse(withoutVariables(selector)));
      const asked = [label, ...matchers.map((each) => each.name).filter((each) => each !== "__name__")];
      expect([name, asked.filter((each) => !labelsOf.get(name)?.has(each))]).toEqual([name, []]);
    }
  });

  test("use only documented metrics and tags of workers", () => {
    const documents = readFileSync(join(ROOT, "sql/summaries/README.md"), "utf8");
    const names = WORKERS.flatMap(({ metric_name, tags }) => [metric_name, ...Object.keys(tags)]);
    const own = ["job", "instance"];
    expect(
      [...new Set(names)].filter((name) => !own.includes(name) && !documents.includes(`\`${name}\``)),
    ).toEqual([]);
  });

  test("of every panel return data, with the labels that the panel names", async () => {
    // 20 minutes of scrapes, in which whatever can grow did.
    const endMs = Math.ceil(Date.now() / 15_000) * 15_000;
    const steps = Array.from({ length: 81 }, (_, step) => ({
      step,
      timestampMs: endMs - (80 - step) * 15_000,
    }));
    const storage = new MemoryStorage().with(
      samples.map(({ name, labels, value, grows }) => ({
        labels: LabelSet.from([["__name__", name], ...labels]),
        points: steps.map(({ step, timestampMs }) => ({
          timestampMs,
          value: grows ? (value + 1) * step : value,
        })),
      })),
    );
    const engine = new Engine(storage, DEFAULTS);
    const wrong: string[] = [];
    for (const { where, expression, legend } of panelQueries) {
      const { data, warnings } = await engine.instant(expression, endMs);
      const series = data.type === "vector" ? data.series : [];
      if (series.length === 0 || warnings.length > 0) wrong.push(`${where}: ${expression} ${warnings}`);
      for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
        if (!series.some(({ labels }) => labels.get(label) !== "")) wrong.push(`${where}: {{${label}}}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test.if(Bun.which("systemd-analyze") !== null)(
  "systemd accepts the unit of the service, with its addition",
  () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "weir.service.d"));
    writeFileSync(join(folder, "weir.service.d/tokens.conf"), read("systemd/tokens.conf"));
    const file = join(folder, "weir.service");
    // It looks for the program; this one is here.
    writeFileSync(file, read("systemd/weir.service").replaceAll("/opt/weir", ROOT));
    const { exitCode, stderr } = Bun.spawnSync(["systemd-analyze", "verify", file]);
    expect(stderr.toString()).toBe("");
    expect(exitCode).toBe(0);
  },
);

test("systemd lets the gateway use the memory that its limits allow", () => {
  const unit = read("systemd/weir.service");
  const mebibytes = (name: string) => {
    const [, digits, unitOf] = new RegExp(`^${name}=(\\d+)([MG])$`, "m").exec(unit)!;
    return Number(digits) * (unitOf === "G" ? 1024 : 1);
  };
  // The process, bodies in progress, and what queries in SQL and PromQL may add to it.
  const allowed =
    400 + 256 + (DEFAULTS.sqlMemoryGrowthBytesMax + DEFAULTS.promqlMemoryGrowthBytesMax) / 2 ** 20;
  expect(mebibytes("MemoryHigh")).toBeGreaterThanOrEqual(allowed);
  expect(mebibytes("MemoryMax")).toBeGreaterThan(mebibytes("MemoryHigh"));
});
