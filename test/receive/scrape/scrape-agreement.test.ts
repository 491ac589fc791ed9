/**
 * The scraper beside a Prometheus server (Debian's package). Prometheus scrapes targets that change from scrape to
 * scrape. The scraper gets the same bodies at the same times. Then both answer the same PromQL, with the same values, at
 * each of these times: samples, stale markers, `up` and the other series about scrapes.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { TargetScraper } from "../../../src/receive/scrape/target-scraper.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { openTestGatewayAt } from "../../gateway.ts";
import { canRun, startPrometheus } from "../../real-servers.ts";
import { until } from "../../until.ts";
import { OPEN_METRICS, type Page, servePages } from "./target-cases.ts";

const SCRAPES = 8;
/** Also the time limit of a scrape. Prometheus must meet it on a busy machine, too. */
const INTERVAL = "1s";

const failing: Page = { body: "# not to be read\na 1\n", status: 503 };
// Values far above 0, because releases of Prometheus differ in how they extrapolate down to 0.
const histogram = (at: number) =>
  `# TYPE h histogram\nh_bucket{le="1"} ${100 + at}\nh_bucket{le="2.5"} ${300 + 3 * at}\nh_bucket{le="+Inf"} ${400 + 4 * at}\nh_sum ${700 + 7 * at}\nh_count ${400 + 4 * at}\n`;

interface Case {
  readonly name: string;
  /** Settings of prometheus.yml, which weir.toml has too. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** The answer to a scrape, counted from 0, at a time in milliseconds. */
  readonly page: (at: number, nowMs: number) => Page;
}

const body = (text: string): Page => ({ body: text });

const cases: readonly Case[] = [
  {
    name: "a counter that is reset, a gauge and a histogram",
    page: (at) =>
      body(
        `# TYPE c_total counter\nc_total ${at < 4 ? 1_000 + 10 * at : 500 + at}\n# TYPE g gauge\ng ${-at}\n${histogram(at)}`,
      ),
  },
  {
    name: "a series that vanishes, returns, and vanishes for good",
    page: (at) => body(`stays ${at}\n${at === 2 || at === 3 || at > 5 ? "" : `goes{x="1"} ${at}\n`}`),
  },
  {
    name: "a target that fails twice",
    page: (at) => (at === 3 || at === 4 ? failing : body(`a ${at}\nb{x="y"} ${at}\n`)),
  },
  {
    name: "a target that fails at the first scrape and at the last",
    page: (at) => (at === 0 || at === SCRAPES - 1 ? failing : body(`a ${at}\n`)),
  },
  { name: "a target that never answers 200", page: () => failing },
  {
    name: "a body without samples",
    page: (at) => body(at === 2 ? "" : at === 4 ? "# nothing\n" : `a ${at}\n`),
  },
  {
    name: "a body that cannot be read at its first line",
    page: (at) => body(at === 3 ? "7&-\n" : `a ${at}\n`),
  },
  {
    name: "values that are not numbers",
    page: (at) => body(`a ${at % 2 ? "NaN" : at}\nb +Inf\nc -Inf\nd NaN\n`),
  },
  {
    name: "samples with times of their own, which get no stale markers",
    page: (at, nowMs) =>
      body(
        `plain ${at}\nold ${at} ${nowMs - 60}\n${at === 2 ? "" : `sometimes ${at} ${nowMs - 20}\n`}${at > 4 ? "" : `gone ${at} ${nowMs}\n`}`,
      ),
  },
  {
    name: "times of samples that are not honoured",
    settings: { honor_timestamps: false },
    page: (at, nowMs) => body(`old ${at} ${nowMs - 60_000}\n${at > 4 ? "" : `gone ${at} ${nowMs}\n`}`),
  },
  {
    name: "a sample that repeats its time and its value",
    page: (at) => body(`plain ${at}\n`),
  },
  {
    name: "labels of the target that samples have too",
    labels: { zone: "eu", env: "prod" },
    page: (at) =>
      body(
        `a{job="own",instance="here",zone="us"} ${at}\nb{env=""} ${at}\nc{exported_job="x",job="y"} ${at}\n`,
      ),
  },
  {
    name: "labels of samples that are honoured",
    settings: { honor_labels: true },
    labels: { zone: "eu" },
    page: (at) => body(`a{job="own",instance=""} ${at}\nb{zone="us"} ${at}\nc ${at}\n`),
  },
  {
    name: "one series twice in a scrape",
    page: (at) => body(`a 1\na ${at}\nb{x="1",y="2"} ${at}\nb{y="2",x="1"} ${at + 1}\nc ${at}\n`),
  },
  {
    name: "OpenMetrics",
    page: (at) => ({
      body: `# TYPE c counter\n# HELP c help\nc_total ${500 + at}\nc_created 5\n# TYPE i info\ni_info{v="${at < 4}"} 1\n# EOF\n`,
      contentType: OPEN_METRICS,
    }),
  },
  {
    name: "more samples than sample_limit in every scrape",
    settings: { sample_limit: 2 },
    page: (at) => body(`a ${at}\nb ${at}\nc ${at}\n`),
  },
  {
    name: "as many samples as sample_limit",
    settings: { sample_limit: 2 },
    page: (at) => body(`a ${at}\nb ${at}\n`),
  },
  {
    name: "a label more than label_limit in every scrape",
    settings: { label_limit: 4 },
    page: (at) => body(`a{x="1"} ${at}\nb{x="1",y="2"} ${at}\n`),
  },
  {
    name: "a label value longer than its limit",
    settings: { label_value_length_limit: 25 },
    page: (at) => body(at === 3 ? `b{x="${"x".repeat(26)}"} ${at}\n` : `a{x="${"x".repeat(25)}"} ${at}\n`),
  },
  {
    name: "a body longer than its limit",
    settings: { body_size_limit: "20B" },
    page: (at) => body(at === 3 ? `a ${at}\nlonger_than_that 1\n` : `a ${at}\n`),
  },
];

