/** Both exposition formats, against text that was written by hand from their specifications. */
import { describe, expect, test } from "bun:test";
import type { Family, ValueFamily } from "../../src/exposition/family.ts";
import { renderOpenMetrics } from "../../src/exposition/openmetrics.ts";
import { CHUNK_CHARACTERS, renderText } from "../../src/exposition/text.ts";

const TASK = { name: "task_id", label: '17"04', value: 8.5, timestampUs: 1_704_067_201_500_000 };

const FAMILIES: readonly Family[] = [
  {
    name: "depth",
    type: "gauge",
    help: 'Jobs\nthat "wait".',
    unit: "",
    points: [{ labels: 'instance=""', value: -0.5 }],
  },
  {
    name: "duration_ms",
    type: "histogram",
    help: "How long.",
    unit: "ms",
    points: [
      {
        labels: 'op="a"',
        edges: ["1.0", "10.0", "+Inf"],
        values: [0, 2, 3],
        sum: 30.25,
        count: 3,
        createdUs: 1_704_067_200_125_000,
        exemplars: [undefined, TASK],
      },
      { labels: "", edges: ["+Inf"], values: [1], sum: 2, count: 1 },
    ],
  },
  { name: "odd", type: "unknown", help: "", unit: "ms", points: [{ labels: "", value: NaN }] },
  { name: "pushed", type: "counter", help: "", unit: "", points: [{ labels: "", value: 4 }] },
  {
    name: "size",
    type: "summary",
    help: "",
    unit: "",
    points: [{ labels: 'op="a"', edges: ["0.5"], values: [7], sum: 8, count: 9 }],
  },
  {
    name: "sent_bytes_total",
    type: "counter",
    help: "Sent.",
    unit: "bytes",
    points: [{ labels: 'op="a"', value: 1e21, createdUs: 1_704_067_200_000_000 }],
  },
];

test("writes text 0.0.4", () => {
  expect([...renderText(FAMILIES)].join("")).toBe(`# HELP depth Jobs\\nthat "wait".
# TYPE depth gauge
depth{instance=""} -0.5
# HELP duration_ms How long.
# TYPE duration_ms histogram
duration_ms_bucket{op="a",le="1.0"} 0
duration_ms_bucket{op="a",le="10.0"} 2
duration_ms_bucket{op="a",le="+Inf"} 3
duration_ms_sum{op="a"} 30.25
duration_ms_count{op="a"} 3
duration_ms_bucket{le="+Inf"} 1
duration_ms_sum 2
duration_ms_count 1
# TYPE odd untyped
odd NaN
# TYPE pushed counter
pushed 4
# TYPE size summary
size{op="a",quantile="0.5"} 7
size_sum{op="a"} 8
size_count{op="a"} 9
# HELP sent_bytes_total Sent.
# TYPE sent_bytes_total counter
sent_bytes_total{op="a"} 1e+21
`);
});

test("writes OpenMetrics 1.0", () => {
  expect([...renderOpenMetrics(FAMILIES)].join("")).toBe(`# HELP depth Jobs\\nthat \\"wait\\".
# TYPE depth gauge
depth{instance=""} -0.5
# HELP duration_ms How long.
# TYPE duration_ms histogram
# UNIT duration_ms ms
duration_ms_bucket{op="a",le="1.0"} 0
duration_ms_bucket{op="a",le="10.0"} 2 # {task_id="17\\"04"} 8.5 1704067201.5
duration_ms_bucket{op="a",le="+Inf"} 3
duration_ms_sum{op="a"} 30.25
duration_ms_count{op="a"} 3
duration_ms_created{op="a"} 1704067200.125
duration_ms_bucket{le="+Inf"} 1
duration_ms_sum 2
duration_ms_count 1
# TYPE odd unknown
odd NaN
# TYPE pushed unknown
pushed 4
# TYPE size summary
size{op="a",quantile="0.5"} 7
size_sum{op="a"} 8
size_count{op="a"} 9
# HELP sent_bytes Sent.
# TYPE sent_bytes counter
# UNIT sent_bytes bytes
sent_bytes_total{op="a"} 1e+21
sent_bytes_created{op="a"} 1704067200
# EOF
`);
});

