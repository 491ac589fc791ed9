/**
 * The benchmark of the page, in Debian's Chromium: how soon a view is painted and how many bytes it takes, how many frames
 * per second a graph has while a person zooms, and what an open tab costs the gateway.
 *
 * A loaded machine paints late. So run it on an idle one.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { VIEW_PATHS } from "../../src/http/page/page-routes.ts";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { hasBrowser, TestBrowser } from "../../test/ui/browser.ts";
import { measureTab } from "./page-tab.ts";
import { type Contender, program } from "./servers.ts";
import { percentile } from "./usage.ts";

const HELP = `Usage: scripts/bench page [options] [-- arguments of weir serve]

  --only LIST     what is measured (default paint,zoom,tab). paint: the first paint of each view, and its bytes, and of
                  the pages of other servers that are installed. zoom: frames per second in a graph of 50 series of
                  1,000 points. tab: what an open tab of the overview costs the gateway
  --loads N       loads of each view; the median is shown (default 7)
  --events N      events per second that are pushed beside the tab (default 100000; 0 for none)
  --seconds N     how long each phase with and without tabs takes (default 20)
  --rounds N      such pairs of phases (default 3)
  --help          shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    only: { type: "string", default: "paint,zoom,tab" },
    loads: { type: "string", default: "7" },
    events: { type: "string", default: "100000" },
    seconds: { type: "string", default: "20" },
    rounds: { type: "string", default: "3" },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const fixed = (value: number, digits = 0) => value.toFixed(digits);
const say = (label: string, text: string) => console.log(`  ${label.padEnd(24)} ${text}`);
const median = (values: readonly number[]) => percentile([...values], 0.5);

const SERIES = 50;
const POINTS = 1_000;
const STEP_S = 10;

/** Others that Debian packages. Its VictoriaMetrics has no vmui, and its Prometheus only the classic page. */
const OTHERS: readonly Contender[] = [
  program({
    name: "prometheus",
    path: "/classic/graph",
    readyPath: "/-/ready",
    args: (folder, address) => [
      "--config.file=/dev/null",
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=error",
    ],
  }),
];

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  if (!hasBrowser) throw new Error("there is no Chromium on this machine");
  console.log(
    `${cpus().length} cores, load ${fixed(loadavg()[0]!, 1)} before, Bun ${Bun.version}, Chromium without a GPU`,
  );
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const browser = await TestBrowser.start();
  const only = options.only.split(",");
  try {
    if (only.includes("paint")) await paint(browser, folder);
    if (only.includes("zoom")) await zoom(browser, folder);
    if (only.includes("tab")) {
      console.log(`\nan open tab of the overview, beside ${options.events} events per second`);
      await measureTab({
        ...{ browser, folder, serveArgs },
        eventRate: count(options.events),
        seconds: count(options.seconds),
        rounds: count(options.rounds),
        say,
      });
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function paint(browser: TestBrowser, folder: string): Promise<void> {
  console.log(
    `\nfirst paint, without a cache, the median of ${options.loads} loads; bytes as they were sent`,
  );
  const gateway = await GatewayProcess.start({ data: join(folder, "paint"), args: [...serveArgs] });
  try {
    await pushSeries(gateway.url);
    for (const path of VIEW_PATHS.filter((each) => !each.includes(":")))
      await paintOf(browser, `weir ${path}`, `${gateway.url}${path}`);
  } finally {
    await gateway.stop("SIGTERM");
  }
  const assets = join(import.meta.dir, "../../dist/ui/assets");
  const bytes = readdirSync(assets)
    .filter((name) => name.endsWith(".br"))
    .reduce((sum, name) => sum + statSync(join(assets, name)).size, 0);
  say("weir, all views", `${fixed(bytes / 1_000)} kB`);
  for (const other of OTHERS) {
    if (other.absent !== undefined) {
      say(other.name, other.absent);
      continue;
    }
    const server = await other.start(join(folder, other.name));
    await paintOf(browser, other.name, server.url);
    await server.stop();
  }
}

async function paintOf(browser: TestBrowser, name: string, url: string): Promise<void> {
  const paints: number[] = [];
  const settled: number[] = [];
  let bytes = 0;
  let requests = 0;
  for (let load = 0; load < count(options.loads); load++) {
    const { page } = await browser.open("about:blank");
    const network = await page.context().newCDPSession(page);
    await network.send("Network.enable");
    bytes = 0;
    requests = 0;
    network.on("Network.loadingFinished", ({ encodedDataLength }) => {
      bytes += encodedDataLength;
      requests++;
    });
    const began = performance.now();
    await page.goto(url, { waitUntil: "networkidle" });
    // The network was idle for half a second.
    settled.push(performance.now() - began - 500);
    paints.push(
      await page.evaluate<number>(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN",
      ),
    );
    await page.context().close();
  }
  say(
    name,
    `${fixed(median(paints)).padStart(4)} ms, all requests after ${fixed(median(settled)).padStart(4)} ms, ` +
      `${fixed(bytes / 1_000).padStart(4)} kB in ${requests} requests`,
  );
}

/** 50 gauges with a sample every ten seconds, until now. */
async function pushSeries(url: string): Promise<void> {
  const now = Math.floor(Date.now() / 1_000 / STEP_S) * STEP_S;
  for (let series = 0; series < SERIES; series++) {
    const events = Array.from({ length: POINTS }, (_, at) => ({
      metric_name: "bench_level",
      type: "gauge",
      value: series + 10 * Math.sin(at / 20 + series) + ((at * 7_919 + series * 104_729) % 100) / 20,
      "@timestamp": (now - (POINTS - 1 - at) * STEP_S) * 1_000,
      tags: { job: "worker", instance: `w-${series}` },
    }));
    const answer = await fetch(`${url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
    if (!answer.ok) throw new Error(`a push was answered ${answer.status}: ${await answer.text()}`);
  }
}

async function zoom(browser: TestBrowser, folder: string): Promise<void> {
  const gateway = await GatewayProcess.start({
    data: join(folder, "zoom"),
    args: ["--no-sampler", ...serveArgs],
  });
  try {
    await pushSeries(gateway.url);
    const range = `${POINTS * STEP_S}s`;
    const query = new URLSearchParams({ expr: "bench_level", range, step: `${STEP_S}s` });
    const { page } = await browser.open(`${gateway.url}/query?${query}`);
    const chart = page.locator(".chart .u-over").first();
    await chart.waitFor();
    const points = await page
      .getByText(/^50 series/)
      .first()
      .textContent();
    console.log(`\nframes of a graph: ${SERIES} series of ${POINTS} points (${points?.trim()})`);
    const box = (await chart.boundingBox())!;
    const y = box.y + box.height / 2;
    const x = (share: number) => box.x + share * box.width;
    await frames(page, "the pointer moves over it", async () => {
      await page.mouse.move(x(0.05), y - 60, { steps: 2 });
      await page.mouse.move(x(0.95), y + 60, { steps: 120 });
    });
    for (const share of [0.8, 0.5]) {
      await frames(page, "a range is dragged over", async () => {
        await page.mouse.move(x(0.1), y);
        await page.mouse.down();
        await page.mouse.move(x(0.1 + share), y + 20, { steps: 120 });
        const answered = page.waitForResponse(/query_range/);
        await page.mouse.up();
        await answered;
        // The answer is drawn.
        await page.evaluate(
          "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
      });
    }
    await frames(page, "Ctrl and the wheel zoom", async () => {
      await page.mouse.move(x(0.5), y);
      await page.keyboard.down("Control");
      for (let step = 0; step < 60; step++) await page.mouse.wheel(0, step < 30 ? -40 : 40);
      await page.keyboard.up("Control");
    });
    await page.context().close();
  } finally {
    await gateway.stop("SIGTERM");
  }
}

/** The times between frames while a gesture is made, and the processor time of the thread that draws them. */
async function frames(page: Page, name: string, gesture: () => Promise<void>): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const cpuSeconds = async () =>
    (await session.send("Performance.getMetrics")).metrics.find(({ name: each }) => each === "TaskDuration")!
      .value;
  await page.evaluate(`(() => {
    const times = (window.frameTimes = []);
    const next = (at) => { times.push(at); if (window.frameTimes === times) requestAnimationFrame(next); };
    requestAnimationFrame(next);
  })()`);
  const before = await cpuSeconds();
  await gesture();
  const cpu = (await cpuSeconds()) - before;
  const times = await page.evaluate<number[]>(
    "(() => { const times = window.frameTimes; window.frameTimes = undefined; return times; })()",
  );
  await session.detach();
  const gaps = times.slice(1).map((at, index) => at - times[index]!);
  const seconds = (times.at(-1)! - times[0]!) / 1_000;
  say(
    name,
    `${fixed(gaps.length / seconds, 1)} frames/s, a frame p50 ${fixed(percentile(gaps, 0.5), 1)} ms, ` +
      `p95 ${fixed(percentile(gaps, 0.95), 1)} ms, max ${fixed(percentile(gaps, 1), 1)} ms; ` +
      `${fixed((1_000 * cpu) / gaps.length, 1)} ms of the thread's processor time each`,
  );
}
