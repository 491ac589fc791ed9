/**
 * All views with data, on a phone and on a screen, in light and in dark: nothing moves while they load, nothing is wider
 * than the screen, and the navigation does not hide the view.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { VIEW_PATHS } from "../../src/http/page/page-routes.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "./browser.ts";

/** Where the screenshots of all views are written, to be looked at. None by default. */
const FOLDER = process.env.LOOK_AT_VIEWS;
const GIB = 1_024 ** 3;
/** What browsers add up as the layout shifts. Below 0.1 is called good. */
const SHIFT_MAX = 0.02;
const PHONE = { width: 390, height: 844 };
const SCREEN = { width: 1_280, height: 800 };

const RULES = `groups:
- name: queues
  interval: 1s
  rules:
  - {alert: DeepQueue, expr: queue_depth > 5, labels: {severity: page}, annotations: {summary: "{{ $value }} jobs wait in {{ $labels.instance }}"}}
  - {record: "queue_depth:sum", expr: sum(queue_depth)}
`;

/** What a worker with a card pushes in a quarter of an hour. */
function events(nowMs: number): object[] {
  const tasks = Array.from({ length: 60 }, (_, at) => {
    const endMs = nowMs - at * 15_000;
    const tags = { job: "worker", instance: `worker-${at % 3}`, task_id: `1795723360_nb${at}p` };
    const status = at % 7 === 0 ? "503" : "200";
    const domain = `api-${at % 4}.example.com`;
    const request = (operation: string, beforeMs: number, value: number) => ({
      ...{ metric_name: "http.request.duration_ms", value, "@timestamp": endMs - beforeMs },
      tags: { ...tags, operation, domain, status_code: status, success: String(status === "200") },
    });
    return [
      request("get_task", 7_000, 120 + at),
      request("target_request", 700, 5_000 + 100 * at),
      request("upload_result", 100, 300 + at),
      {
        ...{ metric_name: "upload.size_bytes", value: 2_048 * (at + 1), "@timestamp": endMs - 50 },
        tags: { ...tags, upload_type: "direct" },
      },
      {
        ...{ metric_name: "task.processing_duration_ms", value: 6_000 + 100 * at, "@timestamp": endMs },
        tags: { ...tags, domain, http_status: status, method: "GET" },
      },
    ];
  }).flat();
  const card = { gpu: "0", name: "Card X 80 GB", uuid: "GPU-1" };
  const gauge = (metric_name: string, value: number, tags: Record<string, string> = {}) => ({
    ...{ metric_name, type: "gauge", value, tags: { job: "node", instance: "gpu-host-1", ...tags } },
  });
  return [
    ...tasks,
    gauge("node_load1", 3.2),
    gauge("node_memory_MemTotal_bytes", 64 * GIB),
    gauge("node_memory_MemAvailable_bytes", 21 * GIB),
    gauge("node_filesystem_size_bytes", 900 * GIB, { mountpoint: "/var/lib/weir" }),
    gauge("node_filesystem_avail_bytes", 90 * GIB, { mountpoint: "/var/lib/weir" }),
    gauge("gpu_utilization_ratio", 0.93, card),
    gauge("gpu_memory_used_bytes", 71 * GIB, card),
    gauge("gpu_memory_total_bytes", 80 * GIB, card),
    gauge("gpu_power_watts", 655, card),
    gauge("gpu_power_limit_watts", 700, card),
    gauge("gpu_temperature_celsius", 79, card),
    gauge("queue_depth", 12, { instance: "worker-0" }),
    // Rejected.
    { metric_name: "task.processing_duration_ms", value: "much", tags: { instance: "worker-1" } },
  ];
}

