/** A person sees the groups of a Pushgateway and deletes them: one, or those that a selector selects. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";
import { groupPath } from "../../../../src/ui/views/groups/group-path.ts";

describe("the path of a group", () => {
  test.each([
    [{ job: "a" }, "/metrics/job@base64/YQ=="],
    [{ job: "a/b", path: "", name: "ü" }, "/metrics/job@base64/YS9i/path@base64/=/name@base64/w7w="],
    [{ job: "ÿþ>" }, "/metrics/job@base64/w7_Dvj4="],
  ])("of %p is in base64", (labels, path) => {
    expect(groupPath(labels)).toBe(path);
  });
});

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  const push = async (path: string, body = "done 1\n") =>
    (await fetch(`${gateway.url}/metrics/job/${path}`, { method: "PUT", body })).status;
  beforeAll(async () => {
    browser = await TestBrowser.start();
    gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
    expect(await push("backup/instance/db-1", 'done 1\nsize{part="a"} 1\nsize{part="b"} 2\n')).toBe(200);
    expect(await push("backup/instance/db-2?ttl=36h")).toBe(200);
    expect(await push("report/instance/host-1")).toBe(200);
    // The type contradicts the exposed metric, so the push fails and the group has the time.
    expect(await push("report/instance/host-1", "# TYPE done gauge\ndone 2\n")).toBe(400);
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("groups have their pushes, failures and expiry, and are deleted after a question", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/groups`);
    const row = (name: string) => page.getByRole("row", { name: new RegExp(name) });
    await row("db-1").waitFor();
    const cells = async (name: string) => await row(name).getByRole("cell").allTextContents();
    expect((await cells("db-1")).slice(0, 3)).toEqual(['{instance="db-1", job="backup"}', "2", "3"]);
    expect((await cells("db-1")).slice(4, 6)).toEqual(["none", "never"]);
    expect((await cells("db-2"))[5]).toMatch(/^in (?:1 d|35 h)$/);
    expect((await cells("host-1"))[4]).toEndWith(", and no push since");
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(import.meta.dir, "../../screenshots/groups.png"), fullPage: true });

    await row("host-1")
      .getByRole("button", { name: /^Delete the group/ })
      .click();
    await page.getByRole("dialog").getByText('{instance="host-1", job="report"}').waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await row("host-1")
      .getByRole("button", { name: /^Delete the group/ })
      .click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await row("host-1").waitFor({ state: "detached" });

    await page.getByRole("searchbox", { name: "Selector of groups" }).fill('{instance=~"db-.*"}');
    await page.getByRole("button", { name: "Show what it selects" }).click();
    const selected = page.getByRole("list", { name: "Selected groups" });
    await selected.waitFor();
    expect(await selected.getByRole("listitem").allTextContents()).toEqual([
      '{instance="db-1", job="backup"}',
      '{instance="db-2", job="backup"}',
    ]);
    await page.getByRole("button", { name: "Delete 2 groups" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete 2 groups" }).click();
    await page.getByText("No group was pushed.").waitFor();
    expect(await (await fetch(`${gateway.url}/metrics?name[]=done&name[]=size`)).text()).not.toContain("db-");
    expect(complaints).toEqual([]);
  });
});
