/**
 * The benchmark of rules: how much of a core many rules take, and what they do to pushes.
 *
 * Events and gauges are pushed at a rate by a process of its own, first without rules and then with them. The difference
 * of the gateway's time on the processors is what the rules take.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { GatewayProcess } from "../../test/gateway-process.ts";
import { percentile, usageOf } from "./usage.ts";

const HELP = `Usage: scripts/bench rules [options] [-- arguments of weir serve]

  --rules N          rules (default 1000)
  --groups N         groups of them (default 20)
  --interval TEXT    interval of the groups (default 15s)
  --events N         events per second that are pushed meanwhile (default 100000; 0 for none)
  --seconds N        how long is measured without rules, and then with them (default 30)
  --warm N           seconds of pushes before that (default 10)
  --settle N         seconds of rules before they are measured: the first evaluations start Workers, compile code
                     and read events into cells (default 20)
  --help             shows this help
`;

const { values: options, positionals: serveArgs } = parseArgs({
  options: {
    rules: { type: "string", default: "1000" },
    groups: { type: "string", default: "20" },
    interval: { type: "string", default: "15s" },
    events: { type: "string", default: "100000" },
    seconds: { type: "string", default: "30" },
    warm: { type: "string", default: "10" },
    settle: { type: "string", default: "20" },
    help: { type: "boolean", default: false },
  },
  allowPositionals: true,
});

const count = (value: string) => Number(value.replaceAll("_", ""));
const [ruleCount, groupCount, eventRate, seconds, warmSeconds, settleSeconds] = [
  ...[options.rules, options.groups, options.events, options.seconds, options.warm, options.settle],
].map(count) as [number, number, number, number, number, number];
const WORKERS = 100;

/** What people write: thresholds of gauges, rates and quantiles of events by a label, and uses of recorded series. */
function rule(at: number): Record<string, unknown> {
  const worker = `w${at % WORKERS}`;
  const domain = `app${at % 20}.example.com`;
  const kinds: Record<string, unknown>[] = [
    { alert: `Deep${at}`, expr: `queue_depth{worker="${worker}"} > 90`, for: "1m" },
    { record: `job:queue_depth:sum${at}`, expr: "sum by (job) (queue_depth)" },
    { alert: `Sum${at}`, expr: `job:queue_depth:sum${at - 1} > 1e9`, for: "5m" },
    {
      record: `domain:requests:rate5m${at}`,
      expr: `sum by (domain) (rate(http_request_duration_ms_count{domain="${domain}"}[5m]))`,
    },
    {
      alert: `Errors${at}`,
      expr: `sum by (operation) (rate(http_request_duration_ms_count{success="false"}[5m])) / sum by (operation) (rate(http_request_duration_ms_count[5m])) > 0.5`,
      for: "5m",
    },
    {
      alert: `Slow${at}`,
      expr: `histogram_quantile(0.95, sum by (le) (rate(http_request_duration_ms_bucket{domain="${domain}"}[5m]))) > 60000`,
      for: "10m",
      labels: { severity: "page" },
      annotations: { summary: "{{ $value | humanize }} ms" },
    },
    { alert: `Silent${at}`, expr: `absent(queue_depth{worker="${worker}"})`, for: "5m" },
    { alert: `Old${at}`, expr: `time() - max by (job) (timestamp(queue_depth)) > 600` },
  ];
  return kinds[at % kinds.length]!;
}

function ruleFile(): string {
  const perGroup = Math.ceil(ruleCount / groupCount);
  const groups = Array.from({ length: groupCount }, (_, group) => ({
    name: `group ${group}`,
    interval: options.interval,
    rules: Array.from({ length: perGroup }, (_, at) => rule(group * perGroup + at)),
  }));
  return JSON.stringify({ groups });
}

