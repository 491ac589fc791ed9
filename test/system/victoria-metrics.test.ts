/**
 * The gateway beside a real VictoriaMetrics (Debian's, 1.79): what one exports the other imports, with equal values, and
 * vmctl moves the blocks of a Prometheus to the gateway.
 *
 * Tests of programs that are not installed are skipped.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { canRun, type RealServer, startVictoriaMetrics } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const SECOND_MS = Math.floor(Date.now() / 1000) * 1000 - 60_000;

let gateway: TestGateway;
let address: string;
beforeAll(async () => {
  gateway = await openTestGatewayAt(Date.now());
  address = String((await gateway.listen()).urls[0]);
});
afterAll(() => gateway.close());

async function send(url: string, body: string): Promise<void> {
  const answer = await fetch(url, { method: "POST", body, headers: { "content-type": "text/plain" } });
  expect([answer.status, await answer.text()]).toEqual([204, ""]);
}

async function exported(url: string, match: string, format = ""): Promise<string[]> {
  const body = new URLSearchParams({ "match[]": match, start: "0", ...(format === "" ? {} : { format }) });
  const answer = await fetch(`${url}/api/v1/export`, { method: "POST", body });
  expect(answer.status).toBe(200);
  return (await answer.text())
    .split("\n")
    .filter((line) => line !== "")
    .sort();
}

const line = (metric: Record<string, string>, values: string) =>
  `{"metric":${JSON.stringify(metric)},"values":[${values}],"timestamps":[${values
    .split(",")
    .map((_, index) => SECOND_MS + index * 1_500)
    .join()}]}`;

describe.if(canRun("victoria-metrics"))("VictoriaMetrics", () => {
  let victoria: RealServer;
  beforeAll(async () => {
    victoria = await startVictoriaMetrics();
  });
  afterAll(() => victoria?.stop());

  const stored = async (match: string) => {
    await fetch(`${victoria.url}/internal/force_flush`);
    return await exported(victoria.url, match);
  };

  test("imports what the gateway exports, and exports the same", async () => {
    // VictoriaMetrics stores decimals, with one exponent for the values of a block: each magnitude is a series.
    const lines = [
      line({ __name__: "moved", kind: "integers" }, "0,1,-1,9007199254740991"),
      line({ __name__: "moved", kind: "fractions" }, "0.1,0.25,-1.5,3.14159"),
      line({ __name__: "moved", kind: "small" }, "1.5e-7,2e-7"),
      line({ __name__: "moved", kind: "large" }, "1.5e+300,2e+300"),
      line({ __name__: "moved", kind: "text", path: '/ü"\\\n,{}' }, "7"),
    ];
    await send(`${address}/api/v1/import`, lines.join("\n"));
    const ours = await exported(address, "moved");
    expect(ours).toHaveLength(lines.length);
    await send(`${victoria.url}/api/v1/import`, ours.join("\n"));
    const theirs = await stored("moved");
    const plain = (each: string) => JSON.stringify(JSON.parse(each));
    expect(theirs.map(plain).sort()).toEqual(ours.map(plain).sort());
  });

  test("rejects none of the finite values because of others beside them", async () => {
    await send(`${address}/api/v1/import`, line({ __name__: "mixed" }, 'null,1.5,"NaN","Infinity",2.5'));
    const ours = await exported(address, "mixed");
    await send(`${victoria.url}/api/v1/import`, ours.join("\n"));
    expect(await stored("mixed")).toEqual([
      `{"metric":{"__name__":"mixed"},"values":[1.5,2.5],"timestamps":[${SECOND_MS + 1500},${SECOND_MS + 6000}]}`,
    ]);
  });

  test("imports infinities in the text format of the gateway, and the gateway imports its lines of them", async () => {
    await send(`${address}/api/v1/import`, line({ __name__: "infinite" }, '"Infinity",1,"-Infinity"'));
    const text = await exported(address, "infinite", "prometheus");
    await send(`${victoria.url}/api/v1/import/prometheus`, `${text.join("\n")}\n`);
    const theirs = await stored("infinite");
    expect(theirs).toEqual([
      `{"metric":{"__name__":"infinite"},"values":[+Inf,1,-Inf],"timestamps":[${SECOND_MS},${SECOND_MS + 1500},${SECOND_MS + 3000}]}`,
    ]);
    await send(`${address}/api/v1/import?extra_label=from=victoria`, theirs.join("\n"));
    const values = (each: readonly string[]) => each.map((one) => one.replace(/^\S+ /, ""));
    expect(values(await exported(address, 'infinite{from="victoria"}', "prometheus"))).toEqual(values(text));
  });

  test("exports what the gateway imports, with the same series and samples", async () => {
    await send(
      `${victoria.url}/api/v1/import/prometheus?timestamp=${SECOND_MS}`,
      'theirs{a="1",b="x y"} 5\ntheirs{a="2"} 0.125 1\ntheirs_total 7\n',
    );
    await send(
      `${victoria.url}/api/v1/import/csv?format=1:metric:theirs_csv,2:label:l,3:time:unix_ms`,
      `1.5,"q,""x""",${SECOND_MS}\n`,
    );
    // One sample is of 1970, which the gateway does not retain.
    const theirs = (await stored('{__name__=~"theirs.*"}')).filter(
      (each) => !each.includes(`"timestamps":[1000]`),
    );
    expect(theirs).toHaveLength(3);
    await send(`${address}/api/v1/import`, theirs.join("\n"));
    expect(await exported(address, '{__name__=~"theirs.*"}')).toEqual(theirs);
  });

  test("reads the same lines of CSV and of the text format as the gateway", async () => {
    const csv = `ticker,ask,bid,time\nGOOG,1.25,4.5,${SECOND_MS}\n"A, B",3.5,1.75,${SECOND_MS}\n`;
    const format = "format=2:metric:ask,3:metric:bid,1:label:ticker,4:time:unix_ms";
    const text = [
      "# TYPE both_total counter",
      'both_total{a="1"} 5',
      ` both_total { a = "2" , } 6 ${SECOND_MS + 1}`,
      'both_total{a="3"} 7 # {trace_id="x"} 1',
      'both_total{a="4",a="5"} 8',
      'both_total{a="\\n\\\\\\""} 1e3',
    ].join("\n");
    for (const url of [victoria.url, address]) {
      await send(`${url}/api/v1/import/csv?${format}`, csv);
      await send(`${url}/api/v1/import/prometheus?timestamp=${SECOND_MS}&extra_label=z=1`, `${text}\n`);
      await send(`${url}/api/v1/import?extra_label=job=set`, line({ __name__: "both", job: "own" }, "1,2"));
    }
    const match = '{__name__=~"ask|bid|both.*"}';
    const ours = await exported(address, match);
    expect(ours).toHaveLength(4 + 5 + 1);
    expect(ours).toEqual(await stored(match));
  });
});

describe.if(canRun("vmctl", "promtool", "script"))("vmctl", () => {
  const folder = temporaryFolder();

  /** Makes blocks of a Prometheus, as a snapshot has them. */
  async function blocks(name: string, openMetrics: string): Promise<string> {
    const [file, snapshot] = [join(folder, `${name}.txt`), join(folder, name)];
    writeFileSync(file, `${openMetrics}# EOF\n`);
    const made = Bun.spawn(["promtool", "tsdb", "create-blocks-from", "openmetrics", file, snapshot], {
      stdout: "ignore",
    });
    expect(await made.exited).toBe(0);
    return snapshot;
  }

  /** Runs vmctl once. Its progress bar needs a terminal. */
  async function run(snapshot: string, ...flags: readonly string[]): Promise<string> {
    const command = [
      "vmctl",
      "prometheus",
      "-s",
      `--prom-snapshot=${snapshot}`,
      `--vm-addr=${address}`,
      ...flags,
    ];
    const child = Bun.spawn(["script", "-qec", command.join(" "), "/dev/null"], {
      stdin: "ignore",
      stdout: "pipe",
    });
    const output = await new Response(child.stdout).text();
    await child.exited;
    return output;
  }

  test("moves the blocks of a Prometheus to the gateway", async () => {
    const at = SECOND_MS / 1000;
    const snapshot = await blocks(
      "moved",
      `# TYPE req counter\nreq_total{a="b"} 5 ${at}\nreq_total{a="b"} 6 ${at + 15}\n` +
        `# TYPE q summary\nq{quantile="0.5"} NaN ${at}\nq_sum 0.1 ${at}\nq_count 3 ${at}\n` +
        `# TYPE g gauge\ng +Inf ${at}\ng -Inf ${at + 15}\ng -0 ${at + 30}\n`,
    );
    // Version 1.79 sometimes ends before it has sent everything. What it sends again is stored once.
    await until("all series of the blocks", async () => {
      await run(snapshot, "--vm-extra-label=from=vmctl");
      return (await exported(address, '{from="vmctl"}', "prometheus")).length === 8;
    });
    expect(await exported(address, '{from="vmctl"}', "prometheus")).toEqual(
      [
        `g{from="vmctl"} +Inf ${SECOND_MS}`,
        `g{from="vmctl"} -Inf ${SECOND_MS + 15_000}`,
        `g{from="vmctl"} -0 ${SECOND_MS + 30_000}`,
        `q{from="vmctl",quantile="0.5"} NaN ${SECOND_MS}`,
        `q_count{from="vmctl"} 3 ${SECOND_MS}`,
        `q_sum{from="vmctl"} 0.1 ${SECOND_MS}`,
        `req_total{a="b",from="vmctl"} 5 ${SECOND_MS}`,
        `req_total{a="b",from="vmctl"} 6 ${SECOND_MS + 15_000}`,
      ].sort(),
    );
  });

  test("shows why samples are not stored, and does not repeat them", async () => {
    const snapshot = await blocks("old", `# TYPE old gauge\nold 1 ${SECOND_MS / 1000 - 400 * 86_400}\n`);
    let output = "";
    await until("a run that sends its sample", async () => {
      output = await run(snapshot);
      return output.includes("import process failed");
    });
    expect(output).toContain("bad request: unexpected response code 400: 1 of 1 lines were not stored");
    expect(output).toContain("is before retention");
  });
});
