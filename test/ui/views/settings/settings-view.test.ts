/** A person sees which settings are in effect and where each came from, and how many samples each day has. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

const DAY_MS = 86_400_000;

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  /** Noon of the day before yesterday, so that the samples have one day. */
  const noonMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - 1.5 * DAY_MS;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    gateway = await GatewayProcess.start({
      data: temporaryFolder(),
      args: ["--no-sampler", "--retention-days=9"],
      env: { WEIR_FUTURE_MS: "20m" },
    });
    const events = Array.from({ length: 1_500 }, (_, index) => ({
      "@timestamp": noonMs + index,
      metric_name: index % 3 === 0 ? "task.duration_ms" : "upload.size_bytes",
      value: index,
    }));
    const answer = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(events),
    });
    expect(answer.status).toBe(200);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("settings have their value and source, and days their samples", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/settings`);
    const day = page.getByRole("row", { name: new Date(noonMs).toISOString().slice(0, 10) });
    await day.waitFor();
    expect((await day.getByRole("cell").allTextContents()).slice(1, 3)).toEqual(["1\u2009500", "2"]);
    await page.getByText("9 days").waitFor();

    const row = (flag: string) => page.getByRole("row", { name: new RegExp(`^${flag} `) });
    await row("--retention-days").waitFor();
    const cells = async (flag: string) => (await row(flag).getByRole("cell").allTextContents()).slice(1);
    expect((await cells("--retention-days")).slice(0, 2)).toEqual(["9", "--retention-days"]);
    expect((await cells("--future-ms")).slice(0, 2)).toEqual(["20m", "WEIR_FUTURE_MS"]);
    expect((await cells("--lookback-ms")).slice(0, 2)).toEqual(["5m", "default"]);
    expect((await cells("--retention-days"))[2]).toContain("Default: 7.");

    await page.getByLabel("Only those that were set").check();
    await row("--lookback-ms").waitFor({ state: "detached" });
    expect(await row("--future-ms").count()).toBe(1);
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(import.meta.dir, "../../screenshots/settings.png") });
    expect(complaints).toEqual([]);
  });
});
