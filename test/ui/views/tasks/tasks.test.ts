/** The view of tasks: one task as a waterfall, the slow ones, and failures by reason, from events that the test pushed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

const AXE = readFileSync(join(import.meta.dir, "../../../../node_modules/axe-core/axe.min.js"), "utf8");

/** The events of one task, which ended before `atMs`: it was fetched, failed at its target, and was uploaded. */
function taskEvents(taskId: string, atMs: number, targetMs: number, status: string) {
  const event = (metric_name: string, endMs: number, value: number, tags: Record<string, string>) => ({
    ...{ metric_name, value, "@timestamp": atMs + endMs },
    tags: { job: "worker", instance: "w-1", task_id: taskId, ...tags },
  });
  const success = String(Number(status) < 400);
  const request = { status_code: "200", success: "true", domain: "app.example.com" };
  const target = { operation: "target_request", status_code: status, success, domain: "api.example.com" };
  return [
    event("http.request.duration_ms", 100, 100, { ...request, operation: "get_task" }),
    event("http.request.duration_ms", 150 + targetMs, targetMs, target),
    event("upload.size_bytes", 160 + targetMs, 2_048, { upload_type: "direct" }),
    event("http.request.duration_ms", 400 + targetMs, 200, { ...request, operation: "upload_result" }),
    event("task.processing_duration_ms", 400 + targetMs, targetMs + 300, {
      ...{ domain: "api.example.com", http_status: status, method: "GET" },
    }),
  ];
}

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    const atMs = Date.now() - 60_000;
    const events = [
      ...taskEvents("task_slow", atMs, 7_000, "200"),
      ...taskEvents("task_bad", atMs, 1_500, "500"),
      ...taskEvents("task_worse", atMs + 10_000, 1_600, "500"),
    ];
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
    browser = await TestBrowser.start();
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("a task is found by its id, and its steps are bars in the order of their start", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/tasks`);
    await page.getByLabel("task_id").fill("task_bad");
    await page.keyboard.press("Enter");
    const timeline = page.getByRole("table", { name: "Timeline" });
    await timeline.waitFor();
    expect(new URL(page.url()).search).toBe("?task_id=task_bad");
    const rows = (await timeline.locator("tbody tr").all()).map((row) => row.locator("td").allInnerTexts());
    expect((await Promise.all(rows)).map((cells) => cells.slice(0, 4).map((cell) => cell.trim()))).toEqual([
      ["+0 s", "get_task app.example.com", "200", "100 ms"],
      ["+100 ms", "task.processing_duration_ms api.example.com", "500", "1.8 s"],
      ["+150 ms", "target_request api.example.com", "500", "1.5 s"],
      ["+1.66 s", "upload.size_bytes direct", "", "2 KiB"],
      ["+1.7 s", "upload_result app.example.com", "200", "200 ms"],
    ]);
    // The target request begins at 150 of 1,900 ms and takes 1,500 of them.
    const lane = (await timeline.locator("tbody td.lane").nth(2).boundingBox())!;
    const bar = (await timeline.locator("tbody td.lane .bar").nth(2).boundingBox())!;
    expect((bar.x - lane.x) / lane.width).toBeCloseTo(150 / 1_900, 2);
    expect(bar.width / lane.width).toBeCloseTo(1_500 / 1_900, 2);
    expect(complaints).toEqual([]);
  });

  test("slow tasks and failures lead to their tasks", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/tasks`, { colorScheme: "dark" });
    const slow = page.getByRole("table", { name: "Slow tasks" });
    await slow.waitFor();
    // 7.3 s is more than 5 s; 1.8 s is not.
    expect(await slow.locator("tbody tr").count()).toBe(1);
    expect((await slow.locator("tbody td").allInnerTexts()).slice(0, 4)).toEqual([
      ...["task_slow", "7.3 s", "api.example.com", "200"],
    ]);
    const failures = page.getByRole("table", { name: "Failures by reason" });
    await failures.waitFor();
    const cells = await failures.locator("tbody tr").first().locator("td").allInnerTexts();
    expect(cells.slice(0, 4)).toEqual(["target_request", "500", "api.example.com", "2"]);
    expect(cells[5]).toBe("task_worse");
    await page.evaluate(AXE);
    const found = (await page.evaluate("axe.run()")) as { violations: { id: string; impact: string }[] };
    expect(found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")).toEqual(
      [],
    );
    await slow.getByRole("link", { name: "task_slow" }).click();
    await page.getByRole("table", { name: "Timeline" }).waitFor();
    expect(complaints).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(import.meta.dir, "../../screenshots/tasks.png") });
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
  });

  test("an id that no sample has is said so", async () => {
    const { page } = await browser.open(`${gateway.url}/tasks?task_id=task_none`);
    await page.getByText("No sample has the").waitFor();
  });
});
