/** A person asks in PromQL and in SQL, and finds the events behind a point. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Page } from "playwright-core";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { until } from "../../../until.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

/** Two minutes ago, so that counters and buckets have them. */
const PUSHED_MS = Date.now() - 120_000;
const EVENTS = Array.from({ length: 40 }, (_, index) => ({
  "@timestamp": PUSHED_MS,
  metric_name: "http.request.duration_ms",
  value: index < 30 ? 80 : 700,
  tags: {
    operation: index % 8 < 5 ? "get_task" : "upload_result",
    task_id: `task-${index}`,
    job: "worker",
  },
}));

/** An event each second of the last ten minutes, so that each point of a range has some. */
const STEADY = Array.from({ length: 600 }, (_, index) => ({
  "@timestamp": Date.now() - index * 1_000,
  metric_name: "steady.ms",
  value: 700,
  tags: { task_id: `steady-${index}` },
}));

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    const answer = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify([...EVENTS, ...STEADY]),
    });
    expect(answer.status).toBe(200);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });
  const open = (query: Record<string, string>) =>
    browser.open(`${gateway.url}/query?${new URLSearchParams(query)}`);

  /** Whether a chart has drawn a line: pixels of its first colour. */
  const drawnPixels = (page: Page) =>
    page.evaluate<number>(`(() => {
      const canvas = document.querySelector(".chart canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 0; at < data.length; at += 4)
        if (data[at] === 11 && data[at + 1] === 132 && data[at + 2] === 165 && data[at + 3] > 200) count++;
      return count;
    })()`);

  test("a query that takes long can be cancelled, and then no longer runs", async () => {
    const sql = "SELECT sum(sqrt(a.i * b.i)) FROM range(200000) a(i), range(200000) b(i)";
    const { page } = await open({ sql });
    const running = async () => {
      const answer = await fetch(`${gateway.url}/api/v1/status/active_queries`);
      return JSON.stringify(await answer.json()).includes("range(200000)");
    };
    await page.getByRole("button", { name: "Cancel" }).waitFor();
    await until("the query to run", running);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("The request was cancelled.").waitFor();
    await until("the query to end", async () => !(await running()));
  });

  test("a link opens an expression: its values in the table, and a line in the graph", async () => {
    const expr = "sum by (operation) (http_request_duration_ms_count)";
    const { page, complaints } = await open({ expr, tab: "table" });
    await page.getByRole("cell", { name: '{operation="get_task"}' }).waitFor();
    expect(
      await page
        .getByRole("row", { name: /get_task/ })
        .getByRole("cell")
        .nth(1)
        .textContent(),
    ).toBe("25");
    await page.getByRole("tab", { name: "Graph" }).click();
    await page.locator(".chart canvas").waitFor();
    await page.waitForFunction('document.querySelectorAll(".chart .u-legend .u-series").length === 3');
    expect(await drawnPixels(page)).toBeGreaterThan(0);
    expect(new URL(page.url()).searchParams.get("expr")).toBe(expr);
    expect(complaints).toEqual([]);
  });

  test("typing completes names, and Enter runs the expression", async () => {
    const { page, complaints } = await open({});
    await page.getByRole("textbox", { name: "Query 1" }).click();
    await page.keyboard.type("http_request_duration_ms_c", { delay: 20 });
    await page
      .getByRole("option", { name: /http_request_duration_ms_count/ })
      .first()
      .waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.type("ount");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Enter");
    await page.getByText("2 series in").waitFor();
    expect(new URL(page.url()).searchParams.get("expr")).toBe("http_request_duration_ms_count");
    await page.goBack();
    expect(complaints).toEqual([]);
  });

  test("typing in quotes finds one of many values, as it is asked for again", async () => {
    const values = Array.from({ length: 1_000 }, (_, index) => `customer-${index}`);
    const answer = await fetch(`${gateway.url}/api/v1/import/prometheus`, {
      method: "POST",
      body: values.map((value) => `orders{customer="${value}"} 1\n`).join(""),
    });
    expect(answer.ok).toBe(true);
    const { page, complaints } = await open({});
    const searched: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/search/label_values")) searched.push(request.url());
      // The page never loads all values.
      expect(request.url()).not.toContain("/api/v1/label/");
    });
    await page.getByRole("textbox", { name: "Query 1" }).click();
    await page.keyboard.type('orders{customer="cust', { delay: 20 });
    await page.getByRole("option", { name: "customer-0", exact: true }).waitFor();
    // By name it is after the 200 that the first answer had.
    await page.keyboard.type("omer-987", { delay: 20 });
    await page.getByRole("option", { name: "customer-987", exact: true }).waitFor();
    expect(searched.length).toBeGreaterThan(1);
    expect(complaints).toEqual([]);
  });

  test("an expression is formatted, and one that cannot be read stays", async () => {
    const { page, complaints } = await open({ expr: "sum(rate(steady_ms_count[5m]))by(job)" });
    const editor = page.getByRole("textbox", { name: "Query 1" });
    await page.getByText("1 series in").waitFor();
    await page.getByRole("button", { name: "Format" }).click();
    await editor.getByText("sum by (job) (rate(steady_ms_count[5m]))").waitFor();
    expect(complaints).toEqual([]);
    const other = await open({ expr: "1 +" });
    await other.page.getByRole("alert").waitFor();
    const answered = other.page.waitForResponse(/format_query/);
    await other.page.getByRole("button", { name: "Format" }).click();
    expect((await answered).status()).toBe(400);
    expect(await other.page.getByRole("textbox", { name: "Query 1" }).textContent()).toBe("1 +");
    expect(other.complaints).toEqual([]);
  });

  test("the line under the pointer has its name and value, and Ctrl and the wheel zoom", async () => {
    const { page, complaints } = await open({ expr: "max(steady_ms)", range: "10m" });
    const chart = page.locator(".chart .u-over");
    await chart.waitFor();
    const { x, y, width, height } = (await chart.boundingBox())!;
    const tip = page.locator(".chart .tip");
    // The line is flat, and somewhere in the middle.
    for (let down = 10; down < height && !(await tip.isVisible()); down += 20)
      await page.mouse.move(x + width / 2, y + down);
    expect(await tip.textContent()).toMatch(/^.*700 ms at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const highlighted = await page.evaluate<number>(`(() => {
      const canvas = document.querySelector(".chart canvas.focus");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, at) => at % 4 === 3 && value > 0).length;
    })()`);
    expect(highlighted).toBeGreaterThan(100);
    await page.keyboard.down("Control");
    await page.mouse.wheel(0, -400);
    await page.keyboard.up("Control");
    await page.waitForURL(/from=/);
    const query = new URL(page.url()).searchParams;
    const seconds = (Number(query.get("to")) - Number(query.get("from"))) / 1_000;
    // By e to the power of 0.8, around the middle.
    expect(Math.abs(seconds - 600 * Math.exp(-0.8))).toBeLessThan(20);
    expect(complaints).toEqual([]);
  });

  test("an error is a sentence of the gateway", async () => {
    const { page } = await open({ expr: "sum(" });
    await page.getByRole("alert").getByText("The answer could not be loaded").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("unclosed left parenthesis");
  });

  test("SQL answers rows with links to tasks, and downloads", async () => {
    const sql = "SELECT task_id, value FROM http_request_duration_ms WHERE value > 500 ORDER BY task_id";
    const { page, complaints } = await open({ sql, tab: "table" });
    await page.getByText("10 rows in").waitFor();
    const link = page.getByRole("link", { name: "task-30" });
    expect(await link.getAttribute("href")).toBe("/tasks?task_id=task-30");
    const csv = await page.getByRole("link", { name: "CSV" }).getAttribute("href");
    expect((await (await fetch(gateway.url + csv)).text()).split("\n")[1]).toBe("task-30,700");
    expect(complaints).toEqual([]);
  });

  test("a cell of the heat map leads to the events behind it, and to their rows", async () => {
    const { page } = await open({
      expr: "sum by (le) (rate(steady_ms_bucket[1m]))",
      tab: "heatmap",
      range: "5m",
    });
    const map = page.getByRole("img", { name: /buckets over/ });
    await map.waitFor();
    const { width, height } = (await map.boundingBox())!;
    // The middle, and the bucket of up to a second.
    const bounds = await page.locator(".heat-bounds li").allTextContents();
    const row = bounds.indexOf("≤ 1 s");
    expect(row).toBeGreaterThan(0);
    await map.click({ position: { x: width / 2, y: (row + 0.5) * (height / bounds.length) } });
    await page
      .getByRole("link", { name: /^task_id=steady-\d/ })
      .first()
      .waitFor();
    const href = await page.getByRole("link", { name: "All raw rows in SQL" }).getAttribute("href");
    expect(new URL(href!, gateway.url).searchParams.get("sql")).toContain("FROM steady_ms WHERE ts >");
  });

  test("a click on a line of the graph leads to the events behind the point", async () => {
    const { page, complaints } = await open({
      expr: 'sum(rate(steady_ms_bucket{le="1000.0"}[1m]))',
      range: "5m",
    });
    const over = page.locator(".chart .u-over");
    await over.waitFor();
    // Where the line is, in the middle of the chart: an event each second is a flat line.
    const y = await page.evaluate<number>(`(() => {
      const canvas = document.querySelector(".chart canvas");
      const { left, top, width } = document.querySelector(".chart .u-over").getBoundingClientRect();
      const own = canvas.getBoundingClientRect();
      const column = Math.round(left - own.left + width / 2);
      const { data } = canvas.getContext("2d").getImageData(column, 0, 1, canvas.height);
      for (let row = 0; row < canvas.height; row++)
        if (Math.abs(data[4 * row] - 11) < 40 && data[4 * row + 3] > 100) return row - (top - own.top);
      return -1;
    })()`);
    expect(y).toBeGreaterThan(0);
    const { width } = (await over.boundingBox())!;
    await over.click({ position: { x: width / 2, y } });
    await page
      .getByRole("link", { name: /^task_id=steady-\d/ })
      .first()
      .waitFor();
    expect(complaints).toEqual([]);
  });

  test("the tree says how many series each part has", async () => {
    const { page } = await open({ expr: "sum(http_request_duration_ms_count) * 2", tab: "tree" });
    await page.getByText("2 series in").waitFor();
    expect(await page.locator(".syntax-tree li").count()).toBe(4);
  });

  test("10,000 series in the table do not freeze the page", async () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `many{n="${index}"} ${index}`).join("\n");
    await fetch(`${gateway.url}/metrics/job/many`, { method: "PUT", body: `${lines}\n` });
    const { page } = await open({ expr: "many", tab: "table" });
    await page.getByText("10\u2009000 series in").waitFor();
    // Only those that can be seen are in the document.
    expect(await page.locator(".rows tbody tr").count()).toBeLessThan(120);
    await page.getByRole("button", { name: "Value" }).click();
    await page.getByRole("cell", { name: "9999", exact: true }).first().waitFor();
  });
});
