/**
 * A Prometheus server (Debian's package) scrapes the same bodies: it accepts what the scraper accepts, rejects what it
 * rejects, and stores the same samples.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { TargetDecoder } from "../../../src/receive/scrape/target-decoder.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { canRun, startPrometheus } from "../../real-servers.ts";
import { until } from "../../until.ts";
import { OPEN_METRICS, samplesOf, seriesText, servePages, TEXT } from "./target-cases.ts";

const text = [
  "",
  "a 1\n",
  "a 1",
  "a\t1\n",
  "  a   1  \n",
  "a 1 \n\n\nb 2\n",
  " a 1\n",
  "a 1\n \nb 2\n",
  "a 1\n # x\nb 1\n",
  "\ta 1\n",
  "a 1\n  ",
  "a{} 1\n",
  'a {x="y"} 1\n',
  'a{x="y",} 1\n',
  "a{,} 1\n",
  'a{x="y",,} 1\n',
  'a{ x = "y" , z = "" } 1\n',
  'a{x="y"}1\n',
  'a{x="y" z="w"} 1\n',
  "a{x='y'} 1\n",
  "a{x=y} 1\n",
  "a{x} 1\n",
  'a{x="y" 1\n',
  'a{x="y} 1\n',
  'a{x="1\\n2\\\\3\\"4\\t"} 1\n',
  'a{x="1\n2"} 1\n',
  'a{1x="y"} 1\n',
  'a{x:y="z"} 1\n',
  'a:b{x="y"} 1\n',
  "1a 1\n",
  "a-b 1\n",
  'a{x="}"} 1\n',
  'a{x="y"} {\n',
  "a NaN\nb +Inf\nc -Inf\nd inf\ne nan\nf Infinity\n",
  "a +NaN\n",
  "a 1e3\nb .5\nc 5.\nd -1\ne +2\nf 0x10\n",
  "a 0x10p1\n",
  "a 1_000\n",
  "a 1e999\n",
  "a one\n",
  "a\n",
  "a 1 b\n",
  "a 1,5\n",
  "a 1 1.5\n",
  "a 1 1 1\n",
  "a 1 -5\n",
  "a 1 99999999999999999999\n",
  "a 1 1e3\n",
  "# comment\na 1\n",
  "#comment\na 1\n",
  "#\na 1\n",
  "a 1\n# no end",
  "# HELP\na 1\n",
  "# HELP a\na 1\n",
  "# HELP a \na 1\n",
  '# HELP a x \\n \\\\ \\" y\na 1\n',
  "# HELP a x\n# HELP a y\na 1\n",
  "# HELP 1a x\na 1\n",
  "# TYPE a gauge\na 1\n",
  "# TYPE a\na 1\n",
  "# TYPE a \na 1\n",
  "# TYPE a Gauge\na 1\n",
  "# TYPE a gauge \na 1\n",
  "# TYPE a  gauge\na 1\n",
  "# TYPE  a gauge\na 1\n",
  "#  TYPE a gauge\na 1\n",
  "#\tTYPE\ta\tgauge\na 1\n",
  "#TYPE a bogus\na 1\n",
  "# TYPE a gauge\n# TYPE a counter\na 1\n",
  "a 1\n# TYPE a gauge\n",
  "# TYPE a bogus\na 1\n",
  "# TYPE a info\na 1\n",
  "# TYPE a unknown\na 1\n",
  "# TYPE a untyped\na 1\n",
  "# TYPE a gauge",
  "# HELP a x",
  "# TYPES a x\na 1\n",
  "# HELPa x\na 1\n",
  "# HELP a-b gauge\na 1\n",
  "# TYPE a-b gauge\na 1\n",
  "# EOF\na 1\n",
  '# TYPE h histogram\nh_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 2\n',
  "# TYPE h histogram\nh_sum 1\n",
  "# TYPE h histogram\nh 1\n",
  '# TYPE s summary\ns{quantile="0.5"} 1\ns_count 2\n',
  'h_bucket{le="x"} 1\n',
  "a 1\na 2\n",
  "a 1\na 1\n",
  'a{x="1",y="2"} 1\na{y="2",x="1"} 2\n',
  'a{x="1"} 1\nb 2\na{x="1"} 3\nb 4\n',
  'a{job="own"} 1\n',
  'a{instance="own"} 1\n',
  'a{job="own",exported_job="other"} 1\n',
  'a{job=""} 1\n',
  'a{exported_job="x"} 1\n',
  'a{job="o",instance="p",exported_instance="q"} 1\n',
  'a{x=""} 1\n',
  'a{x="1",x="2"} 1\n',
  'a{x="1",x="1"} 1\n',
  'a{__name__="b"} 1\n',
  'a{__x__="b"} 1\n',
  "a 1\nb{\n",
  "a 1\n2\n",
  'a{x="\u00e9"} 1\n',
  "\u00e9 1\n",
  "a 1\r\n",
  'a{x="y"} 1 # c\n',
  '{x="y"} 1\n',
  'a{"b"="c"} 1\n',
  "_ 1\n",
  ": 1\n",
];
const openMetrics = [
  "# EOF",
  "# EOF\n",
  "# EOF\n\n",
  "a 1\n# EOF\n",
  "a 1\n",
  "a 1\n# EOF\nb 1\n",
  "a 1\n\n# EOF\n",
  "a  1\n# EOF\n",
  "a 1 \n# EOF\n",
  " a 1\n# EOF\n",
  "a\t1\n# EOF\n",
  'a{x="y"} 1\n# EOF\n',
  'a{x="y",} 1\n# EOF\n',
  'a{x="y", z="w"} 1\n# EOF\n',
  "a{,} 1\n# EOF\n",
  "a{} 1\n# EOF\n",
  'a{x="y"}1\n# EOF\n',
  'a {x="y"} 1\n# EOF\n',
  'a{x="1\\n2\\\\3\\"4\\t"} 1\n# EOF\n',
  'a{x="1\n2"} 1\n# EOF\n',
  "a 1 5\n# EOF\n",
  "a 1 1.5\n# EOF\n",
  "a 1 -1\n# EOF\n",
  "a 1 NaN\n# EOF\n",
  "a 1 +Inf\n# EOF\n",
  "a 1 1e3\n# EOF\n",
  "a 1 x\n# EOF\n",
  "a NaN\n# EOF\n",
  "# TYPE a counter\na_total 1\na_created 5\n# EOF\n",
  "# TYPE a counter\na 1\n# EOF\n",
  "# TYPE a counter\na_total -1\n# EOF\n",
  "# TYPE a bogus\n# EOF\n",
  "# TYPE a\n# EOF\n",
  "# TYPE a untyped\na 1\n# EOF\n",
  "# TYPE a unknown\na 1\n# EOF\n",
  "# TYPE a gauge \na 1\n# EOF\n",
  "# TYPE  a gauge\na 1\n# EOF\n",
  "# TYPE a gauge\n# TYPE a counter\na 1\n# EOF\n",
  "a 1\n# TYPE a gauge\n# EOF\n",
  'a 1\nb 1\na{x="1"} 2\n# EOF\n',
  "# HELP a\na 1\n# EOF\n",
  "# HELP a \na 1\n# EOF\n",
  "# HELP a x y\na 1\n# EOF\n",
  "# comment\na 1\n# EOF\n",
  "#EOF\n",
  "# EOFx\n",
  "# UNIT a_seconds seconds\na_seconds 1\n# EOF\n",
  "# UNIT a seconds\na 1\n# EOF\n",
  "# UNIT a \na 1\n# EOF\n",
  "# UNIT aseconds seconds\n# EOF\n",
  "# UNIT seconds seconds\n# EOF\n",
  'a_total 1 # {t="1"} 1\n# EOF\n',
  'a_total 1 # {t="1"} 1 1.5\n# EOF\n',
  'a_total 1 5 # {t="1"} 1\n# EOF\n',
  "a_total 1 # {} 1\n# EOF\n",
  'a_total 1 # {t="1"}\n# EOF\n',
  "a_total 1 # 1\n# EOF\n",
  'a_total 1 # {t="1"} x\n# EOF\n',
  'a 1 # {t="1"} 1\n# EOF\n',
  'a_total 1 # {t="1"} 1 x\n# EOF\n',
  'a_total 1 # {t="1"} 1 1 1\n# EOF\n',
  '# TYPE i info\ni_info{v="1"} 1\n# EOF\n',
  '# TYPE s stateset\ns{s="a"} 1\n# EOF\n',
  '# TYPE g gaugehistogram\ng_bucket{le="+Inf"} 1\ng_gsum 1\ng_gcount 1\n# EOF\n',
  "a 1\na 2\n# EOF\n",
  'a{x="1",x="2"} 1\n# EOF\n',
  "a 1\r\n# EOF\n",
];
const cases = [
  ...text.map((body) => ({ body, contentType: TEXT })),
  ...openMetrics.map((body) => ({ body, contentType: OPEN_METRICS })),
];

/** What the scraper stores. The times of samples are left out where they are those of the scrape. */
function scraped({ body, contentType }: { body: string; contentType: string }, address: string, job: string) {
  const [target] = targetsOf(readScrapeJobs(`http://${address}/,job=${job}`, "scrape"));
  const decoder = new TargetDecoder(target!.job, target!.labels, new BucketLayouts(), "scrape");
  const { failure } = decoder.read({ bytes: Buffer.from(body), contentType }, 0);
  const lines = samplesOf(decoder.take(failure === undefined, 0)).filter((line) => !/^scrape_/.test(line));
  return { error: failure?.message ?? "", samples: lines.map((line) => line.replace(/ @0$/, "")) };
}

