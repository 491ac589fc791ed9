/**
 * Real targets: Debian's Pushgateway and Prometheus, which write text and protobuf with Prometheus's own library. The
 * scraper stores the same of both formats.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { fetchTarget } from "../../../src/receive/scrape/fetch-target.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { TargetDecoder } from "../../../src/receive/scrape/target-decoder.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { canRun, startPrometheus, startServer } from "../../real-servers.ts";
import { samplesOf } from "./target-cases.ts";

/** What the scraper stores of a target in a format: samples, and type and help of each metric. */
async function scrape(url: string, scrapeProtocol: string) {
  const settings = { scrape_protocols: [scrapeProtocol], honor_labels: true };
  const job = {
    job_name: "j",
    static_configs: [{ targets: [new URL(url).host], labels: { instance: "i" } }],
    ...settings,
  };
  const [target] = targetsOf(readScrapeJobs([job], "scrape"));
  const decoder = new TargetDecoder(target!.job, target!.labels, new BucketLayouts(), "scrape");
  const body = await fetchTarget(target!, new AbortController().signal);
  const { failure } = decoder.read(body, 1_000);
  const batch = decoder.take(failure === undefined, 0);
  return {
    contentType: body.contentType.split(";")[0],
    failure,
    samples: samplesOf(batch).filter((line) => !/^(up|scrape_)/.test(line)),
    described: new Map(batch.heads.map(({ metric, type, help, kind }) => [metric, [type, kind, help]])),
  };
}

const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

describe.skipIf(!canRun("prometheus-pushgateway"))("a Pushgateway", () => {
  test("is stored the same from protobuf as from text, with the labels of its groups", async () => {
    const server = await startServer(
      ["prometheus-pushgateway", "--web.listen-address=127.0.0.1:0", "--persistence.file="],
      /"?Listening on"? address=/,
    );
    closing.push(() => server.stop());
    const pushed = `# HELP c_total A counter.
# TYPE c_total counter
c_total{x="a b",y="\\"\\\\\\n"} 1e+06
# TYPE g gauge
g -0.5
g{x="nan"} NaN
# TYPE h histogram
h_bucket{le="0.5"} 1
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
# TYPE s summary
s{quantile="0.5"} 6
s_sum 7
s_count 8
u 9
`;
    const answer = await fetch(`${server.url}/metrics/job/nightly`, { method: "PUT", body: pushed });
    expect(await answer.text()).toBe("");
    const [text, protobuf] = [
      await scrape(server.url, "PrometheusText0.0.4"),
      await scrape(server.url, "PrometheusProto"),
    ];
    expect([text.contentType, protobuf.contentType]).toEqual([
      "text/plain",
      "application/vnd.google.protobuf",
    ]);
    // Pushgateway adds instance="", which is honoured: the target's instance is not added.
    const own = (lines: readonly string[]) =>
      lines.filter((line) => line.includes('job="nightly"') && !line.startsWith("push_"));
    const want = [
      'c_total{job="nightly",x="a b",y="\\"\\\\\\n"} 1000000 @1000',
      'g{job="nightly",x="nan"} NaN @1000',
      'g{job="nightly"} -0.5 @1000',
      'h_bucket{job="nightly",le="+Inf"} 3 @1000',
      'h_bucket{job="nightly",le="0.5"} 1 @1000',
      'h_bucket{job="nightly",le="1.0"} 2 @1000',
      'h_count{job="nightly"} 3 @1000',
      'h_sum{job="nightly"} 4.5 @1000',
      's_count{job="nightly"} 8 @1000',
      's_sum{job="nightly"} 7 @1000',
      's{job="nightly",quantile="0.5"} 6 @1000',
      'u{job="nightly"} 9 @1000',
    ];
    expect(own(text.samples)).toEqual(want);
    expect(own(protobuf.samples)).toEqual(want);
    expect(protobuf.described).toEqual(text.described);
    expect(text.described.get("h_bucket")?.slice(0, 2)).toEqual(["histogram", "cumulative"]);
    expect(text.described.get("c_total")).toEqual(["counter", "cumulative", "A counter."]);
  });
});

describe.skipIf(!canRun("prometheus"))("a Prometheus", () => {
  test("exposes the same series in protobuf as in text", async () => {
    const server = await startPrometheus();
    closing.push(() => server.stop());
    const [text, protobuf] = [
      await scrape(server.url, "PrometheusText0.0.4"),
      await scrape(server.url, "PrometheusProto"),
    ];
    expect([text.failure, protobuf.failure]).toEqual([undefined, undefined]);
    expect([text.contentType, protobuf.contentType]).toEqual([
      "text/plain",
      "application/vnd.google.protobuf",
    ]);
    // The values change from scrape to scrape, and the counters of its own requests get further series.
    const seriesOf = (lines: readonly string[]) =>
      lines.map((line) => line.replace(/ \S+ @\d+$/, "")).filter((line) => !line.includes("http_"));
    expect(seriesOf(protobuf.samples)).toEqual(seriesOf(text.samples));
    expect(text.samples.length).toBeGreaterThan(200);
    for (const [metric, described] of text.described)
      expect([metric, protobuf.described.get(metric)]).toEqual([metric, described]);
  });
});
