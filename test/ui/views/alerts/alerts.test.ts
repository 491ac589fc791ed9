/** A person sees what fires and why, silences it, and sees what is left of an error budget. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

const RULES = `groups:
- name: depth
  interval: 1s
  rules:
  - alert: DeepQueue
    expr: depth > 5
    labels: {severity: page}
    annotations: {summary: "{{ $value }} wait in {{ $labels.instance }}"}
  - {record: depth:sum, expr: sum(depth)}
  - {record: broken, expr: 'depth * on () group_left () depth'}
`;

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    const rules = join(temporaryFolder(), "depth.yml");
    writeFileSync(rules, RULES);
    gateway = await GatewayProcess.start({
      data: temporaryFolder(),
      args: ["--no-sampler", `--rules=${rules}`],
    });
    const slo = ["good", "total"].map(
      (what) => `slo:${what}:increase5m{slo="api"} ${what === "good" ? 996 : 1_000}`,
    );
    const levels = ['slo:objective:ratio{slo="api"} 0.99', 'slo:window:seconds{slo="api"} 2592000', ...slo];
    const depth = ['depth{instance="w1"} 7', 'depth{instance="w2"} 1'];
    const body = `${[...levels, ...depth].join("\n")}\n`;
    const pushed = await fetch(`${gateway.url}/api/v1/import/prometheus`, { method: "POST", body });
    expect(pushed.status).toBeLessThan(300);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("an alert has its state, its text and its labels, and a rule that fails has its reason", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/alerts`);
    const alert = page.getByRole("article").filter({ hasText: "DeepQueue" });
    await alert.waitFor();
    expect(await alert.textContent()).toContain("7 wait in w1");
    expect(await alert.textContent()).toContain("severity=page");
    await page.getByText("many-to-many").or(page.getByText("duplicate series")).first().waitFor();
    const level = page.getByRole("row", { name: /^api/ });
    // 4 of the 10 errors that 1,000 events allow.
    expect(await level.textContent()).toMatch(/99 %.*99\.6 %.*60 %/);
    expect(complaints).toEqual([]);
  });

  test("an alert is silenced from its card, and the silence is ended", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/alerts`);
    await page.getByRole("button", { name: "Silence …" }).first().click();
    const field = page.getByLabel("Alerts that have");
    expect(await field.inputValue()).toContain('alertname="DeepQueue"');
    await field.fill('alertname="DeepQueue"');
    await page.getByLabel("Why").fill("known, Paul repairs it");
    await page.getByRole("button", { name: "Silence", exact: true }).click();
    await page.getByRole("cell", { name: "known, Paul repairs it" }).waitFor();
    const silences = (await (await fetch(`${gateway.url}/api/v2/silences`)).json()) as {
      status: { state: string };
    }[];
    expect(silences.map(({ status }) => status.state)).toEqual(["active"]);
    await page.getByRole("button", { name: "End now" }).click();
    await page.getByText("No alert is silenced").waitFor();
    expect(complaints).toEqual([]);
  });
});
