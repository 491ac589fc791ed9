/**
 * Series, labels, values and metadata over a gateway and real upstreams; and what a token with labels finds there, which is
 * never more than its own series.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { addToken } from "../../access/token-texts.ts";
import type { TestGateway } from "../../gateway.ts";
import { canRun, type RealServer, startPrometheus, startVictoriaMetrics } from "../../real-servers.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { BEGIN_MS, END_MS, SEAM_MS, type SeamSeries, writeSeries } from "./seam-data.ts";
import { askGateway, gatewayWith, type Parameters } from "./upstream-gateway.ts";

const present = canRun("prometheus", "victoria-metrics");
const HOUR_MS = 3_600_000;

const series = (labels: Record<string, string>, fromMs: number, toMs: number): SeamSeries => ({
  labels,
  samples: Array.from({ length: Math.floor((toMs - fromMs) / 300_000) }, (_, at) => ({
    timestamp: fromMs + at * 300_000 + 137,
    value: at,
  })),
});

const SERVERS = { Prometheus: () => startPrometheus(), VictoriaMetrics: startVictoriaMetrics };

for (const [name, start] of Object.entries(SERVERS)) {
  describe.skipIf(!present)(`${name} as the upstream`, () => {
    let server: RealServer;
    let gateway: TestGateway;
    let reader: Record<string, string>;
    let narrow: Record<string, string>;

    beforeAll(async () => {
      server = await start();
      const older = (labels: Record<string, string>) => series(labels, BEGIN_MS + HOUR_MS, SEAM_MS);
      await writeSeries(
        (init) => fetch(`${server.url}/api/v1/write`, init),
        [
          older({ __name__: "depth", job: "apple", site: "berlin" }),
          older({ __name__: "depth", job: "zebra", site: "berlin" }),
          older({ __name__: "depth", job: "zebra", site: "paris" }),
          older({ __name__: "ended", job: "zebra", old: "yes", site: "berlin" }),
          older({ __name__: "ended", job: "apple", old: "no", site: "berlin" }),
          older({ __name__: "elsewhere", job: "zebra", site: "paris" }),
        ],
      );
      if (name === "VictoriaMetrics") await fetch(`${server.url}/internal/force_flush`);
      const tokens = join(temporaryFolder(), "tokens.json");
      reader = { authorization: `Bearer ${await addToken(tokens, "all", { scopes: ["read", "push"] })}` };
      const labels = { job: "apple" };
      narrow = { authorization: `Bearer ${await addToken(tokens, "apple", { scopes: ["read"], labels })}` };
      gateway = await gatewayWith(
        END_MS,
        `tokenFile = "${tokens}"\nexternalLabels = ["site=berlin"]\n[upstream]\nurl = "${server.url}"\ntimeout = "60s"\n`,
      );
      await writeSeries(
        (init) => gateway.fetch("/api/v1/write", { ...init, headers: { ...init.headers, ...reader } }),
        [
          series({ __name__: "depth", job: "apple" }, SEAM_MS, END_MS),
          series({ __name__: "depth", job: "zebra" }, SEAM_MS, END_MS),
        ],
      );
    });
    afterAll(async () => {
      await gateway.close();
      await server.stop();
    });

    const list = async (path: string, parameters: Parameters, headers = reader) => {
      const { data, warnings } = await askGateway(gateway, path, parameters, headers);
      expect(warnings).toBeUndefined();
      return data as unknown;
    };
    const older = { start: (BEGIN_MS + HOUR_MS) / 1000, end: END_MS / 1000 };
    const recent = { start: SEAM_MS / 1000, end: END_MS / 1000 };

    test("series of before are listed without the label of the gateway, and those of here once", async () => {
      expect(await list("series", { ...older, "match[]": '{__name__=~"depth|ended"}' })).toEqual([
        { __name__: "depth", job: "apple" },
        { __name__: "depth", job: "zebra" },
        { __name__: "ended", job: "apple", old: "no" },
        { __name__: "ended", job: "zebra", old: "yes" },
      ]);
    });

    test("a look-up that finds nothing here has the series of all gateways", async () => {
      expect(await list("series", { ...recent, start: older.start, "match[]": "elsewhere" })).toEqual([
        { __name__: "elsewhere", job: "zebra", site: "paris" },
      ]);
    });

    test("names of labels and values", async () => {
      expect(await list("labels", { ...older, "match[]": '{job=~".+"}' })).toEqual([
        "__name__",
        "job",
        "old",
      ]);
      expect(await list("label/old/values", older)).toEqual(["no", "yes"]);
      expect(await list("label/site/values", older)).toEqual(["berlin", "paris"]);
      expect(await list("label/__name__/values", { ...recent, "match[]": "depth" })).toEqual(["depth"]);
    });

    test("a selector that names the label of gateways has the series of all, and those of here with it", async () => {
      const at = { time: END_MS / 1000 };
      const total = async (query: string, headers = reader) => {
        const { data } = await askGateway(gateway, "query", { ...at, query }, headers);
        return data.result.map(({ metric, value }) => [metric, value?.[1]]);
      };
      const [here, there] = [(END_MS - SEAM_MS) / 300_000, (SEAM_MS - BEGIN_MS - HOUR_MS) / 300_000];
      expect(await total('sum by (site) (count_over_time(depth{site=~".+"}[4d]))')).toEqual([
        [{ site: "berlin" }, String(2 * (here + there))],
        [{ site: "paris" }, String(there)],
      ]);
      expect(await total('count_over_time(depth{site="berlin",job="apple"}[4d])')).toEqual([
        [{ job: "apple", site: "berlin" }, String(here + there)],
      ]);
      expect(await total('count_over_time(depth{site="paris"}[4d])')).toEqual([
        [{ job: "zebra", site: "paris" }, String(there)],
      ]);
    });

    test("a token with labels finds its own series in the upstream, and nothing of others", async () => {
      const ask = async (path: string, parameters: Parameters) =>
        JSON.stringify(await askGateway(gateway, path, parameters, narrow));
      const answers = [
        await ask("query", { query: 'count_over_time({__name__=~".+"}[4d])', time: END_MS / 1000 }),
        await ask("query", { query: 'count_over_time({site=~".+"}[4d])', time: END_MS / 1000 }),
        await ask("query", { query: "elsewhere offset 3d", time: END_MS / 1000 }),
        await ask("query_range", { query: 'depth{job="zebra"} or ended', ...older, step: 3600 }),
        await ask("series", { ...older, "match[]": '{__name__=~".+"}' }),
        await ask("series", { ...older, "match[]": "elsewhere" }),
        await ask("labels", older),
        await ask("label/job/values", older),
        await ask("label/site/values", older),
        await ask("label/old/values", older),
        await ask("metadata", {}),
      ];
      for (const answer of answers) expect(answer).not.toMatch(/zebra|paris|elsewhere|yes/);
      // Its own ones are there.
      expect(answers[0]).toContain('"job":"apple","old":"no"');
      expect(answers[4]).toContain('"__name__":"ended"');
      expect(answers[9]).toContain('["no"]');
    });

    test("/api/metrics/services lists the services of both", async () => {
      await writeSeries(
        (init) => fetch(`${server.url}/api/v1/write`, init),
        [
          series(
            { __name__: "asdlc_service_info", service: "workers", site: "berlin" },
            SEAM_MS,
            SEAM_MS + HOUR_MS,
          ),
        ],
      );
      if (name === "VictoriaMetrics") await fetch(`${server.url}/internal/force_flush`);
      const services = async () =>
        await (await gateway.fetch("/api/metrics/services", { headers: reader })).json();
      expect(await services()).toEqual(["workers"]);
    });
  });
}
