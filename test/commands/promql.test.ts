/** Runs `weir promql` as a process with a real gateway. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { weir } from "./weir.ts";

const folder = temporaryFolder();

let gateway: GatewayProcess;
let env: { WEIR_URL: string };
beforeAll(async () => {
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--retention-days", "36500", "--no-sampler", "--log-level", "error"],
  });
  env = { WEIR_URL: gateway.url };
  const gauges = [
    { "@timestamp": "2024-01-15T08:00:00Z", value: 3, tags: { job: "worker" } },
    { "@timestamp": "2024-01-15T08:01:00Z", value: 4, tags: { job: "worker" } },
    { "@timestamp": "2024-01-15T08:01:00Z", value: 0.5, tags: { job: "idle" } },
  ].map((gauge) => ({ ...gauge, metric_name: "queue_depth", type: "gauge" }));
  const pushed = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(gauges) });
  expect(await pushed.json()).toMatchObject({ accepted: 3 });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const AT = ["--at", "2024-01-15T08:01:30Z"];

describe("weir promql", () => {
  test("prints a vector at a time as a table", async () => {
    expect(await weir(["promql", ...AT, "queue_depth"], { env })).toEqual({
      code: 0,
      out: [
        "series                     value",
        'queue_depth{job="idle"}    0.5',
        'queue_depth{job="worker"}  4',
        "",
      ].join("\n"),
      err: "",
    });
    expect((await weir(["promql", ...AT, "sum(queue_depth)"], { env })).out).toBe(
      "series  value\n{}      4.5\n",
    );
    expect((await weir(["promql", ...AT, "nobody"], { env })).out).toBe("series  value\n");
  });

  test("prints scalars and strings", async () => {
    expect((await weir(["promql", "1 + 1"], { env })).out).toBe("scalar\n2\n");
    expect((await weir(["promql", '"a b"'], { env })).out).toBe("string\na b\n");
    expect((await weir(["promql", "--", "-1"], { env })).out).toBe("scalar\n-1\n");
  });

  test("prints a range line by line", async () => {
    const range = ["--start", "2024-01-15T08:00:00Z", "--end", "2024-01-15T08:01:00Z"];
    expect((await weir(["promql", ...range, "--step", "1m", 'queue_depth{job="worker"}'], { env })).out).toBe(
      [
        "series                     time                      value",
        'queue_depth{job="worker"}  2024-01-15T08:00:00.000Z  3',
        'queue_depth{job="worker"}  2024-01-15T08:01:00.000Z  4',
        "",
      ].join("\n"),
    );
    // A minute in 60 steps, including both ends.
    const { out } = await weir(["promql", ...range, "vector(1)"], { env });
    expect(out.trimEnd().split("\n")).toHaveLength(1 + 61);
  });

  test("prints Prometheus's own answer with --format json, and to a file", async () => {
    const file = join(folder, "answer.json");
    const args = ["promql", ...AT, "--format", "json", "-o", file, 'queue_depth{job="idle"}'];
    expect(await weir(args, { env })).toEqual({ code: 0, out: "", err: "" });
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      status: "success",
      data: {
        resultType: "vector",
        result: [
          {
            metric: { __name__: "queue_depth", job: "idle" },
            value: [Date.UTC(2024, 0, 15, 8, 1, 30) / 1000, "0.5"],
          },
        ],
      },
    });
    expect(existsSync(`${file}.part`)).toBe(false);
  });

  test("exits with 1 and prints the gateway's error, without a table, if the query fails", async () => {
    const { code, out, err } = await weir(["promql", "sum("], { env });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toStartWith('weir promql: invalid parameter "query": ');
    const away = await weir(["promql", "--url", "http://127.0.0.1:1", "up"]);
    expect(away.code).toBe(1);
    expect(away.err).toContain("Cannot reach a gateway at http://127.0.0.1:1");
  });

  test("exits with 2 if the arguments are invalid", async () => {
    for (const [args, said] of [
      [[], "Give an expression"],
      [["up", "down"], 'Unexpected argument "down"'],
      [["--at", "yesterday", "up"], '--at is "yesterday"'],
      [["--step", "1m", "up"], "--step belongs to a range"],
      [["--at", "now", "--start", "-1h", "up"], "--at is one time"],
      [["--start", "-1h", "--end", "-2h", "up"], "--end is before --start"],
      [["--start", "-1h", "--step", "0", "up"], '--step is "0"'],
      [["--format", "csv", "up"], '--format is "csv"'],
    ] as const) {
      const { code, out, err } = await weir(["promql", ...args], { env });
      expect({ args, code, out }).toEqual({ args, code: 2, out: "" });
      expect(err).toContain(said);
    }
  });
});