/** The samples of a metric of the gateway, added up. */
async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics?name[]=${name}`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/**
 * The different errors of evaluations since the start, with the number of rules that began to fail with each. They are of
 * the log: at the end a rule that recovered has no error.
 */
function errorsOf({ log }: GatewayProcess): ReadonlyMap<string, number> {
  const found = log.text
    .split("\n")
    .filter((line) => line.includes(" rule_failed "))
    .map((line) => / error=(.*)$/.exec(line)?.[1] ?? line);
  return new Map([...Map.groupBy(found, (error) => error)].map(([error, { length }]) => [error, length]));
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  console.log(
    `${ruleCount} rules in ${groupCount} groups every ${options.interval}, ${eventRate} events per second; ` +
      `${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)} before, Bun ${Bun.version}`,
  );
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const path = join(folder, "bench.rules.yml");
  writeFileSync(path, "");
  const args = ["--no-sampler", `--rules=${path}`, ...serveArgs];
  const gateway = await GatewayProcess.start({ data: join(folder, "data"), args });
  const pusher = Bun.spawn(
    [process.execPath, join(import.meta.dir, "rules-pusher.ts"), gateway.url, String(eventRate)],
    { stdout: "pipe", stderr: "inherit" },
  );
  const pushes: number[] = [];
  const pushed = { events: 0 };
  void (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of pusher.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [tookMs, events] = line.split(" ").map(Number);
        pushes.push(tookMs!);
        pushed.events += events!;
      }
    }
  })();
  try {
    await Bun.sleep(warmSeconds * 1_000);
    const before = await phase(gateway, pushes, pushed, "without rules");
    writeFileSync(path, ruleFile());
    await fetch(`${gateway.url}/-/reload`, { method: "POST" });
    await Bun.sleep(settleSeconds * 1_000);
    const names = ["weir_rule_evaluations_total", "weir_rule_evaluation_duration_seconds_sum"];
    const [from, fromSeconds] = await Promise.all(names.map((name) => metric(gateway.url, name)));
    const after = await phase(gateway, pushes, pushed, "with rules");
    const [to, toSeconds] = await Promise.all(names.map((name) => metric(gateway.url, name)));
    const evaluations = to! - from!;
    const missed = await metric(gateway.url, "weir_rule_group_iterations_missed_total");
    const failed = await metric(gateway.url, "weir_rule_evaluation_failures_total");
    console.log(
      `evaluations: ${evaluations} in ${seconds} s, ${((1_000 * (toSeconds! - fromSeconds!)) / evaluations).toFixed(1)} ms each ` +
        `(with waiting); since the start ${missed} of groups missed, ${failed} failed`,
    );
    for (const [error, rules] of errorsOf(gateway))
      console.log(`began to fail: ${rules} rules, with ${error}`);
    const share = after.share - before.share;
    console.log(
      `rules take ${(100 * share).toFixed(1)} % of a core, ` +
        `${((1_000 * share * seconds) / evaluations).toFixed(2)} ms of a processor per evaluation`,
    );
  } finally {
    pusher.kill();
    await gateway.stop("SIGTERM");
    rmSync(folder, { recursive: true });
  }
}

async function phase(
  gateway: GatewayProcess,
  pushes: number[],
  pushed: { events: number },
  name: string,
): Promise<{ readonly share: number }> {
  pushes.length = 0;
  pushed.events = 0;
  const before = usageOf(gateway.pid);
  const begun = performance.now();
  await Bun.sleep(seconds * 1_000);
  const elapsed = (performance.now() - begun) / 1_000;
  const after = usageOf(gateway.pid);
  const share = (after.cpuSeconds - before.cpuSeconds) / elapsed;
  const main = (after.mainThreadSeconds - before.mainThreadSeconds) / elapsed;
  const own = [...pushes];
  console.log(
    `${name}: ${(100 * share).toFixed(0)} % of a core (main thread ${(100 * main).toFixed(0)} %), ` +
      `${Math.round(pushed.events / elapsed)} events/s, push p50 ${percentile(own, 0.5).toFixed(1)} ms, ` +
      `p99 ${percentile(own, 0.99).toFixed(1)} ms, ${Math.round(after.residentBytes / 1e6)} MB`,
  );
  return { share };
}
