/**
 * Random expressions over the seam, compared with one Prometheus that has all samples. The gateway has those after midnight. Its
 * upstream, another Prometheus, has all of them with the label of the gateway, and wrong values from ten minutes after midnight on.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import snappyjs from "snappyjs";
import { canRun, startPrometheus } from "../../real-servers.ts";
import { withStaleMarkers } from "../../receive/remote-write/decoded.ts";
import { encodeV1, type Series } from "../../receive/remote-write/messages.ts";
import { runs } from "../../runs.ts";
import { type Answer, type Ask, compareAll, queries, type Query } from "../promql/compare/compare.ts";
import { BEGIN_MS, dataset, END_MS, requests } from "../promql/compare/dataset.ts";
import { gatewayWith } from "./upstream-gateway.ts";

/** The data set begins at 11:00, and here at 23:15. */
const LATER_MS = (12 * 60 + 15) * 60_000;
const MIDNIGHT_MS = BEGIN_MS + LATER_MS + 45 * 60_000;
const RUNS = runs(60);
const EXPRESSIONS = RUNS.numRuns;

type Change = (series: Series) => Series;

const shifted: Change = ({ labels, samples = [] }) => ({
  labels,
  samples: samples.map(({ timestamp = 0, value }) => ({ timestamp: timestamp + LATER_MS, value })),
});
const newer: Change = ({ labels, samples = [] }) => ({
  labels,
  samples: samples.filter(({ timestamp = 0 }) => timestamp >= MIDNIGHT_MS),
});
const forwarded: Change = ({ labels, samples = [] }) => ({
  labels: [
    ...Object.entries(Object.fromEntries(labels as [string, string][])),
    ["site", "berlin"] as [string, string],
  ].sort(([a], [b]) => (a < b ? -1 : 1)),
  samples: samples.map(({ timestamp = 0, value }) => ({
    timestamp,
    value: timestamp < MIDNIGHT_MS + 600_000 ? value : -1,
  })),
});

async function load(send: (init: RequestInit) => Promise<Response>, change: Change): Promise<void> {
  for (const part of requests(dataset())) {
    const series = part.map((each) => change(shifted(each))).filter(({ samples = [] }) => samples.length > 0);
    if (series.length === 0) continue;
    const answer = await send({
      method: "POST",
      body: new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV1(series)))),
      headers: {
        "content-encoding": "snappy",
        "content-type": "application/x-protobuf",
        "x-prometheus-remote-write-version": "0.1.0",
      },
    });
    if (!answer.ok) throw new Error(`not loaded: ${answer.status} ${await answer.text()}`);
  }
}

/** The same query at the times of this test. */
function later({ path, parameters }: Query): Query {
  const second = (text: string) => String(Number(text) + LATER_MS / 1000);
  return {
    path,
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, text]) => [
        name,
        name === "query"
          ? text.replaceAll("1728043230", second("1728043230"))
          : name === "step"
            ? text
            : second(text),
      ]),
    ),
  };
}

test.if(canRun("prometheus"))(
  `${EXPRESSIONS} expressions over the seam give what one Prometheus gives`,
  async () => {
    const [whole, older] = await Promise.all([startPrometheus(), startPrometheus()]);
    const gateway = await gatewayWith(
      END_MS + LATER_MS,
      `externalLabels = ["site=berlin"]\n[upstream]\nurl = "${older.url}"\ntimeout = "60s"\n`,
    );
    try {
      await load(
        (init) => fetch(`${whole.url}/api/v1/write`, init),
        (series) => series,
      );
      await load((init) => fetch(`${older.url}/api/v1/write`, init), forwarded);
      await load((init) => gateway.fetch("/api/v1/write", init), newer);
      const warnings: string[] = [];
      const textOf = ({ path, parameters }: Query) => `/api/v1/${path}?${new URLSearchParams(parameters)}`;
      const joined: Ask = async (query) => {
        const answer = (await (await gateway.fetch(textOf(query))).json()) as Answer & {
          warnings?: readonly string[];
        };
        // Others are of the expression.
        warnings.push(...(answer.warnings ?? []).filter((text) => text.includes("upstream")));
        return answer;
      };
      const reference: Ask = async (query) =>
        (await fetch(`${whole.url}${textOf(query)}`)).json() as Promise<Answer>;
      const asked = fc.sample(queries, RUNS).map(later);
      const report = await compareAll(asked, joined, reference);
      expect(warnings).toEqual([]);
      if (report.differences.length > 1) expect(report.differences).toEqual([]);
      expect(report.refused + report.empty).toBeLessThan(EXPRESSIONS / 2);
      const [, text] = await gateway.send("GET /metrics");
      expect(Number(/^weir_upstream_requests_total\{outcome="ok"\} (\d+)$/m.exec(text)![1])).toBeGreaterThan(
        EXPRESSIONS / 4,
      );
    } finally {
      await gateway.close();
      await Promise.all([whole.stop(), older.stop()]);
    }
  },
  { timeout: 900_000 },
);
