/** The overview shows what was pushed: workers, rates, errors, quantiles, machines, cards, disks, and what was rejected. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

const AXE = readFileSync(join(import.meta.dir, "../../../../node_modules/axe-core/axe.min.js"), "utf8");
const GIB = 1_024 ** 3;

/** Ten tasks that took 100 to 1,000 ms. Two of them failed. */
const TASKS = Array.from({ length: 10 }, (_, at) => ({
  metric_name: "task.processing_duration_ms",
  value: 100 * (at + 1),
  tags: {
    ...{ job: "worker", instance: `w-${at % 2}`, task_id: `t-${at}`, domain: "api.example.com" },
    http_status: at < 2 ? "500" : "200",
  },
}));

const gaugeEvent = (metric_name: string, value: number, tags: Record<string, string>) => ({
  ...{ metric_name, type: "gauge", value, tags: { job: "node", instance: "host-1", ...tags } },
});
const CARD = { gpu: "0", name: "Card X", uuid: "GPU-1" };
const GAUGES = [
  gaugeEvent("node_load1", 1.5, {}),
  gaugeEvent("node_memory_MemTotal_bytes", 16 * GIB, {}),
  gaugeEvent("node_memory_MemAvailable_bytes", 12 * GIB, {}),
  gaugeEvent("node_filesystem_size_bytes", 100 * GIB, { mountpoint: "/data" }),
  gaugeEvent("node_filesystem_avail_bytes", 25 * GIB, { mountpoint: "/data" }),
  gaugeEvent("gpu_utilization_ratio", 0.42, CARD),
  gaugeEvent("gpu_memory_used_bytes", 20 * GIB, CARD),
  gaugeEvent("gpu_memory_total_bytes", 80 * GIB, CARD),
  gaugeEvent("gpu_power_watts", 350, CARD),
  gaugeEvent("gpu_power_limit_watts", 700, CARD),
  gaugeEvent("gpu_temperature_celsius", 61, CARD),
];

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    browser = await TestBrowser.start();
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  const push = (events: readonly object[]) =>
    fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
  const panel = (page: Page, title: string) => page.getByRole("region", { name: title, exact: true });
  const seriousFindings = async (page: Page) => {
    await page.evaluate(AXE);
    const found = (await page.evaluate("axe.run()")) as { violations: { id: string; impact: string }[] };
    return found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  };

  test("an empty gateway says how to push the first event, and the command works", async () => {
    const { page, complaints } = await browser.open(gateway.url);
    await page.getByText("Nobody has pushed yet").waitFor();
    const command = await page.locator(".copyable pre").textContent();
    const run = Bun.spawn(["sh", "-c", command!], { stdout: "pipe", stderr: "ignore" });
    expect(JSON.parse(await new Response(run.stdout).text())).toMatchObject({ accepted: 1, rejected: 0 });
    await page.getByRole("cell", { name: "w-1" }).waitFor();
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test("what was pushed is shown with its units", async () => {
    await push(TASKS.map((event) => ({ ...event, metric_name: "job.duration_ms" })));
    await push(GAUGES);
    await push([{ metric_name: "job.duration_ms", value: "much", tags: { instance: "w-9" } }]);
    const { page, complaints } = await browser.open(gateway.url, { colorScheme: "dark" });
    const row = panel(page, "Events").getByRole("row", { name: /job\.duration_ms/ });
    await row.waitFor();
    // Half way between the fifth and the sixth; 0.55 and 0.91 of the way to the tenth.
    const [name, rate, ...others] = await row.getByRole("cell").allInnerTexts();
    expect([name, ...others]).toEqual(["job.duration_ms", "", "20 %", "550 ms", "955 ms", "991 ms", ""]);
    // Ten in the time since the gateway has started.
    expect(Number(rate)).toBeGreaterThan(10 / 300);
    await panel(page, "Workers")
      .getByRole("row", { name: /worker w-0/ })
      .waitFor();
    await panel(page, "Rejected")
      .getByText(/job\.duration_ms: value is "much"/)
      .waitFor();
    const texts = async (title: string) => {
      await panel(page, title).waitFor();
      return (await panel(page, title).textContent())!.replaceAll(/\s+/g, " ");
    };
    expect(await texts("Host")).toContain("host-1 load 1.5");
    expect(await texts("Host")).toContain("4 of 16 GiB");
    expect(await texts("Disks")).toContain("/data");
    expect(await texts("Disks")).toContain("25 GiB free of 100 GiB");
    for (const text of ["GPU 0 Card X 61 °C", "42 %", "20 of 80 GiB", "350 of 700 W"])
      expect(await texts("GPUs")).toContain(text);
    expect(await texts("Storage by day")).toContain("22");
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    // Nothing is wider than a phone.
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await page.context().close();
  });
});
