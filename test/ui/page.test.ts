/** The page as a whole: how it is served, its policy, and what it says while the gateway is away. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VIEW_PATHS } from "../../src/http/page/page-routes.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { buildPage, hasBrowser, TestBrowser } from "./browser.ts";

let gateway: GatewayProcess;
beforeAll(async () => {
  await buildPage();
  gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
});
afterAll(() => gateway.stop("SIGTERM"));

/** The addresses of the assets that the index names. */
async function assetPaths(): Promise<string[]> {
  const html = await (await fetch(gateway.url)).text();
  return [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
}

test("each view has a path that the gateway serves", () => {
  const served: readonly string[] = VIEW_PATHS.map((path) => path.replace(/:\w+$/, ""));
  // As text: its types need those of a browser, which the gateway does not have.
  const views = readFileSync(join(import.meta.dir, "../../src/ui/page-views.ts"), "utf8");
  const paths = [...views.matchAll(/path: "([^"]+)"/g)].map(([, path]) => path!);
  expect(paths.length).toBeGreaterThan(0);
  expect(paths.filter((path) => !served.includes(path))).toEqual([]);
});

test("the index has a policy that allows only this gateway, with a nonce of its own", async () => {
  const answers = await Promise.all([
    fetch(gateway.url),
    // As a browser asks: a client of InfluxDB 1 gets JSON at this path.
    fetch(`${gateway.url}/query?expr=up`, { headers: { accept: "text/html,*/*;q=0.8" } }),
  ]);
  const nonces = await Promise.all(
    answers.map(async (answer) => {
      const policy = answer.headers.get("content-security-policy")!;
      const nonce = /'nonce-(\w{32})'/.exec(policy)![1]!;
      expect(await answer.text()).toContain(`<meta name="csp-nonce" content="${nonce}" />`);
      expect(policy).not.toContain("unsafe");
      expect(policy).toStartWith("default-src 'none'; script-src 'self'; ");
      return nonce;
    }),
  );
  expect(nonces[0]).not.toBe(nonces[1]);
});

test("assets are compressed, and can be kept forever", async () => {
  const paths = await assetPaths();
  expect(paths.length).toBe(3);
  for (const path of paths) {
    for (const encoding of ["br", "gzip", "identity"]) {
      const answer = await fetch(gateway.url + path, { headers: { "accept-encoding": encoding } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-encoding") ?? "identity").toBe(encoding);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
      const etag = answer.headers.get("etag")!;
      const headers = { "accept-encoding": encoding, "if-none-match": etag };
      expect((await fetch(gateway.url + path, { headers })).status).toBe(304);
    }
  }
  expect((await fetch(`${gateway.url}/assets/none.js`)).status).toBe(404);
  expect((await fetch(`${gateway.url}/assets/..%2findex.html`)).status).toBe(404);
});

test("a link to Prometheus's page leads to the view of queries", async () => {
  const path = "/graph?g0.expr=sum(rate(a%5B5m%5D))&g0.tab=1";
  const answer = await fetch(gateway.url + path, { redirect: "manual" });
  expect([answer.status, answer.headers.get("location")]).toEqual([
    302,
    "/query?expr=sum%28rate%28a%5B5m%5D%29%29",
  ]);
});

test("all compressed assets together have at most 250 kB", () => {
  const sizes = [...new Bun.Glob("*.br").scanSync({ cwd: `${import.meta.dir}/../../dist/ui/assets` })].map(
    (name) => Bun.file(`${import.meta.dir}/../../dist/ui/assets/${name}`).size,
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(250_000);
});

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await TestBrowser.start();
  });
  afterAll(() => browser.close());

  test("the first view says who pushed", async () => {
    const events = [{ metric_name: "a.b", value: 1, tags: { job: "worker", instance: "w-7" } }];
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
    const { page, complaints } = await browser.open(gateway.url);
    await page.getByText("w-7").first().waitFor();
    expect(await page.title()).toBe("Overview · Weir");
    expect(complaints).toEqual([]);
  });

  test("a path without a view says so", async () => {
    const { page } = await browser.open(gateway.url);
    await page.evaluate(
      "history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))",
    );
    await page.getByText("There is no view at /nowhere").waitFor();
  });

  test("it says when the gateway is away, and continues when it is back", async () => {
    const data = temporaryFolder();
    const first = await GatewayProcess.start({ data, args: ["--no-sampler"] });
    const { page } = await browser.open(first.url);
    // The time of the page, which asks every 10 seconds and less often where answers are slow, can be advanced.
    await page.clock.install();
    await page.reload();
    await page.getByText("Nobody has pushed yet").waitFor();
    const says = page.getByText("The gateway does not answer").first();
    const isSaid = (expected: boolean) => async () => {
      await page.clock.fastForward(60_000);
      return (await says.isVisible()) === expected;
    };
    const listen = new URL(first.url).host;
    await first.stop("SIGTERM");
    await until("the page to say that the gateway is away", isSaid(true));
    const again = await GatewayProcess.start({ data, args: ["--no-sampler", "--listen", listen] });
    await until("the page to say it no more", isSaid(false));
    await again.stop("SIGTERM");
  });
});
