/**
 * Pushes of Python's client: each counter, histogram and summary has a gauge with its creation time. In text
 * 0.0.4 the gauge is exposed as pushed. In OpenMetrics its name belongs to the other family, and it is exposed
 * as part of that.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { decodeOpenMetrics } from "../../../src/wire/exposition-formats/open-metrics.ts";
import { type GroupsGateway, openGroupsGateway } from "./groups-gateway.ts";

/** As prometheus_client 0.26 writes it, with fewer buckets. */
const PUSHED = `# HELP c_total count
# TYPE c_total counter
c_total 3.0
# HELP c_created count
# TYPE c_created gauge
c_created 1.7952844170453038e+09
# HELP h_seconds hist
# TYPE h_seconds histogram
h_seconds_bucket{le="0.5"} 1.0
h_seconds_bucket{le="+Inf"} 1.0
h_seconds_count 1.0
h_seconds_sum 0.3
# HELP h_seconds_created hist
# TYPE h_seconds_created gauge
h_seconds_created 1.7952844170453353e+09
# HELP s summ
# TYPE s summary
s_count 1.0
s_sum 2.0
# HELP s_created summ
# TYPE s_created gauge
s_created 1.7952844170453653e+09
`;

let gateway: GroupsGateway;
beforeAll(async () => {
  gateway = await openGroupsGateway();
  await gateway.ok("PUT /metrics/job/python", PUSHED);
});
afterAll(() => gateway.close());

test("text 0.0.4 exposes creation times as gauges, as they were pushed", async () => {
  expect(await gateway.exposed()).toEqual([
    'c_created{job="python"} 1795284417.0453038',
    'c_total{job="python"} 3',
    'h_seconds_bucket{job="python",le="0.5"} 1',
    'h_seconds_bucket{job="python",le="+Inf"} 1',
    'h_seconds_sum{job="python"} 0.3',
    'h_seconds_count{job="python"} 1',
    'h_seconds_created{job="python"} 1795284417.0453353',
    's_sum{job="python"} 2',
    's_count{job="python"} 1',
    's_created{job="python"} 1795284417.0453653',
  ]);
});

test("OpenMetrics exposes creation times as part of their counters, histograms and summaries", async () => {
  const [status, text] = await gateway.send("GET /metrics", "", { accept: "application/openmetrics-text" });
  expect(status).toBe(200);
  decodeOpenMetrics(Buffer.from(`${text}\n`));
  const families = ["c", "h_seconds", "s"].map((name) => {
    const from = text.indexOf(`# TYPE ${name} `);
    const block = text.slice(from, text.indexOf("\n# ", from)).split("\n");
    return [block[0], ...block.filter((line) => /^\w+_(total|created)/.test(line))];
  });
  expect(families).toEqual([
    [
      "# TYPE c counter",
      'c_total{instance="",job="python"} 3',
      'c_created{instance="",job="python"} 1795284417.0453038',
    ],
    ["# TYPE h_seconds histogram", 'h_seconds_created{instance="",job="python"} 1795284417.0453353'],
    ["# TYPE s summary", 's_created{instance="",job="python"} 1795284417.0453653'],
  ]);
});
