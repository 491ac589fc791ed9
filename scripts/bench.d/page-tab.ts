/**
 * What an open tab of the overview costs the gateway, in processor time, beside events that are pushed at a rate.
 *
 * A tab costs less than the rate of pushes varies. So the requests of a real tab are recorded for a minute, and sent
 * again ten times as fast, in phases that alternate with phases without a tab: the difference is that of ten tabs. The
 * browser is closed by then. Requests of the first seconds, which a tab sends once, are counted apart.
 */
import { join } from "node:path";
import { GatewayProcess } from "../../test/gateway-process.ts";
import type { TestBrowser } from "../../test/ui/browser.ts";
import { percentile, usageOf } from "./usage.ts";

interface TabOptions {
  readonly browser: TestBrowser;
  readonly folder: string;
  readonly serveArgs: readonly string[];
  /** Events per second. */
  readonly eventRate: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly say: (label: string, text: string) => void;
}

interface Recorded {
  /** After the tab was opened. */
  readonly atMs: number;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly body: string | undefined;
}

const WARM_MS = 10_000;
/** What a tab asks once, when it is opened. */
const OPENING_MS = 8_000;
const RECORDED_MS = 60_000;
const SPEED = 10;

export async function measureTab({ folder, eventRate, serveArgs, ...options }: TabOptions): Promise<void> {
  // With the sampler, so that there are hosts and disks.
  const gateway = await GatewayProcess.start({ data: join(folder, "tab"), args: [...serveArgs] });
  const pusher = Bun.spawn(
    [process.execPath, join(import.meta.dir, "rules-pusher.ts"), gateway.url, String(eventRate)],
    { stdout: "ignore", stderr: "inherit" },
  );
  try {
    await Bun.sleep(WARM_MS);
    const recorded = await record(gateway, options.browser);
    describe(recorded, options);
    await compare(gateway, recorded, options);
  } finally {
    pusher.kill();
    await gateway.stop("SIGTERM");
  }
}

/** The requests of the overview in a real browser. */
async function record(gateway: GatewayProcess, browser: TestBrowser): Promise<readonly Recorded[]> {
  const recorded: Recorded[] = [];
  const { page } = await browser.open("about:blank");
  const beganMs = performance.now();
  page.on("request", (request) => {
    const { pathname, search } = new URL(request.url());
    if (!pathname.startsWith("/api/")) return;
    recorded.push({
      ...{ atMs: performance.now() - beganMs, method: request.method(), path: pathname + search },
      body: request.postData() ?? undefined,
    });
  });
  await page.goto(gateway.url);
  await Bun.sleep(OPENING_MS + RECORDED_MS);
  await page.context().close();
  return recorded;
}

function describe(recorded: readonly Recorded[], { say }: Pick<TabOptions, "say">): void {
  const counts = (of: readonly Recorded[]) =>
    [...Map.groupBy(of, ({ path }) => path.replace(/\?.*/, "").replace("/api/v1/", ""))]
      .map(([path, { length }]) => `${length} ${path}`)
      .join(", ");
  say("when it is opened", counts(recorded.filter(({ atMs }) => atMs < OPENING_MS)));
  say("in the next minute", counts(recorded.filter(({ atMs }) => atMs >= OPENING_MS)));
}

async function compare(
  { url, pid }: GatewayProcess,
  recorded: readonly Recorded[],
  { seconds, rounds, say }: Pick<TabOptions, "seconds" | "rounds" | "say">,
): Promise<void> {
  const send = async ({ method, path, body }: Recorded) => {
    const headers: Record<string, string> =
      body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(url + path, { method, body, headers });
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  const opening = recorded.filter(({ atMs }) => atMs < OPENING_MS);
  const steady = recorded.filter(({ atMs }) => atMs >= OPENING_MS);
  const replay = async (endMs: number) => {
    const beganMs = performance.now();
    for (let turn = 0; ; turn++) {
      for (const request of steady) {
        const dueMs = beganMs + (turn * RECORDED_MS + request.atMs - OPENING_MS) / SPEED;
        if (dueMs >= endMs) return;
        await Bun.sleep(Math.max(0, dueMs - performance.now()));
        await send(request);
      }
    }
  };
  /** The share of a core that the gateway uses. */
  const share = async (work: (endMs: number) => Promise<void>) => {
    const before = usageOf(pid).cpuSeconds;
    const beganMs = performance.now();
    const endMs = beganMs + seconds * 1_000;
    await work(endMs);
    await Bun.sleep(Math.max(0, endMs - performance.now()));
    return (usageOf(pid).cpuSeconds - before) / ((performance.now() - beganMs) / 1_000);
  };
  const differences: number[] = [];
  const without: number[] = [];
  for (let round = 0; round < rounds; round++) {
    without.push(await share(async () => {}));
    const withTabs = await share(replay);
    // The phase after it weighs as much as the one before, because the load drifts.
    const after = await share(async () => {});
    differences.push((withTabs - (without.at(-1)! + after) / 2) / SPEED);
    without.push(after);
  }
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
  say("the gateway without tabs", `${(100 * percentile(without, 0.5)).toFixed(0)} % of a core`);
  say(
    "each open tab",
    `${percent(percentile([...differences], 0.5))} of a core at the median (${differences.map(percent).join(", ")})`,
  );
  const openings: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const idle = await share(async () => {});
    const busy = await share(async () => {
      for (const request of opening) await send(request);
    });
    openings.push((busy - idle) * seconds);
  }
  say("when a tab is opened", `${(1_000 * percentile(openings, 0.5)).toFixed(0)} ms of a core`);
}
