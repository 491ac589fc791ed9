/** A person looks what is stored: finds a metric, and sees its labels, which of them was demoted and why. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";
import { seriousFindings } from "../../accessibility.ts";

const SCREENSHOTS = join(import.meta.dir, "../../screenshots");

/** 1,200 values of `url`, more than a label may have; 40 of `task_id`; 4 of `operation`. */
const EVENTS = Array.from({ length: 1_200 }, (_, index) => ({
  "@timestamp": Date.now() - 1_000,
  metric_name: "http.request.duration_ms",
  value: 250,
  unit: "ms",
  help: "How long a request takes.",
  tags: {
    operation: ["get_task", "get_task", "upload_result", "upload_file"][index % 4],
    url: `https://api.example.com/items/${index}`,
    task_id: `task-${index % 40}`,
    job: "worker",
  },
}));

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    const body = JSON.stringify(EVENTS);
    const pushed = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body });
    expect(pushed.status).toBe(200);
    const lines = Array.from({ length: 9_000 }, (_, index) => `many_${index} ${index}\n`).join("");
    const long =
      "# HELP database_flush_requests_time_seconds_total Seconds of flushes.\ndatabase_flush_requests_time_seconds_total 1\n";
    await fetch(`${gateway.url}/metrics/job/nightly`, { method: "PUT", body: lines + long });
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("a metric is found among 9,000, with its samples, sender and labels", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/explore?source=pushed`);
    // Four more: the metric of events, the one with a long name, and the two times of the push to the group.
    await page.getByText("9\u2009004 of ").waitFor();
    expect(await page.locator(".rows tbody tr").count()).toBeLessThan(120);
    await page.getByRole("searchbox").fill("request takes");
    await page.getByText("1 of ").waitFor();
    const row = page.getByRole("row", { name: /http\.request/ });
    expect((await row.getByRole("cell").allTextContents()).slice(0, 5)).toEqual([
      "http.request.duration_ms",
      "histogram of events",
      "ms",
      "3",
      "1\u2009200",
    ]);
    expect(await row.textContent()).toContain("worker");
    // No query has asked for it since the gateway started.
    expect(await row.textContent()).toMatch(/not for \d+/);

    await page.getByRole("link", { name: "http.request.duration_ms" }).click();
    const labels = page.getByRole("table", { name: "Labels", exact: true });
    await labels.waitFor();
    const texts = await labels.getByRole("row").allTextContents();
    expect(texts.slice(1)).toEqual([
      "url1\u2009200demoted to a column in SQL, because it has more than 1\u2009000 values (label-values-max)",
      "task_id40an attribute by the setting attributes: a column in SQL, not a label in PromQL",
      "operation3a label of the series, in PromQL and SQL",
      "job1a label of the series, in PromQL and SQL",
    ]);
    const series = page.getByRole("table", { name: "Largest series" });
    await series.getByText('{job="worker", operation="get_task"}').waitFor();
    expect((await series.getByRole("row").nth(1).getByRole("cell").allTextContents()).slice(1, 3)).toEqual([
      "600",
      "250 ms",
    ]);
    await page.getByRole("button", { name: "operation" }).click();
    const value = page.getByRole("link", { name: "get_task", exact: true });
    expect(await value.getAttribute("href")).toBe(
      `/query?${new URLSearchParams({ expr: 'http_request_duration_ms_count{operation="get_task"}' })}`,
    );
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(SCREENSHOTS, "explore.png") });
    expect(complaints).toEqual([]);
  });

  test("on a screen of 1,280 pixels the list shows when each metric was last asked for, without scrolling", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/explore?source=pushed&search=_`);
    const name = page.getByRole("link", { name: "database_flush_requests_time_seconds_total" });
    await name.waitFor();
    const rows = (await page.locator(".rows").boundingBox())!;
    for (const title of ["Metric", "Samples", "Last sample", "Last asked", "Jobs"]) {
      const column = (await page.getByRole("columnheader", { name: title }).boundingBox())!;
      expect({ title, isSeen: column.x + column.width <= rows.x + rows.width + 1 }).toEqual({
        title,
        isSeen: true,
      });
    }
    // There is no room for the help, which the name has.
    expect(await page.getByRole("columnheader", { name: "Help" }).count()).toBe(0);
    expect(await name.getAttribute("title")).toBe(
      "database_flush_requests_time_seconds_total: Seconds of flushes.",
    );
    await page.setViewportSize({ width: 1_920, height: 1_080 });
    expect(await page.getByRole("columnheader", { name: "Help" }).count()).toBe(1);
    expect(complaints).toEqual([]);
  });
});
