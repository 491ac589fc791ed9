/** A person sees the queries that run, cancels one, and finds the slow ones. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { weir } from "../../../commands/weir.ts";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

/** Computes for half a minute: a billion steps. */
const HEAVY = "count_over_time(quantile_over_time(0.5, vector(1)[1000s:1s])[1000000s:1s])";
const ROWS_SQL = "SELECT r.range AS n, repeat('x', 200) AS text FROM range(1000000) AS r";

describe.skipIf(!hasBrowser)("in Chromium", () => {
  const data = join(temporaryFolder(), "data");
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    browser = await TestBrowser.start();
    for (const [name, scopes] of [
      ["boss", "admin,read,sql"],
      ["dashboard", "read,sql"],
    ] as const) {
      const args = ["token", "create", "--data", data, "--name", name, "--scope", scopes];
      tokens[name] = (await weir(args)).out.trim();
    }
    const args = ["--no-sampler", "--sql-rows-max", "1000000"];
    gateway = await GatewayProcess.start({ data, args });
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  const ask = (path: string, parameters: Record<string, string>, token: string) =>
    fetch(`${gateway.url}${path}?${new URLSearchParams(parameters)}`, {
      headers: { authorization: `Bearer ${tokens[token]}` },
    });
  async function open(name: string, width = 1280) {
    const opened = await browser.open(`${gateway.url}/queries`, { viewport: { width, height: 800 } });
    await opened.page.getByLabel("Token").fill(tokens[name]!);
    await opened.page.keyboard.press("Enter");
    return opened;
  }

  test("running queries are cancelled by keyboard, and are then among the slow ones", async () => {
    await ask("/api/v1/sql", { q: "SELECT count(*) FROM range(3000000)" }, "boss");
    const { page, complaints } = await open("boss");
    await page.getByText("No query runs at the moment.").waitFor();
    const answer = ask("/api/v1/query", { query: HEAVY }, "dashboard");
    // Its rows are read only as far as its client takes them.
    const rows = await ask("/api/v1/sql", { q: ROWS_SQL, format: "ndjson" }, "boss");
    const table = page.getByRole("table", { name: "Running queries" });
    const running = table.getByRole("row", { name: /count_over_time/ });
    const sql = table.getByRole("row", { name: /SELECT r\.range/ });
    await running.waitFor();
    await sql.waitFor();
    const cells = await running.getByRole("cell").allTextContents();
    expect(cells.slice(0, 3)).toEqual([HEAVY, "PromQL", "dashboard"]);
    expect(cells[4]).toBe("running");
    const ofSql = await sql.getByRole("cell").allTextContents();
    expect(ofSql.slice(1, 3)).toEqual(["SQL", "boss"]);
    expect(Number(ofSql[5]!.replace(/\D/g, ""))).toBeGreaterThan(0);
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(import.meta.dir, "../../screenshots/queries.png"), fullPage: true });
    await rows.body!.cancel();
    await sql.waitFor({ state: "detached" });

    await running.getByRole("button", { name: /^Cancel the query/ }).focus();
    await page.keyboard.press("Enter");
    await page.getByText("The query in PromQL was cancelled.").waitFor();
    const canceled = await answer;
    expect(canceled.status).toBe(503);
    expect(await canceled.text()).toContain("the query was canceled");
    await running.waitFor({ state: "detached" });

    // The list of slow queries is asked for more rarely.
    await page.reload();
    const slow = page.getByRole("table", { name: "Slow queries" });
    const row = slow.getByRole("row", { name: /count_over_time/ });
    await row.waitFor();
    expect((await row.getByRole("cell").allTextContents()).slice(1, 3)).toEqual(["PromQL", "dashboard"]);
    expect(await row.getByRole("cell").nth(5).textContent()).toBe("1");
    const link = await row.getByRole("link").getAttribute("href");
    expect(new URL(link!, gateway.url).searchParams.get("expr")).toBe(HEAVY);
    expect(complaints).toEqual([]);
  });

  test("a token sees its own queries only, on a narrow screen too", async () => {
    await ask("/api/v1/query", { query: "sum_over_time(vector(2)[20000s:1s])" }, "boss");
    await ask("/api/v1/query", { query: "sum_over_time(vector(3)[20000s:1s])" }, "dashboard");
    const { page, complaints } = await open("dashboard", 360);
    await page.getByText("of your token").first().waitFor();
    const slow = page.getByRole("table", { name: "Slow queries" });
    await slow.getByRole("row", { name: /vector\(3\)/ }).waitFor();
    expect(await slow.getByRole("row", { name: /vector\(2\)/ }).count()).toBe(0);
    expect(await page.getByRole("link", { name: "Tokens" }).count()).toBe(0);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    expect(complaints).toEqual([]);
  });
});
