/**
 * Values over the seam: a gateway with the newest days and a real upstream with the older ones answer as one Prometheus that has
 * everything. The samples that both have are wrong in the upstream, since those of the gateway count.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { TestGateway } from "../../gateway.ts";
import { canRun, type RealServer, startPrometheus, startVictoriaMetrics } from "../../real-servers.ts";
import { BEGIN_MS, END_MS, OLDER_END_MS, SEAM_MS, seamSeries, writeSeries } from "./seam-data.ts";
import { askGateway, askServer, gatewayWith, type PrometheusAnswer } from "./upstream-gateway.ts";

const present = canRun("prometheus", "victoria-metrics");

const isOfGateway = ({ job }: Readonly<Record<string, string>>) => job !== "ended";
/** What the gateway's forwarding would have sent, with wrong values for what the gateway still has. */
const forwarded = () =>
  seamSeries(BEGIN_MS, OLDER_END_MS).map(({ labels, samples }) => ({
    labels: { ...labels, site: "berlin" },
    samples:
      labels.__name__ === "only_there"
        ? samples
        : samples.map((each) => ((each.timestamp ?? 0) < SEAM_MS ? each : { ...each, value: -1_000_000 })),
  }));
/** The same series of another site. */
const foreign = () =>
  seamSeries(BEGIN_MS, OLDER_END_MS).map(({ labels, samples }) => ({
    labels: { ...labels, site: "paris" },
    samples,
  }));

interface Setup {
  readonly upstream: () => Promise<RealServer>;
  readonly protocol: string;
}

const UPSTREAMS: Readonly<Record<string, Setup>> = {
  "Prometheus by remote_read": { upstream: () => startPrometheus(), protocol: "auto" },
  "VictoriaMetrics by its export": { upstream: startVictoriaMetrics, protocol: "auto" },
  "Prometheus by range selectors": { upstream: () => startPrometheus(), protocol: "query" },
};

const EXPRESSIONS = [
  "queue_depth",
  "requests_total",
  "rate(requests_total[15m])",
  "increase(requests_total[6h])",
  "resets(requests_total[2d])",
  "changes(queue_depth[1d])",
  "sum by (job) (rate(requests_total[1h]))",
  "avg_over_time(queue_depth{job='api'}[1d])",
  "max_over_time(queue_depth[2d])",
  "min_over_time(queue_depth[2d])",
  "count_over_time(queue_depth[2d])",
  "sum_over_time(queue_depth[30h])",
  "last_over_time(queue_depth[3h])",
  "quantile_over_time(0.9, queue_depth{job='api'}[1d])",
  "deriv(queue_depth{job='api'}[3h])",
  "queue_depth offset 1d",
  "max_over_time(rate(requests_total[10m])[6h:10m])",
  "absent(queue_depth{job='none'})",
  "limits",
  "count(queue_depth) by (job) > 0",
  "only_there",
  "rate(only_there[1h])",
];
/** From a day after the beginning to the end, 43 minutes apart: some steps are right before and after the seam. */
const RANGE = {
  start: (BEGIN_MS + 86_400_000) / 1000,
  end: END_MS / 1000,
  step: 2_580,
};

describe.skipIf(!present)("samples of the gateway and of its upstream are joined", () => {
  let whole: RealServer;
  const servers: RealServer[] = [];
  const gateways: TestGateway[] = [];
  const opened = new Map<string, TestGateway>();

  beforeAll(async () => {
    whole = await startPrometheus();
    servers.push(whole);
    const to = (url: string) => (init: RequestInit) => fetch(`${url}/api/v1/write`, init);
    // What only the upstream has ends when the upstream's samples end.
    const all = seamSeries(BEGIN_MS, END_MS).map((each) =>
      each.labels.__name__ === "only_there"
        ? { ...each, samples: each.samples.filter(({ timestamp = 0 }) => timestamp < OLDER_END_MS) }
        : each,
    );
    await writeSeries(to(whole.url), all);
    for (const [name, { upstream, protocol }] of Object.entries(UPSTREAMS)) {
      const server = await upstream();
      servers.push(server);
      await writeSeries(to(server.url), [...forwarded(), ...foreign()]);
      if (name.startsWith("Victoria")) await fetch(`${server.url}/internal/force_flush`);
      const gateway = await gatewayWith(
        END_MS,
        `externalLabels = ["site=berlin"]\n[upstream]\nurl = "${server.url}"\ntimeout = "60s"\nprotocol = "${protocol}"\n`,
      );
      gateways.push(gateway);
      const newer = seamSeries(SEAM_MS, END_MS).filter(
        ({ labels }) => isOfGateway(labels) && labels.__name__ !== "only_there",
      );
      await writeSeries((init) => gateway.fetch("/api/v1/write", init), newer);
      opened.set(name, gateway);
    }
  });

  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    for (const server of servers) await server.stop();
  });

  for (const name of Object.keys(UPSTREAMS)) {
    for (const query of EXPRESSIONS) {
      // A range selector has no stale markers, so a series that ended is shown for five minutes more.
      if (name.endsWith("selectors") && /queue_depth($| offset|\))/.test(query)) continue;
      test(`${name}: ${query}`, async () => {
        const gateway = opened.get(name)!;
        // The selector finds nothing here, so it is answered for all sites.
        const asked = query.includes("only_there")
          ? query.replace("only_there", 'only_there{site="berlin"}')
          : query;
        const ours = await askGateway(gateway, "query_range", { ...RANGE, query: asked });
        const theirs = await askServer(whole.url, "query_range", { ...RANGE, query });
        expect(ours.warnings).toBeUndefined();
        expect(theirs.data.result.length + Number(query.startsWith("absent"))).toBeGreaterThan(0);
        expect(plain(ours)).toEqual(plain(theirs));
      });
    }
  }
});

/** The result by series, with numbers rounded to 12 digits, as sums in another order are. */
function plain({ data }: PrometheusAnswer): Record<string, [number, string][]> {
  return Object.fromEntries(
    data.result.map(({ metric: { site, ...metric }, values = [] }) => [
      JSON.stringify(Object.entries(metric).sort()),
      values.map(([time, value]): [number, string] => [
        time,
        /[IN]/.test(value) ? value : Number(value).toPrecision(12),
      ]),
    ]),
  );
}
