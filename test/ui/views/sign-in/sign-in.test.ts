/** A person signs in with a token, and sees what its scopes allow. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { weir } from "../../../commands/weir.ts";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

describe.skipIf(!hasBrowser)("in Chromium", () => {
  const data = join(temporaryFolder(), "data");
  const tokens: Record<string, string> = {};
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  beforeAll(async () => {
    for (const scope of ["read,sql", "push"]) {
      const args = ["token", "create", "--data", data, "--name", scope.replace(",", "-"), "--scope", scope];
      tokens[scope] = (await weir(args)).out.trim();
    }
    const args = [
      "token",
      "create",
      "--data",
      data,
      "--name",
      "bound",
      "--scope",
      "read",
      "--label",
      "job=a",
    ];
    tokens.bound = (await weir(args)).out.trim();
    gateway = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    browser = await TestBrowser.start();
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
  });

  test("by keyboard, and stays signed in after a reload until the sign-out", async () => {
    const { page, complaints } = await browser.open(gateway.url);
    await page.getByLabel("Token").waitFor();
    await page.getByLabel("Token").focus();
    await page.keyboard.type("weir_wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The token is not valid").waitFor();
    await page.getByLabel("Token").fill(tokens["read,sql"]!);
    await page.keyboard.press("Enter");
    await page.getByText("Nobody has pushed yet").waitFor();
    await page.reload();
    await page.getByText("Nobody has pushed yet").waitFor();
    await page.getByText("read-sql").waitFor();
    // No script can read the token.
    expect(await page.evaluate("document.cookie")).toBe("");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(complaints).toEqual([]);
  });

  test("a token without the scope of a view sees neither its link nor its content", async () => {
    const { page } = await browser.open(gateway.url);
    await page.getByLabel("Token").fill(tokens.push!);
    await page.keyboard.press("Enter");
    await page.getByText("Your token does not have the scope read").waitFor();
    expect(await page.getByRole("link", { name: "Overview" }).count()).toBe(0);
  });

  test("a token with labels does not see what all workers sent", async () => {
    const { page, complaints } = await browser.open(`${gateway.url}/rejected`);
    await page.getByLabel("Token").fill(tokens.bound!);
    await page.keyboard.press("Enter");
    await page.getByText("Your token has labels").waitFor();
    expect(await page.getByRole("link", { name: "Groups" }).count()).toBe(1);
    expect(await page.getByRole("link", { name: "Rejected" }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
