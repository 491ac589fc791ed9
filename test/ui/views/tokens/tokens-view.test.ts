/** A person creates a token on the page, sees it once, and revokes it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { labelList, labelsIn } from "../../../../src/ui/views/tokens/label-list.ts";
import { weir } from "../../../commands/weir.ts";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, type OpenPage, TestBrowser } from "../../browser.ts";

describe("labels as text", () => {
  test("are read and written alike", () => {
    expect(labelsIn(" job=ci ,site=a=b,")).toEqual({ job: "ci", site: "a=b" });
    expect(labelList({ job: "ci", site: "a=b" })).toBe("job=ci, site=a=b");
    expect(labelsIn("")).toEqual({});
  });

  test.each([
    ["job", 'Labels has "job", expected name=value.'],
    ["=x", 'Labels has "=x", expected name=value.'],
    ["a=1,a=2", 'Labels has "a" twice.'],
  ])("%p is an error", (text, message) => {
    expect(() => labelsIn(text)).toThrow(message);
  });
});

describe.skipIf(!hasBrowser)("in Chromium", () => {
  const data = join(temporaryFolder(), "data");
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  const tokens: Record<string, string> = {};
  beforeAll(async () => {
    browser = await TestBrowser.start();
    for (const [name, ...more] of [
      ["boss", "--scope", "admin,read"],
      ["viewer", "--scope", "read"],
      ["worker", "--scope", "push", "--label", "job=worker", "--limit", "samples=5000", "--expires", "90d"],
    ])
      tokens[name!] = (await weir(["token", "create", "--data", data, "--name", name!, ...more])).out.trim();
    gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  /** Opens the view, signed in. */
  async function open(name: string, width = 1280): Promise<OpenPage> {
    const opened = await browser.open(`${gateway.url}/tokens`, { viewport: { width, height: 800 } });
    await opened.page.getByLabel("Token").fill(tokens[name]!);
    await opened.page.keyboard.press("Enter");
    return opened;
  }
  const statusOf = async (token: string) =>
    (await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).status;

  test("a token is created by keyboard, is shown once, works, and is revoked after a question", async () => {
    const { page, complaints } = await open("boss");
    const row = (name: string) => page.getByRole("row", { name: new RegExp(`^${name} `) });
    await row("worker").waitFor();
    const cells = await row("worker").getByRole("cell").allTextContents();
    expect(cells.slice(0, 4)).toEqual(["worker", "push", "job=worker", "5000 samples"]);
    expect(cells.slice(5, 7)).toEqual([expect.stringMatching(/^in (?:90|89) d$/), "never"]);
    expect(await row("boss").getByRole("cell").nth(6).textContent()).toMatch(/^(?:just now|\d+ s ago)$/);

    await page.getByLabel("Name").focus();
    await page.keyboard.type("grafana");
    await page.keyboard.press("Tab");
    for (let scope = 0; scope < 3; scope++) await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    expect(await page.getByRole("checkbox", { name: /^scrape/ }).isChecked()).toBe(true);
    await page.getByLabel("Labels").fill("site");
    await page.keyboard.press("Enter");
    await page.getByText('Labels has "site", expected name=value.').waitFor();
    await page.getByLabel("Labels").fill("site=east");
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await page.screenshot({ path: join(import.meta.dir, "../../screenshots/tokens.png"), fullPage: true });
    await page.getByLabel("Labels").press("Enter");

    const dialog = page.getByRole("dialog", { name: "The token grafana" });
    await dialog.waitFor();
    const secret = (await dialog.locator("pre").textContent())!;
    expect(secret).toMatch(/^weir_[A-Za-z0-9_-]{43}$/);
    expect(await statusOf(secret)).toBe(200);
    expect(await seriousFindings(page)).toEqual([]);
    await dialog.getByRole("button", { name: "I have copied it" }).click();
    await row("grafana").waitFor();
    expect(await page.content()).not.toContain(secret);
    expect((await row("grafana").getByRole("cell").allTextContents()).slice(1, 3)).toEqual([
      "scrape",
      "site=east",
    ]);
    expect(readFileSync(join(data, "tokens.json"), "utf8")).not.toContain(secret);
    expect(gateway.log.text).not.toContain(secret);

    await page.getByRole("button", { name: "Revoke the token grafana" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke", exact: true }).click();
    await row("grafana").waitFor({ state: "detached" });
    expect(await statusOf(secret)).toBe(401);
    expect(complaints).toEqual([]);
  });

  test("a name that exists is an error of the gateway, and the form keeps what was typed", async () => {
    const { page } = await open("boss");
    await page.getByLabel("Name").fill("viewer");
    await page.getByRole("checkbox", { name: /^read/ }).check();
    await page.getByRole("button", { name: "Create the token" }).click();
    await page.getByText('There is a token "viewer" already').waitFor();
    expect(await page.getByLabel("Name").inputValue()).toBe("viewer");
  });

  test("a token without the scope admin sees neither the link nor the tokens", async () => {
    const { page } = await open("viewer");
    await page.getByText("Your token does not have the scope admin").waitFor();
    expect(await page.getByRole("link", { name: "Tokens" }).count()).toBe(0);
    expect(await page.getByText("worker").count()).toBe(0);
  });

  test("a narrow screen shows the form and the table within its width", async () => {
    const { page } = await open("boss", 360);
    await page.getByRole("button", { name: "Create the token" }).waitFor();
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  });

  test("a token file that is read-only is said, and nothing can be changed", async () => {
    const { page } = await open("boss");
    await page.getByRole("button", { name: "Create the token" }).waitFor();
    // Root, who runs these tests in containers, may write every folder.
    await page.route("**/api/v1/tokens", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ json: { ...((await answer.json()) as object), changeable: false } });
    });
    await page.reload();
    await page.getByText("The token file is read-only here").waitFor();
    expect(await page.getByRole("button", { name: /^(?:Create|Revoke) the/ }).count()).toBe(0);
  });

  test("the first token of an open gateway is shown before the page asks for it", async () => {
    const open = await GatewayProcess.start({
      data: join(temporaryFolder(), "data"),
      args: ["--no-sampler"],
    });
    try {
      const { page, complaints } = await browser.open(`${open.url}/tokens`);
      await page.getByText("There is no token. Everyone who reaches this gateway").waitFor();
      await page.getByLabel("Name").fill("first");
      await page.getByRole("checkbox", { name: /^admin/ }).check();
      await page.getByRole("button", { name: "Create the token" }).click();
      const dialog = page.getByRole("dialog", { name: "The token first" });
      const secret = (await dialog.locator("pre").textContent())!;
      await dialog.getByText("this page asks for one").waitFor();
      await page.keyboard.press("Escape");
      await page.getByLabel("Token", { exact: true }).fill(secret);
      await page.keyboard.press("Enter");
      await page.getByRole("row", { name: /^first / }).waitFor();
      expect(complaints).toEqual([]);
    } finally {
      await open.stop("SIGTERM");
    }
  });
});
