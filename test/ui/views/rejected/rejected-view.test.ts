/** A person sees why samples were rejected, replays them after a dry run, and deletes the rest. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  const data = temporaryFolder();
  const start = async (...args: string[]) => {
    gateway = await GatewayProcess.start({ data, args: ["--no-sampler", ...args] });
  };
  const tags = { job: "worker", instance: "worker-1" };
  beforeAll(async () => {
    browser = await TestBrowser.start();
    await start("--retention-days=2");
    const old = Date.now() - 5 * 86_400_000;
    const events = [
      { "@timestamp": old, metric_name: "task.duration_ms", value: 20, tags: { ...tags, task_id: "a" } },
      { "@timestamp": old, metric_name: "task.duration_ms", value: 30, tags: { ...tags, task_id: "b" } },
      { metric_name: "queue.depth", value: "many", tags },
    ];
    const answer = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(events),
    });
    expect(answer.status).toBe(400);
    // Retention is the cause of two, and it is mended.
    await gateway.stop("SIGTERM");
    await start("--retention-days=7");
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("samples are found by their cause, replayed after a dry run, and deleted", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/rejected`);
    const table = page.getByRole("table", { name: "Rejected samples" });
    await table.getByText('value is "many", expected a finite number').waitFor();
    expect(await table.getByRole("row").count()).toBe(4);
    expect(await seriousFindings(page)).toEqual([]);

    await table.getByRole("button", { name: "task.duration_ms" }).first().click();
    await table.getByText("many").waitFor({ state: "detached" });
    expect(new URL(page.url()).search).toBe("?metric=task.duration_ms");
    await page.getByRole("button", { name: "Replay …" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Replay 2 samples" }).click();
    await page.getByText("2 samples were stored, and 0 were rejected again.").waitFor();
    const sql = "SELECT value FROM task_duration_ms ORDER BY value";
    const stored = await fetch(`${gateway.url}/api/v1/sql?${new URLSearchParams({ q: sql, format: "csv" })}`);
    expect(await stored.text()).toBe("value\n20\n30\n");
    await page.getByText("No rejected sample matches.").waitFor();

    await page.getByLabel("Metric").fill("");
    await page.getByLabel("Metric").press("Enter");
    await table.getByRole("button", { name: "queue.depth" }).waitFor();
    // The value is mended, first to another one that is rejected, too.
    await table.getByRole("button", { name: /^\d{4}-/ }).click();
    const editor = page.getByLabel("The event, to be mended");
    const event = JSON.parse(await editor.inputValue()) as object;
    expect(event).toEqual({ metric_name: "queue.depth", value: "many", tags });
    await editor.fill(JSON.stringify({ ...event, value: "few" }));
    await page.getByRole("button", { name: "Push this event instead" }).click();
    await page.getByRole("alert").getByText('value is "few", expected a finite number').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({
        path: join(import.meta.dir, "../../screenshots/rejected.png"),
        fullPage: true,
      });
    await editor.fill(JSON.stringify({ ...event, value: 12 }));
    await page.getByRole("button", { name: "Push this event instead" }).click();
    await page.getByText("Nothing was rejected, or all of it was replayed or deleted.").waitFor();
    const depth = new URLSearchParams({ q: "SELECT value FROM queue_depth", format: "csv" });
    expect(await (await fetch(`${gateway.url}/api/v1/sql?${depth}`)).text()).toBe("value\n12\n");

    const wrong = JSON.stringify({ metric_name: "queue.depth", value: "none", tags });
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: wrong });
    await page.reload();
    await table.getByRole("button", { name: "queue.depth" }).waitFor();
    await page.getByRole("button", { name: "Delete …" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete 1 samples" }).click();
    await page.getByText("Nothing was rejected, or all of it was replayed or deleted.").waitFor();
    expect(complaints).toEqual([]);
  });
});
