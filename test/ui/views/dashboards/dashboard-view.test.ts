/** A person opens dashboards: one that comes with Weir, and files of their own, also with errors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Locator, Page } from "playwright-core";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

const STEP_MS = 15_000;
const STEPS = 240;
/** A whole minute, so that each step of a graph is a sample. Two hours ago is not a day that retention drops. */
const END_MS = Math.floor(Date.now() / 60_000) * 60_000 - 2 * 3_600_000;
const RANGE = `from=${END_MS - 1_800_000}&to=${END_MS}&zone=utc&refresh=0s`;

/** An hour of two workers: the first makes 3 attempts in 15 s and all succeed, the second 6, of which 3 succeed. */
function history(): string {
  const lines: string[] = [];
  for (let step = 0; step <= STEPS; step++) {
    const ms = END_MS - (STEPS - step) * STEP_MS;
    for (const [at, instance] of ["gpu-1", "gpu-2"].entries()) {
      const add = (name: string, value: number, more = "") =>
        lines.push(`tops_worker_${name}{job="tops",instance="${instance}"${more}} ${value} ${ms}`);
      add("total_attempts_total", step * (at === 0 ? 3 : 6));
      add("successful_attempts_total", step * 3);
      add("failed_attempts_total", at * step * 3);
      add("success_rate", at === 0 ? 98 : 50);
      add("uptime_seconds", 3_600 * (2 - at) - ((STEPS - step) * STEP_MS) / 1_000 + at);
      add("consecutive_failures", at * 12);
      // Each worker has one attempt up to 100 ms and two up to 500 ms in a step.
      for (const [le, count] of [
        ["100", 1],
        ["500", 3],
        ["+Inf", 3],
      ] as const)
        add("attempt_duration_ms_bucket", count * step, `,le="${le}"`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const OWN = {
  dashboard: {
    title: "Old and short",
    panels: [
      {
        title: "Success",
        type: "gauge",
        targets: [{ expr: "tops_worker_success_rate / 100", legendFormat: "Success (%)" }],
      },
      {
        title: "Throughput",
        type: "graph",
        targets: [{ expr: "rate(tops_worker_successful_attempts_total[1m])" }],
      },
      { title: "Shares", type: "piechart", targets: [{ expr: "tops_worker_success_rate" }] },
      {
        title: "Lines of logs",
        type: "timeseries",
        datasource: { type: "loki" },
        targets: [{ expr: "{a=~`b`}" }],
      },
      { title: "Wrong", type: "timeseries", targets: [{ expr: "sum(" }] },
    ],
  },
};
const TABLE = `title = "Rows"
[[variable]]
name = "worker"
query = "label_values(tops_worker_uptime_seconds, instance)"
multi = true
all = true
[[panel]]
title = "Newest"
type = "table"
unit = "percent"
sql = """
  SELECT instance, max(value) AS rate FROM tops_worker_success_rate
  WHERE $__timeFilter(ts) AND instance IN ($worker) GROUP BY ALL ORDER BY instance"""
[[panel]]
title = "Attempts of $worker"
type = "bargauge"
promql = 'tops_worker_total_attempts_total{instance=~"$worker"}'
legend = "{{instance}}"
`;

/** The texts of the values that a panel lists. */
async function valuesOf(panel: Locator): Promise<string[]> {
  const texts = await panel.getByRole("listitem").allInnerTexts();
  return texts.map((text) => text.replaceAll(/\s+/g, " ").trim());
}

const panelOf = (page: Page, title: string) => page.getByRole("region", { name: title, exact: true });

/** How many pixels of a canvas have a colour, nearly. */
async function pixels(panel: Locator, [r, g, b]: readonly [number, number, number]): Promise<number> {
  const canvas = panel.locator("canvas").first();
  await canvas.waitFor();
  return await canvas.evaluate(
    (element, wanted) => {
      const drawn = element as unknown as {
        width: number;
        height: number;
        getContext(kind: "2d"): {
          getImageData(x: number, y: number, w: number, h: number): { data: Uint8Array };
        };
      };
      const { data } = drawn.getContext("2d").getImageData(0, 0, drawn.width, drawn.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4)
        if (
          data[at + 3]! > 200 &&
          wanted.every((value, channel) => Math.abs(data[at + channel]! - value) < 12)
        )
          count++;
      return count;
    },
    [r, g, b],
  );
}

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    const folder = temporaryFolder();
    writeFileSync(join(folder, "old.json"), JSON.stringify(OWN));
    writeFileSync(join(folder, "rows.toml"), TABLE);
    writeFileSync(join(folder, "broken.toml"), 'title = "Broken"\n[[panel]]\nwidth = 99\npromql = "up"\n');
    const args = ["--no-sampler", "--dashboards", folder];
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args });
    const pushed = await fetch(`${gateway.url}/api/v1/import/prometheus`, {
      method: "POST",
      body: history(),
    });
    expect(pushed.status).toBeLessThan(300);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("one that comes with Weir shows values, charts and states, and a variable changes them", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/d/gpu-workers?${RANGE}`, {
      viewport: { width: 1280, height: 1500 },
    });
    const rate = panelOf(page, "Success rate");
    await rate.getByRole("img", { name: "gpu-2: 50 %" }).waitFor();
    await rate.getByRole("img", { name: "gpu-1: 98 %" }).waitFor();
    expect(await page.title()).toBe("Weir / GPU workers · Weir");
    const attempts = panelOf(page, "Attempts");
    // 240 steps of 3 and of 6 attempts.
    await attempts.getByText("2.16 k").waitFor();
    // 3 of 15 s by each worker.
    await panelOf(page, "Throughput").getByText("0.4 ops/s").waitFor();
    const uptime = panelOf(page, "Uptime");
    await uptime.getByText("gpu-2").waitFor();
    expect(await valuesOf(uptime)).toEqual(["gpu-1 2 h", "gpu-2 1 h"]);
    const breaker = panelOf(page, "Circuit breaker");
    await breaker.getByText("open").waitFor();
    expect(await valuesOf(breaker)).toEqual(["gpu-1 closed", "gpu-2 open"]);
    await panelOf(page, "Worker status").getByRole("img", { name: "gpu-2: up at last" }).waitFor();
    await panelOf(page, "Network latency").getByText("No series has a value in this range").waitFor();
    // The first two lines of a chart, and the cells of a heat map.
    const failures = panelOf(page, "Consecutive failures");
    expect(await pixels(failures, [230, 159, 0])).toBeGreaterThan(100);
    const heat = panelOf(page, "Attempt duration, all of it");
    expect(await heat.getByRole("listitem").allInnerTexts()).toEqual(["≤ 500 ms", "≤ 100 ms"]);
    expect(await pixels(heat, [230, 85, 13])).toBeGreaterThan(1_000);
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS) {
      const path = join(import.meta.dir, "../../screenshots/dashboard.png");
      await page.screenshot({ path, clip: { x: 0, y: 0, width: 1280, height: 1100 } });
    }

    await page.locator("summary", { hasText: "Worker" }).click();
    await page.getByRole("checkbox", { name: "gpu-1" }).check();
    await attempts.getByText("720").waitFor();
    await rate.getByRole("img", { name: "gpu-2: 50 %" }).waitFor({ state: "detached" });
    expect(new URL(page.url()).searchParams.getAll("var-instance")).toEqual(["gpu-1"]);
    expect(complaints).toEqual([]);
  });

  test("the list has the files of the folder, and the line of an error", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/dashboards`);
    await page.getByRole("link", { name: "Old and short" }).waitFor();
    await page.getByText("width is 99, expected a whole number from 1 to 24").waitFor();
    await page.getByText("broken.toml:3:1").waitFor();
    expect(await page.getByRole("link", { name: /^Weir \/ / }).count()).toBe(5);
    expect(await seriousFindings(page)).toEqual([]);
    await page.getByRole("link", { name: "Rows" }).click();
    await page.getByRole("heading", { name: "Rows", level: 1 }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("a short file of an old Grafana is drawn as written, and panels that cannot be drawn say why", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/d/old?${RANGE}`, {
      viewport: { width: 1280, height: 1400 },
    });
    await panelOf(page, "Success").getByRole("img", { name: "Success (%): 0.98" }).waitFor();
    // Both workers are equally fast, so the second line covers the first.
    expect(await pixels(panelOf(page, "Throughput"), [230, 159, 0])).toBeGreaterThan(100);
    await panelOf(page, "Shares").getByText("It is of the type piechart, which is not supported.").waitFor();
    const logs = "Its data source is of the type loki, which the gateway does not answer for.";
    await panelOf(page, "Lines of logs").getByText(logs).waitFor();
    await panelOf(page, "Wrong").getByText("unclosed left parenthesis").waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("on a phone in the dark, rows of SQL and bars follow the variable, and nothing is wider than the screen", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/d/rows?${RANGE}&var-worker=gpu-2`, {
      viewport: { width: 390, height: 844 },
      colorScheme: "dark",
    });
    const newest = panelOf(page, "Newest");
    await newest.getByRole("cell", { name: "50 %" }).waitFor();
    expect(await newest.getByRole("row").allInnerTexts()).toEqual(["instance\trate", "gpu-2\t50 %"]);
    const bars = panelOf(page, "Attempts of gpu-2");
    await bars.getByText("1.44 k").waitFor();
    expect(await page.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
