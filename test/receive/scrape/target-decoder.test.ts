/** One target, scrape after scrape: what is stored of each body, and which series end. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import type { Batch } from "../../../src/model/sample.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { TargetDecoder } from "../../../src/receive/scrape/target-decoder.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { runs } from "../../runs.ts";
import { delimited } from "../../wire/exposition-formats/metric-family-messages.ts";
import { OPEN_METRICS, samplesOf, TEXT } from "./target-cases.ts";

const PROTOBUF =
  "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const SECOND = 1_000;

interface Scraped {
  /** Without the series about the scrape. */
  readonly samples: string[];
  readonly error: string;
  readonly cause: string | undefined;
  readonly up: number;
  readonly scraped: number;
  readonly kept: number;
  readonly added: number;
  readonly batch: Batch;
}

/** A target that is scraped once per second, at 1, 2, 3 … seconds. `job` is a setting as text. */
function target(job = "a:1,job=j,instance=i") {
  const [only] = targetsOf(readScrapeJobs(job, "scrape"));
  const decoder = new TargetDecoder(only!.job, only!.labels, new BucketLayouts(), "scrape");
  let at = 0;
  return (body: string | Uint8Array | undefined, contentType = TEXT, isStored = true): Scraped => {
    at += 1;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const { failure, counts } = decoder.read(bytes && { bytes, contentType }, at * SECOND);
    const batch = decoder.take(failure === undefined && bytes !== undefined, 0.5);
    if (isStored) decoder.keep();
    const lines = samplesOf(batch);
    const report = (name: string) =>
      Number(
        new RegExp(`^${name}\\{.* (\\S+) @`).exec(lines.find((line) => line.startsWith(`${name}{`))!)![1],
      );
    expect(report("scrape_duration_seconds")).toBe(0.5);
    expect([counts.scraped, counts.kept]).toEqual([
      report("scrape_samples_scraped"),
      report("scrape_samples_post_metric_relabeling"),
    ]);
    return {
      samples: lines
        .filter((line) => !/^(up|scrape_\w+)\{/.test(line))
        .map((line) => line.replace('instance="i",job="j"', "…")),
      error: failure?.message ?? "",
      cause: failure?.cause,
      up: report("up"),
      scraped: report("scrape_samples_scraped"),
      kept: report("scrape_samples_post_metric_relabeling"),
      added: report("scrape_series_added"),
      batch,
    };
  };
}

describe("a scrape", () => {
  test("stores each sample at its time, with up and the counts", () => {
    const scrape = target();
    expect(scrape('a 1\nb{x="y"} 2 500\n')).toMatchObject({
      samples: ["a{…} 1 @1000", 'b{…,x="y"} 2 @500'],
      up: 1,
      scraped: 2,
      kept: 2,
      added: 2,
    });
  });

  test("has the series about itself as gauges, with the labels of the target only", () => {
    const { batch } = target()("a 1\n");
    expect(batch.heads.slice(1).map(({ metric, kind, labels }) => [metric, kind, [...labels]])).toEqual(
      [
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
      ].map((name) => [
        name,
        "gauge",
        [
          ["instance", "i"],
          ["job", "j"],
        ],
      ]),
    );
  });

  test("uses the same head for a series as the scrape before, so that its series is not looked up again", () => {
    const scrape = target();
    const [first, second] = [scrape("# TYPE a gauge\na 1\n"), scrape("# TYPE a gauge\na 2\n")];
    expect(second.batch.heads[0]).toBe(first.batch.heads[0]!);
  });

  test("has type, help and unit of a metric, also of the parts of a histogram", () => {
    const scrape = target();
    const { batch } = scrape(
      "# TYPE h_seconds histogram\n# HELP h_seconds a \\n b\n# UNIT h_seconds seconds\n" +
        'h_seconds_bucket{le="+Inf"} 1\nh_seconds_sum 1\nh_seconds_count 1\n# TYPE c counter\nc_total 1\nc_created 2\n' +
        '# TYPE i info\ni_info{v="1"} 1\n# TYPE g gauge\ng 1\nu 1\n# EOF\n',
      OPEN_METRICS,
    );
    const described = batch.heads
      .slice(0, 8)
      .map(({ metric, kind, type, help, unit }) => [metric, kind, type, help, unit]);
    const histogram = ["cumulative", "histogram", "a \n b", "seconds"];
    expect(described).toEqual([
      ["h_seconds_bucket", ...histogram],
      ["h_seconds_sum", ...histogram],
      ["h_seconds_count", ...histogram],
      ["c_total", "cumulative", "counter", undefined, undefined],
      ["c_created", "cumulative", "unknown", undefined, undefined],
      ["i_info", "gauge", "info", undefined, undefined],
      ["g", "gauge", "gauge", undefined, undefined],
      ["u", "cumulative", "unknown", undefined, undefined],
    ]);
  });

  test("takes a TYPE that changes from then on", () => {
    const scrape = target();
    expect(scrape("# TYPE a gauge\na 1\n").batch.heads[0]!.type).toBe("gauge");
    expect(scrape("# TYPE a counter\na 1\n").batch.heads[0]!.type).toBe("counter");
  });

  test("spells bounds as OpenMetrics floats, so that two spellings are one series", () => {
    const scrape = target();
    expect(scrape('h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\ns{quantile="0.50"} 3\n').samples).toEqual([
      'h_bucket{…,le="+Inf"} 2 @1000',
      'h_bucket{…,le="1.0"} 1 @1000',
      's{…,quantile="0.5"} 3 @1000',
    ]);
    // The same series in another spelling: none of them ends.
    expect(scrape('h_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 2\ns{quantile="0.5"} 3\n').samples).toHaveLength(
      3,
    );
  });

  test("stores the first of two samples of a series, and rejects another value", () => {
    const { samples, batch, scraped, kept } = target()('a 1\na 1\na 2\nb{x="1",y="2"} 3\nb{y="2",x="1"} 4\n');
    expect(samples).toEqual(["a{…} 1 @1000", 'b{…,x="1",y="2"} 3 @1000']);
    expect([scraped, kept]).toEqual([5, 5]);
    expect(batch.rejected).toEqual([
      {
        index: 2,
        cause: "repeated",
        reason: 'value 2 of "a" differs from 1, which the same scrape has for this series before it',
        payload: '{"metric_name":"a","value":2}',
      },
      {
        index: 4,
        cause: "repeated",
        reason: 'value 4 of "b" differs from 3, which the same scrape has for this series before it',
        payload: '{"metric_name":"b","value":4}',
      },
    ]);
  });
});

describe("labels of the target", () => {
  const labels = (job: string, body: string) =>
    target(job)(body).samples.map((line) =>
      line.replace("…", 'instance="i",job="j"').replace(/ \S+ @\d+$/, ""),
    );

  test.each([
    ["a 1", 'a{instance="i",job="j",zone="eu"}'],
    ['a{job="own"} 1', 'a{exported_job="own",instance="i",job="j",zone="eu"}'],
    ['a{job=""} 1', 'a{instance="i",job="j",zone="eu"}'],
    [
      'a{exported_job="x",job="own"} 1',
      'a{exported_exported_job="own",exported_job="x",instance="i",job="j",zone="eu"}',
    ],
    ['a{exported_job="",job="own"} 1', 'a{exported_job="own",instance="i",job="j",zone="eu"}'],
    [
      'a{zone="us",instance="x"} 1',
      'a{exported_instance="x",exported_zone="us",instance="i",job="j",zone="eu"}',
    ],
  ])("are kept in %s", (body, want) => {
    expect(labels("a:1,job=j,instance=i,labels.zone=eu", `${body}\n`)).toEqual([want]);
  });

  test.each([
    ["a 1", 'a{instance="i",job="j"}'],
    ['a{job="own"} 1', 'a{instance="i",job="own"}'],
    // The way in which Pushgateway and this gateway keep the instance of a group absent.
    ['a{job="own",instance=""} 1', 'a{job="own"}'],
  ])("give way in %s with honor_labels", (body, want) => {
    expect(labels("a:1,job=j,instance=i,honor_labels=true", `${body}\n`)).toEqual([want]);
  });
});

describe("a series ends", () => {
  test("in the scrape that lacks it, once", () => {
    const scrape = target();
    scrape("a 1\nb 1\n");
    expect(scrape("a 2\n").samples).toEqual(["a{…} 2 @2000", "b{…} stale @2000"]);
    expect(scrape("a 3\n").samples).toEqual(["a{…} 3 @3000"]);
    expect(scrape("a 4\nb 4\n")).toMatchObject({ samples: ["a{…} 4 @4000", "b{…} 4 @4000"], added: 1 });
  });

  test.each([
    ["a body that cannot be read", "a 2\n7&-\n", "syntax"],
    ["no body", undefined, undefined],
    ["too many samples", "a 2\nb 2\nc 2\n", "sample_limit"],
    ["too many labels", 'a 2\nb{w="1",x="2",y="3"} 2\n', "label_limit"],
    ["a label twice", 'a 2\nb{x="1",x="1"} 2\n', "labels"],
    ["a body that is not UTF-8", Buffer.from('a 2\nb{x="\xff"} 1\n', "latin1"), "syntax"],
  ])("with all others of the target after %s", (_, body, cause) => {
    const scrape = target("a:1,job=j,instance=i,sample_limit=2,label_limit=5");
    scrape("a 1\nb 1\n");
    const failed = scrape(body);
    expect(failed).toMatchObject({ samples: ["a{…} stale @2000", "b{…} stale @2000"], up: 0, cause });
    // Once is enough.
    expect(scrape(body)).toMatchObject({ samples: [], up: 0 });
    // The series are not new, as in Prometheus: a failed scrape forgets none.
    expect(scrape("a 4\nb 4\n")).toMatchObject({
      samples: ["a{…} 4 @4000", "b{…} 4 @4000"],
      up: 1,
      added: 0,
    });
  });

  test("not if its samples have times of their own", () => {
    const scrape = target();
    scrape("a 1 500\nb 1\n");
    expect(scrape("b 2\n").samples).toEqual(["b{…} 2 @2000"]);
    expect(scrape(undefined).samples).toEqual(["b{…} stale @3000"]);
  });

  test("although its samples have times of their own, with track_timestamps_staleness or without honor_timestamps", () => {
    const tracking = target("a:1,job=j,instance=i,track_timestamps_staleness=true");
    tracking("a 1 500\n");
    expect(tracking("b 2\n").samples).toEqual(["a{…} stale @2000", "b{…} 2 @2000"]);
    const ignoring = target("a:1,job=j,instance=i,honor_timestamps=false");
    expect(ignoring("a 1 500\n").samples).toEqual(["a{…} 1 @1000"]);
    expect(ignoring("b 2\n").samples).toEqual(["a{…} stale @2000", "b{…} 2 @2000"]);
  });

  test("in the next scrape that is stored, if one could not be stored", () => {
    const scrape = target();
    scrape("a 1\nb 1\n");
    expect(scrape("a 2\n", TEXT, false).samples).toEqual(["a{…} 2 @2000", "b{…} stale @2000"]);
    expect(scrape("a 3\n").samples).toEqual(["a{…} 3 @3000", "b{…} stale @3000"]);
    expect(scrape("a 4\n").samples).toEqual(["a{…} 4 @4000"]);
  });

  test("without being forgotten in memory: it is known again under another text", () => {
    const scrape = target();
    for (let at = 0; at < 5; at++) {
      const { samples } = scrape(at % 2 === 0 ? 'a{x="1",y="2"} 1\n' : 'a{y="2",x="1"} 1\n');
      expect(samples).toEqual([`a{…,x="1",y="2"} 1 @${(at + 1) * SECOND}`]);
    }
  });
});

describe("limits", () => {
  test("sample_limit counts all samples, and fails with the number", () => {
    const scrape = target("a:1,job=j,instance=i,sample_limit=2");
    expect(scrape("a 1\nb 1\nc 1\nd 1\n")).toMatchObject({
      samples: [],
      error: "sample_limit exceeded: the target exposes 4 samples, at most 2 are accepted",
      scraped: 4,
      kept: 4,
      added: 2,
    });
  });

  test.each([
    ["label_limit=3", 'm{x="1"} 1', "label_limit exceeded: metric m has 4 labels, at most 3 are accepted"],
    [
      "label_name_length_limit=8",
      'm{ninechars="1"} 1',
      "label_name_length_limit exceeded: metric m has a label name of 9 bytes, at most 8 are accepted",
    ],
    [
      "label_value_length_limit=4",
      'm{x="12345"} 1',
      "label_value_length_limit exceeded: metric m has a label value of 5 bytes, at most 4 are accepted",
    ],
    [
      "label_value_length_limit=4",
      'm{x="ééé"} 1',
      "label_value_length_limit exceeded: metric m has a label value of 6 bytes, at most 4 are accepted",
    ],
    [
      "label_value_length_limit=4",
      "m1234 1",
      "label_value_length_limit exceeded: metric m1234 has a label value of 5 bytes, at most 4 are accepted",
    ],
  ])("%s rejects %s", (limit, line, error) => {
    expect(target(`a:1,job=j,instance=i,${limit}`)(`${line}\n`).error).toBe(error);
  });

  test("of all scrapes: half a million samples", () => {
    const scrape = target();
    expect(scrape("a 1\n".repeat(500_001)).error).toBe("the target exposes more than 500000 samples");
    expect(scrape("a 1\n").samples).toEqual(["a{…} 1 @2000"]);
  });
});

describe("exemplars", () => {
  const body = (exemplar: string) =>
    `# TYPE h histogram\nh_bucket{le="1.0"} 1 # ${exemplar}\nh_bucket{le="+Inf"} 1\n# EOF\n`;

  test("belong to their series, have the time of the scrape if they have none, and are stored once", () => {
    const scrape = target();
    const stored = (exemplar: string) =>
      scrape(body(exemplar), OPEN_METRICS).batch.exemplars?.map(({ timestampUs, value, labels }) => [
        timestampUs,
        value,
        [...labels],
      ]);
    expect(stored('{trace_id="t",span="s"} 0.5')).toEqual([
      [
        1_000_000,
        0.5,
        [
          ["span", "s"],
          ["trace_id", "t"],
        ],
      ],
    ]);
    expect(stored('{trace_id="t",span="s"} 0.5')).toBeUndefined();
    expect(stored('{trace_id="t",span="s"} 0.5 2.5')).toEqual([
      [
        2_500_000,
        0.5,
        [
          ["span", "s"],
          ["trace_id", "t"],
        ],
      ],
    ]);
    expect(stored('{trace_id="t",span="s"} 0.5 2.5')).toBeUndefined();
    expect(stored('{trace_id="u"} 0.5 2.5')).toEqual([[2_500_000, 0.5, [["trace_id", "u"]]]]);
  });

  test("with labels of more than 128 characters are dropped and counted, and their sample is stored", () => {
    const [only] = targetsOf(readScrapeJobs("a", "scrape"));
    const decoder = new TargetDecoder(only!.job, only!.labels, new BucketLayouts(), "scrape");
    const bytes = Buffer.from(body(`{t="${"x".repeat(128)}"} 0.5`));
    expect(decoder.read({ bytes, contentType: OPEN_METRICS }, 0)).toMatchObject({
      failure: undefined,
      counts: { exemplarsDropped: 1, scraped: 2 },
    });
  });
});

describe("protobuf", () => {
  test("has the samples of the text format", () => {
    const label = [{ name: "x", value: "y" }];
    const families = delimited(
      { name: "c_total", help: "help", type: 0, metric: [{ label, counter: { value: 1 } }] },
      { name: "g", type: 1, metric: [{ gauge: { value: 2 }, timestampMs: 500 }] },
      {
        name: "s",
        type: 2,
        metric: [{ summary: { sampleCount: 3, sampleSum: 4, quantile: [{ quantile: 0.5, value: 5 }] } }],
      },
      { name: "u", type: 3, metric: [{ untyped: { value: 6 } }] },
      {
        name: "h",
        type: 4,
        metric: [
          { histogram: { sampleCount: 7, sampleSum: 8, bucket: [{ cumulativeCount: 6, upperBound: 1 }] } },
        ],
      },
    );
    const { samples, batch, scraped } = target()(families, PROTOBUF);
    expect(samples).toEqual([
      'c_total{…,x="y"} 1 @1000',
      "g{…} 2 @500",
      'h_bucket{…,le="+Inf"} 7 @1000',
      'h_bucket{…,le="1.0"} 6 @1000',
      "h_count{…} 7 @1000",
      "h_sum{…} 8 @1000",
      "s_count{…} 3 @1000",
      "s_sum{…} 4 @1000",
      's{…,quantile="0.5"} 5 @1000',
      "u{…} 6 @1000",
    ]);
    expect(scraped).toBe(10);
    expect(batch.heads[0]).toMatchObject({
      metric: "c_total",
      kind: "cumulative",
      type: "counter",
      help: "help",
    });
  });

  test("ends the buckets of a native histogram that the target no longer has", () => {
    const native = (bucket: number, count: number) =>
      delimited({
        name: "h",
        type: 4,
        metric: [
          {
            histogram: {
              sampleCount: count,
              sampleSum: 3,
              schema: 0,
              zeroThreshold: 1e-128,
              positiveSpan: [{ offset: bucket, length: 1 }],
              positiveDelta: [count],
            },
          },
        ],
      });
    const scrape = target();
    // Bucket 1 of schema 0 is (1, 2].
    expect(scrape(native(1, 2), PROTOBUF).samples).toEqual([
      'h_bucket{…,le="+Inf"} 2 @1000',
      'h_bucket{…,le="1.0"} 0 @1000',
      'h_bucket{…,le="2.0"} 2 @1000',
      "h_count{…} 2 @1000",
      "h_sum{…} 3 @1000",
    ]);
    expect(scrape("h_count 2\n").samples).toEqual([
      'h_bucket{…,le="+Inf"} stale @2000',
      'h_bucket{…,le="1.0"} stale @2000',
      'h_bucket{…,le="2.0"} stale @2000',
      "h_count{…} 2 @2000",
      "h_sum{…} stale @2000",
    ]);
  });

  test("has the samples of a gauge histogram, which is no histogram because its counts decrease", () => {
    const histogram = { sampleCount: 3, sampleSum: 4, bucket: [{ cumulativeCount: 2, upperBound: 1 }] };
    const { samples, batch } = target()(delimited({ name: "g", type: 5, metric: [{ histogram }] }), PROTOBUF);
    expect(samples).toEqual([
      'g_bucket{…,le="+Inf"} 3 @1000',
      'g_bucket{…,le="1.0"} 2 @1000',
      "g_count{…} 3 @1000",
      "g_sum{…} 4 @1000",
    ]);
    expect(batch.heads[0]!.type).toBe("unknown");
  });

  test("that is cut fails the scrape", () => {
    const scrape = target();
    const whole = delimited({ name: "g", type: 1, metric: [{ gauge: { value: 2 } }] });
    expect(scrape(whole.subarray(0, -1), PROTOBUF)).toMatchObject({ samples: [], up: 0, cause: "syntax" });
  });
});

describe("a body of any bytes", () => {
  test("is stored or fails, and the next scrape is right", () => {
    const scrape = target();
    let at = 0;
    const parts = [
      "a",
      "b_total",
      '{x="y"}',
      "{",
      "}",
      '"',
      ",",
      "=",
      " ",
      "\n",
      "1",
      "-1.5e3",
      "NaN",
      "# TYPE a ",
      "gauge",
      "# HELP ",
      "# EOF\n",
      "\\",
      "é",
      "\u0000",
      "\t",
    ];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.array(fc.constantFrom(...parts), { maxLength: 30 }).map((each) => Buffer.from(each.join(""))),
        ),
        fc.constantFrom(TEXT, OPEN_METRICS, PROTOBUF, ""),
        (body, contentType) => {
          const { up, error, samples } = scrape(body, contentType);
          at += 1;
          expect(up).toBe(error === "" ? 1 : 0);
          expect(samples.filter((line) => !/ stale @/.test(line)).length === 0 || up === 1).toBe(true);
          expect(scrape("known 1\n").samples).toContain(`known{…} 1 @${++at * SECOND}`);
        },
      ),
      runs(500),
    );
  });
});
