/** A person sees where samples are passed on to: what waits, what failed, the archive and the upstream. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../../gateway-process.ts";
import { temporaryFolder } from "../../../temporary-folder.ts";
import { until } from "../../../until.ts";
import { seriousFindings } from "../../accessibility.ts";
import { hasBrowser, TestBrowser } from "../../browser.ts";

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let gateway: GatewayProcess;
  let browser: TestBrowser;
  const sink = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(null, { status: 204 }),
  });
  let away: string;

  beforeAll(async () => {
    browser = await TestBrowser.start();
    const gone = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    away = gone.url.origin;
    await gone.stop(true);
    const data = temporaryFolder();
    const config = join(data, "weir.toml");
    writeFileSync(
      config,
      [
        ...["[[forward]]", 'name = "cluster"', 'type = "remote_write"', `url = "${sink.url.href}"`],
        ...["[[forward]]", 'name = "hub"', 'type = "weir"', `url = "${away}/api/v1/push"`],
        ...["[upstream]", `url = "${away}"`, ""],
      ].join("\n"),
    );
    gateway = await GatewayProcess.start({
      data,
      args: ["--no-sampler", "--config", config, "--archive-to", join(temporaryFolder(), "archive")],
    });
  });
  afterAll(async () => {
    await browser.close();
    await gateway.stop("SIGTERM");
    await sink.stop(true);
  });

  test("each destination has its state, what waits and its last error; no panel without destinations", async () => {
    const events = Array.from({ length: 1_200 }, (_, at) => ({
      metric_name: "depth",
      type: "gauge",
      value: at,
      tags: { at },
    }));
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
    await fetch(`${gateway.url}/api/v1/query?query=nothing_here`);
    interface Listed {
      readonly destinations: readonly {
        readonly name: string;
        readonly sent_samples: number;
        readonly failing: boolean;
      }[];
      readonly held: object;
      readonly upstream: object;
    }
    const report = async () => (await (await fetch(`${gateway.url}/api/v1/forward`)).json()) as Listed;
    await until("the samples to be sent, and an error", async () => {
      const { destinations } = await report();
      return destinations[0]?.sent_samples === 1_200 && destinations[1]?.failing;
    });
    expect(await report()).toMatchObject({
      held: { days: 0, samples: 0 },
      upstream: {
        name: away,
        failing: true,
        paused: false,
        last_error: expect.stringContaining("unavailable"),
      },
    });
    const { page, complaints } = await browser.open(gateway.url);
    const panel = page.getByRole("region", { name: "Passed on", exact: true });
    await panel.waitFor();
    const part = async (name: string) =>
      (await panel.getByRole("region", { name, exact: true }).textContent()) ?? "";
    const cluster = await part("cluster");
    expect(cluster).toMatch(/cluster\s*remote_write\s*·\s*takes samples/);
    expect(cluster).toContain("nothing waits");
    expect(cluster).toMatch(/1\s200 sent since the start/);
    const hub = await part("hub");
    expect(hub).toMatch(/hub\s*weir\s*·\s*takes no samples/);
    expect(hub).toMatch(/1\s200 samples wait, the oldest for/);
    expect(hub).toContain(`${away}: connection refused`);
    expect(await part("Upstream")).toMatch(
      new RegExp(`${away}\\s*·\\s*did not answer[\\s\\S]*It is unavailable`),
    );
    expect(await part("Archive")).toContain("no day is closed yet");
    // With the second answer there is a rate.
    await panel.getByText("0 per second").first().waitFor();
    expect(complaints).toEqual([]);
    expect(await seriousFindings(page)).toEqual([]);
    if (process.env.WRITE_SCREENSHOTS === "1")
      await panel.screenshot({ path: join(import.meta.dir, "../../screenshots/passed-on.png") });
    await page.setViewportSize({ width: 390, height: 800 });
    const { scrollWidth } = (await page.evaluate(
      "({ scrollWidth: document.documentElement.scrollWidth })",
    )) as {
      scrollWidth: number;
    };
    expect(scrollWidth).toBe(390);
    if (process.env.SHOT) await panel.screenshot({ path: process.env.SHOT });
    await page.context().close();
  });
});