describe.skipIf(!canRun("prometheus"))("a Prometheus that scrapes the same bodies", () => {
  let stop = async () => {};
  afterAll(() => stop());

  test("stores the same samples, or fails too", async () => {
    const asked = new Set<number>();
    const pages = servePages((request) => {
      const at = Number(new URL(request.url).pathname.slice(1));
      asked.add(at);
      return cases[at]!;
    });
    const configs = cases.map(
      (_, at) =>
        `- {job_name: "${at}", metrics_path: /${at}, scrape_interval: 1h, static_configs: [{targets: ["${pages.address}"]}]}`,
    );
    // A reload scrapes at once targets whose interval is short.
    const prometheus = await startPrometheus(
      `global: {scrape_interval: 1s}\nscrape_configs:\n${configs.join("\n").replaceAll("1h", "1s")}\n`,
    );
    stop = async () => {
      await prometheus.stop();
      await pages.stop();
    };
    const query = async (expression: string) => {
      const answer = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { data } = (await answer.json()) as {
        data: {
          result: { metric: Record<string, string>; value: [number, string]; values: [number, string][] }[];
        };
      };
      return data.result;
    };
    await until("the scrape of each body", async () => (await query("up")).length === cases.length);
    const found = new Map<string, string[]>();
    for (const { metric, values } of await query('{job!="",__name__!~"scrape_.*"}[1h]')) {
      const { __name__: name = "", job = "", instance: _, ...labels } = metric;
      const own = found.getOrInsertComputed(job, () => []);
      const [time, value] = values[0]!;
      const sent = time < 1e9 ? ` @${time * 1000}` : "";
      own.push(
        `${seriesText(
          name,
          Object.entries({ ...labels, job, instance: pages.address }).sort(([a], [b]) => (a < b ? -1 : 1)),
        )} ${Number(value.replace("Inf", "Infinity"))}${sent}`,
      );
    }
    const differences: unknown[] = [];
    cases.forEach((each, at) => {
      const mine = scraped(each, pages.address, String(at));
      const theirs = (found.get(String(at)) ?? []).sort();
      // Samples with times long past are too old for a new Prometheus.
      if (
        !Bun.deepEquals(
          mine.samples.filter((line) => !/ @-?\d+$/.test(line)),
          theirs.filter((line) => !/ @-?\d+$/.test(line)),
        )
      )
        differences.push({ body: each.body, format: each.contentType.slice(0, 20), mine, theirs });
    });
    expect(differences).toEqual([]);
  });
});