/** The address of each view, with something to show. */
const ADDRESSES = VIEW_PATHS.filter((path) => !path.includes(":")).map((path) => {
  if (path === "/query")
    return `/query?${new URLSearchParams({ expr: "sum by (operation) (rate(http_request_duration_ms_count[5m]))" })}`;
  if (path === "/tasks") return "/tasks?task_id=1795723360_nb3p";
  return path;
});

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    const rules = join(temporaryFolder(), "queues.yml");
    writeFileSync(rules, RULES);
    gateway = await GatewayProcess.start({
      data: temporaryFolder(),
      args: ["--no-sampler", `--rules=${rules}`],
    });
    const push = (path: string, body: string) => fetch(gateway.url + path, { method: "POST", body });
    await push("/api/v1/push", JSON.stringify(events(Date.now())));
    await push("/metrics/job/nightly_backup/instance/db-1", "backup_bytes 123456789\nbackup_ok 1\n");
    if (FOLDER !== undefined) mkdirSync(FOLDER, { recursive: true });
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  // README shows it.
  test.skipIf(process.env.WRITE_SCREENSHOTS !== "1")(
    "the overview of a minute of pushes",
    async () => {
      for (let second = 0; second < 90; second++) {
        const now = Date.now();
        const some = events(now).filter((_, at) => at % (7 + (second % 5)) === second % 7 || at >= 300);
        const current = some
          .filter((event) => !("value" in event && typeof event.value === "string"))
          .map((event) => ("@timestamp" in event ? { ...event, "@timestamp": now } : event));
        await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(current) });
        await Bun.sleep(1_000);
      }
      const { page } = await browser.open(gateway.url, { viewport: { width: 1_280, height: 1_000 } });
      await page.getByRole("region", { name: "Disks" }).waitFor();
      await page.screenshot({ path: join(import.meta.dir, "screenshots/overview.png") });
      await page.context().close();
    },
    600_000,
  );

  /** How much moved since the page was opened, as browsers add it up, without what a person caused. */
  const layoutShift = (page: Page) =>
    page.evaluate<{ total: number; moved: string[] }>(`new Promise((done) => {
      let total = 0;
      const moved = [];
      const observer = new PerformanceObserver((list) => add(list.getEntries()));
      const add = (entries) => {
        for (const { value, hadRecentInput, sources } of entries) {
          if (hadRecentInput) continue;
          total += value;
          for (const { node } of sources) moved.push((node?.outerHTML ?? node?.textContent ?? "").slice(0, 100));
        }
      };
      observer.observe({ type: "layout-shift", buffered: true });
      requestAnimationFrame(() => requestAnimationFrame(() => { add(observer.takeRecords()); done({ total, moved }); }));
    })`);

  /** What is wrong with a view while it loads, and then. */
  async function faults(address: string, viewport: typeof PHONE): Promise<readonly unknown[]> {
    const { page, complaints } = await browser.open("about:blank", { viewport });
    await page.goto(gateway.url + address);
    await page.locator("main > :nth-child(2)").waitFor();
    const loading = page.locator(".loading");
    while ((await loading.count()) > 0) await loading.first().waitFor({ state: "detached" });
    const { total, moved } = await layoutShift(page);
    const width = await page.evaluate<number>("document.documentElement.scrollWidth");
    if (FOLDER !== undefined)
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        const file = `${address.replace(/\?.*/, "").slice(1) || "overview"}-${viewport.width}-${colorScheme}.png`;
        await page.screenshot({ path: join(FOLDER, file), fullPage: true });
      }
    await page.context().close();
    return [
      ...complaints,
      ...(total < SHIFT_MAX ? [] : [`${address}: moved by ${total}`, ...moved]),
      ...(width === viewport.width ? [] : [`${address}: ${width} pixels wide`]),
    ];
  }

  test.each([
    ["a phone", PHONE],
    ["a screen", SCREEN],
  ])("every view fits on %s, and nothing moves while it loads", async (_, viewport) => {
    const found: unknown[] = [];
    // Some at once, because most of the time is waiting.
    for (let from = 0; from < ADDRESSES.length; from += 3) {
      const some = ADDRESSES.slice(from, from + 3);
      found.push(...(await Promise.all(some.map((address) => faults(address, viewport)))).flat());
    }
    expect(found).toEqual([]);
  });

  test("on a phone a button opens the navigation, and a link or Escape closes it", async () => {
    const { page } = await browser.open(gateway.url, { viewport: PHONE });
    const button = page.getByRole("button", { name: "Views" });
    const link = page.getByRole("navigation").getByRole("link", { name: "Groups" });
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(await link.isVisible()).toBe(false);
    const heading = (await page.getByRole("heading", { name: "Overview" }).boundingBox())!;
    // One line above the view, whatever the number of views is.
    expect(heading.y).toBeLessThan(100);
    await button.click();
    await link.waitFor();
    await page.keyboard.press("Escape");
    await link.waitFor({ state: "hidden" });
    await button.click();
    await link.click();
    await page.getByRole("heading", { name: "Groups", level: 1 }).waitFor();
    expect(await link.isVisible()).toBe(false);
    await page.context().close();
  });

  test("on a phone the bars of a task need no scrolling to the side", async () => {
    const { page } = await browser.open(`${gateway.url}/tasks?task_id=1795723360_nb3p`, { viewport: PHONE });
    const timeline = page.getByRole("table", { name: "Timeline" });
    await timeline.waitFor();
    const [width, room] = await page.evaluate<[number, number]>(
      "(() => { const table = document.querySelector('.waterfall'); return [table.scrollWidth, table.parentElement.clientWidth]; })()",
    );
    expect(width).toBeLessThanOrEqual(room);
    await page.context().close();
  });
});