test("leaves out the sum of a histogram with a bucket for negative values in OpenMetrics", () => {
  const points = [{ labels: "", edges: ["-1.0", "+Inf"], values: [1, 2], sum: -3, count: 2 }];
  const family: Family = { name: "t", type: "histogram", help: "T.", unit: "", points };
  const buckets = 't_bucket{le="-1.0"} 1\nt_bucket{le="+Inf"} 2\n';
  expect([...renderOpenMetrics([family])].join("")).toBe(
    `# HELP t T.\n# TYPE t histogram\n${buckets}# EOF\n`,
  );
  expect([...renderText([family])].join("")).toBe(
    `# HELP t T.\n# TYPE t histogram\n${buckets}t_sum -3\nt_count 2\n`,
  );
});

describe("empty and large expositions", () => {
  test("writes nothing as an empty text, and as the end line in OpenMetrics", () => {
    expect([...renderText([])]).toEqual([]);
    expect([...renderOpenMetrics([])]).toEqual(["# EOF\n"]);
  });

  test("writes large expositions in chunks of whole lines", () => {
    const points = Array.from({ length: 20_000 }, (_, at) => ({
      labels: `series="number ${at}"`,
      value: at,
    }));
    const family: Family = { name: "g", type: "gauge", help: "G.", unit: "", points };
    for (const chunks of [[...renderText([family])], [...renderOpenMetrics([family])]]) {
      expect(chunks.length).toBeGreaterThan(3);
      for (const chunk of chunks) {
        expect(chunk.endsWith("\n")).toBeTrue();
        expect(chunk.length).toBeLessThan(CHUNK_CHARACTERS + 1000);
      }
      expect(chunks.join("").match(/^g\{/gm)?.length).toBe(20_000);
    }
  });
});

describe("families that conflict in OpenMetrics", () => {
  const gauge = (name: string, points: Record<string, number>): Family => ({
    ...{ name, type: "gauge", help: "", unit: "" },
    points: Object.entries(points).map(([labels, value]) => ({ labels, value })),
  });
  const counter = (name: string, points: Record<string, number>): Family => ({
    ...(gauge(name, points) as ValueFamily),
    type: "counter",
  });
  const histogram: Family = {
    ...{ name: "h", type: "histogram", help: "", unit: "" },
    points: [{ labels: 'x="1"', edges: ["+Inf"], values: [1], sum: 2, count: 1 }],
  };
  const openMetrics = (...families: Family[]) =>
    [...renderOpenMetrics(families)].join("").split("\n").slice(0, -2);

  test("writes the gauge of a creation time as part of its counter, histogram or summary", () => {
    expect(
      openMetrics(
        gauge("c_created", { 'x="1"': 5.5, 'x="2"': 6, 'x="3"': Number.NaN }),
        counter("c_total", { 'x="0"': 1, 'x="1"': 2, 'x="3"': 3 }),
        histogram,
        gauge("h_created", { "": 4, 'x="1"': 7 }),
      ),
    ).toEqual([
      "# TYPE c counter",
      'c_total{x="0"} 1',
      'c_total{x="1"} 2',
      'c_created{x="1"} 5.5',
      'c_total{x="3"} 3',
      "# TYPE h histogram",
      'h_bucket{x="1",le="+Inf"} 1',
      'h_sum{x="1"} 2',
      'h_count{x="1"} 1',
      'h_created{x="1"} 7',
    ]);
  });
  test("writes a counter whose name is taken as unknown, and its creation time as a gauge", () => {
    expect(
      openMetrics(gauge("c", { "": 1 }), gauge("c_created", { "": 5 }), counter("c_total", { "": 2 })),
    ).toEqual([
      ...["# TYPE c gauge", "c 1", "# TYPE c_created gauge", "c_created 5"],
      ...["# TYPE c_total unknown", "c_total 2"],
    ]);
    expect(openMetrics(histogram, counter("h_sum_total", { "": 2 })).slice(-2)).toEqual([
      "# TYPE h_sum_total unknown",
      "h_sum_total 2",
    ]);
  });
  test("keeps a gauge that ends with _created if it belongs to no other family", () => {
    expect(openMetrics(gauge("c", { "": 1 }), gauge("c_created", { "": 5 }))).toEqual([
      ...["# TYPE c gauge", "c 1", "# TYPE c_created gauge", "c_created 5"],
    ]);
  });
});