/** The ranges of the expressions. */
const [SHORT, LONG] = ["3640ms", "7640ms"];
const RANGES_MS = [3_640, 7_640];

const EXPRESSIONS = [
  '{job=~".+",__name__!="scrape_duration_seconds"}',
  ...["a", "b", "goes", "plain", "old", "sometimes", "gone", "up"].flatMap((name) => [
    `timestamp(${name})`,
    `count_over_time(${name}[${SHORT}])`,
    `sum_over_time(${name}[${LONG}])`,
  ]),
  `sum by (job) (sum_over_time(up[${LONG}]))`,
  `rate(c_total[${SHORT}])`,
  `increase(c_total[${LONG}])`,
  `delta(g[${SHORT}])`,
  `histogram_quantile(0.9, rate(h_bucket[${SHORT}]))`,
  "h_sum / h_count",
  `avg_over_time(up[${SHORT}]) < 1`,
  `resets(c_total[${LONG}])`,
  "absent(goes)",
];

interface Answer {
  readonly data: {
    readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
  };
}

/** Releases of Prometheus differ in the last bit of a rate. */
const rounded = (value: string) => (/^-?[\d.]+$/.test(value) ? Number(Number(value).toPrecision(12)) : value);

/** The result of a query, in a fixed order, with bounds as OpenMetrics has them. */
function normal(answer: Answer): unknown[] {
  const { data } = answer;
  if (data === undefined) throw new Error(JSON.stringify(answer));
  return data.result
    .map(({ metric, value }) => {
      const { le, ...labels } = metric;
      const all = { ...labels, ...(le === undefined ? {} : { le: /^\d+$/.test(le) ? `${le}.0` : le }) };
      return JSON.stringify([Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)), rounded(value[1])]);
    })
    .sort();
}

describe.skipIf(!canRun("prometheus"))("a Prometheus that scrapes the same targets", () => {
  const closing: (() => Promise<void>)[] = [];
  afterAll(async () => {
    for (const close of closing.toReversed()) await close();
  });

  test("answers the same PromQL", async () => {
    const served: Page[][] = cases.map(() => []);
    const pages = servePages((request) => {
      const at = Number(new URL(request.url).pathname.slice(1));
      const own = served[at]!;
      const page = cases[at]!.page(Math.min(own.length, SCRAPES - 1), Date.now());
      own.push(page);
      return page;
    });
    closing.push(pages.stop);
    const jobs = (address: string) =>
      cases.map(({ settings, labels }, at) => ({
        job_name: `case-${at}`,
        metrics_path: `/${at}`,
        scrape_interval: INTERVAL,
        static_configs: [{ targets: [address], labels: { instance: "target", ...labels } }],
        ...settings,
      }));
    const prometheus = await startPrometheus(
      JSON.stringify({
        global: { scrape_interval: INTERVAL, scrape_timeout: INTERVAL },
        scrape_configs: jobs(pages.address),
      }),
    );
    closing.push(prometheus.stop);
    const ask = async (query: string, seconds: number) => {
      const parameters = new URLSearchParams({ query, time: String(seconds) });
      return (await (await fetch(`${prometheus.url}/api/v1/query?${parameters}`)).json()) as Answer;
    };
    await until(`${SCRAPES} scrapes of each target`, async () => {
      const { data } = await ask(`count(count_over_time(up[1h]) >= ${SCRAPES})`, Date.now() / 1_000);
      return data.result[0]?.value[1] === String(cases.length);
    });
    // The times of the scrapes, in milliseconds.
    const times: number[][] = await Promise.all(
      cases.map(async (_, at) => {
        const parameters = new URLSearchParams({
          query: `up{job="case-${at}"}[1h]`,
          time: String(Date.now() / 1_000),
        });
        const answer = await (await fetch(`${prometheus.url}/api/v1/query?${parameters}`)).json();
        const { values } = (answer as { data: { result: { values: [number, string][] }[] } }).data.result[0]!;
        return values.slice(0, SCRAPES).map(([seconds]) => Math.round(seconds * 1_000));
      }),
    );

    const again: number[] = cases.map(() => 0);
    const replay = servePages((request) => {
      const at = Number(new URL(request.url).pathname.slice(1));
      return served[at]![again[at]++]!;
    });
    closing.push(replay.stop);
    const weir = await openTestGatewayAt(times[0]![0]!);
    closing.push(() => weir.close());
    const scrapers = targetsOf(readScrapeJobs(jobs(replay.address), "scrape")).map(
      (target) =>
        new TargetScraper(target, {
          push: (batch) => weir.gateway.ingest.push(batch),
          layouts: new BucketLayouts(),
          counters: weir.counters,
          log: weir.gateway.log,
          monotonic: () => 0,
          protocol: "scrape",
        }),
    );
    const scrapes = times
      .flatMap((own, at) => own.map((atMs) => ({ at, atMs })))
      .sort((a, b) => a.atMs - b.atMs);
    for (const { at, atMs } of scrapes) {
      weir.nowMs = atMs;
      await scrapers[at]!.scrape(atMs, new AbortController().signal);
    }
    weir.takeLog();

    const differences: unknown[] = [];
    // Only up to the last scrape that the scraper repeated.
    const lastMs = Math.min(...times.map((own) => own.at(-1)!));
    // Prometheus 2 includes a sample at the very begin of a range, and Prometheus 3 and Weir do not.
    const sent = served.flat().flatMap((page) => String(page.body).match(/\b\d{13}\b/g) ?? []);
    const begins = new Set([...times.flat(), ...sent.map(Number)]);
    const instants = [...new Set(times.flat())]
      .filter((ms) => ms <= lastMs && RANGES_MS.every((range) => !begins.has(ms - range)))
      .sort((a, b) => a - b);
    let compared = 0;
    for (const ms of instants.filter((_, at) => at % 8 === 0)) {
      for (const query of EXPRESSIONS) {
        const parameters = new URLSearchParams({ query, time: String(ms / 1_000) });
        const mine = normal((await (await weir.fetch(`/api/v1/query?${parameters}`)).json()) as Answer);
        const theirs = normal(await ask(query, ms / 1_000));
        compared += theirs.length;
        if (Bun.deepEquals(mine, theirs)) continue;
        const [more, less] = [
          mine.filter((each) => !theirs.includes(each)),
          theirs.filter((each) => !mine.includes(each)),
        ];
        differences.push({ query, ms, more: more.slice(0, 10), less: less.slice(0, 10) });
      }
    }
    expect(differences.slice(0, 5)).toEqual([]);
    expect(compared).toBeGreaterThan(500);
  });
});
