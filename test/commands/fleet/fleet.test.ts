/** `weir fleet` with two real gateways: their answers as one, and what is printed when one of them is away. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addToken } from "../../access/token-texts.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

let berlin: GatewayProcess;
let paris: GatewayProcess;
let away: string;
let parisToken: string;
const hanging = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Promise<Response>(() => {}) });

const AT = "2024-01-01T00:00:00Z";

beforeAll(async () => {
  const gone = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  away = gone.url.origin;
  await gone.stop(true);
  const data = temporaryFolder();
  const tokens = join(data, "tokens.json");
  parisToken = await addToken(tokens, "all", { scopes: ["read", "push", "sql"] });
  const retention = "--retention-days=36500";
  [berlin, paris] = await Promise.all([
    GatewayProcess.start({
      data: temporaryFolder(),
      args: ["--no-sampler", retention, "--external-labels=site=berlin"],
    }),
    GatewayProcess.start({
      data,
      args: [
        "--no-sampler",
        retention,
        "--external-labels=site=paris",
        "--external-labels=rack=2",
        `--token-file=${tokens}`,
      ],
    }),
  ]);
  const push = async (gateway: GatewayProcess, events: readonly object[], headers = {}) => {
    const body = JSON.stringify(events.map((event) => ({ "@timestamp": AT, type: "gauge", ...event })));
    const answer = await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body, headers });
    expect(answer.status).toBe(200);
  };
  await push(berlin, [
    { metric_name: "depth", value: 3, tags: { queue: "a" } },
    { metric_name: "depth", value: 4.5, tags: { queue: "b, c" } },
  ]);
  const authorization = `Bearer ${parisToken}`;
  await push(
    paris,
    [{ metric_name: "depth", value: 9_007_199_254_740_991, tags: { queue: "a", gateway: "old" } }],
    {
      authorization,
    },
  );
});
afterAll(async () => {
  await Promise.all([berlin.stop("SIGKILL"), paris.stop("SIGKILL"), hanging.stop(true)]);
});

const fleet = (args: readonly string[], env: Record<string, string> = { WEIR_TOKEN: parisToken }) =>
  weir(["fleet", ...args], { env });
const both = () => `${berlin.url},${paris.url}`;

describe("a question in PromQL", () => {
  test("has the series of all gateways, called by their external labels", async () => {
    expect(await fleet(["promql", "--peers", both(), "--at", AT, "depth"])).toEqual({
      code: 0,
      err: "",
      out: [
        "gateway  series                                    value",
        'berlin   depth{queue="a"}                          3',
        'berlin   depth{queue="b, c"}                       4.5',
        'paris/2  depth{queue="a", exported_gateway="old"}  9007199254740991',
        "",
      ].join("\n"),
    });
  });

  test("over a range, as CSV", async () => {
    const { out, code } = await fleet([
      ...[
        "promql",
        "--peers",
        `b=${berlin.url}`,
        "--start",
        AT,
        "--end",
        "2024-01-01T00:01:00Z",
        "--step",
        "1m",
      ],
      ...["--format", "csv", "sum(depth)"],
    ]);
    expect([code, out]).toEqual([
      0,
      "gateway,series,time,value\nb,{},2024-01-01T00:00:00.000Z,7.5\nb,{},2024-01-01T00:01:00.000Z,7.5\n",
    ]);
  });

  test("as JSON, with what each gateway did; a scalar is a series", async () => {
    const { out, code, err } = await fleet([
      "promql",
      "--peers",
      `b=${berlin.url},gone=${away}`,
      "--at",
      AT,
      "--format",
      "json",
      "--label",
      "site",
      "scalar(sum(depth))",
    ]);
    expect(code).toBe(3);
    const reason = expect.stringContaining(`Cannot reach a gateway at ${away}`);
    expect(JSON.parse(out)).toEqual({
      status: "success",
      data: { resultType: "vector", result: [{ metric: { site: "b" }, value: [1_704_067_200, "7.5"] }] },
      warnings: [expect.stringContaining(`gone (${away}) is missing: Cannot reach`)],
      peers: [
        { gateway: "b", url: berlin.url, status: "ok" },
        { gateway: "gone", url: away, status: "failed", error: reason },
      ],
    });
    expect(err).toContain(`weir fleet: gone (${away}) is missing: Cannot reach`);
  });
});

describe("a question in SQL", () => {
  const DEPTH = "SELECT queue, value FROM depth ORDER BY queue";

  test("has the rows of all gateways, with a column for the gateway", async () => {
    const peers = ["--peers", `b=${berlin.url}`, "--peers", `p=${paris.url}`];
    expect((await fleet(["sql", ...peers, "--format", "csv", DEPTH])).out).toBe(
      'gateway,queue,value\nb,a,3\nb,"b, c",4.5\np,a,9007199254740991\n',
    );
    expect((await fleet(["sql", ...peers, DEPTH])).out).toBe(
      [
        "gateway  queue             value",
        "-------  -----  ----------------",
        "b        a                     3",
        "b        b, c                4.5",
        "p        a      9007199254740991",
        "(3 rows)",
        "",
      ].join("\n"),
    );
  });

  test("has the columns of all answers, and NULL where a gateway has none; a column of that name is kept", async () => {
    const peers = ["--peers", `b=${berlin.url},p=${paris.url}`, "--format", "ndjson"];
    const { out } = await fleet(["sql", ...peers, "SELECT * EXCLUDE (ts) FROM depth ORDER BY queue"]);
    const rows = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows).toEqual([
      expect.objectContaining({ fleet_gateway: "b", queue: "a", value: 3, gateway: null }),
      expect.objectContaining({ fleet_gateway: "b", queue: "b, c", value: 4.5, gateway: null }),
      expect.objectContaining({ fleet_gateway: "p", queue: "a", gateway: "old" }),
    ]);
  });

  test("binds parameters, and an error of one gateway is its own", async () => {
    const { out, err, code } = await fleet([
      ...["sql", "--peers", `b=${berlin.url},p=${paris.url}`, "--format", "lines", "--param", "q=a"],
      "SELECT value::BIGINT FROM depth WHERE queue = $q AND gateway = 'old'",
    ]);
    // Only one of them has the column.
    expect([code, out]).toEqual([3, "p\t9007199254740991\n"]);
    expect(err).toMatch(/^weir fleet: b \(http:\S+\) is missing: .*gateway/);
  });
});

test("gateways that are away, hang or want another token fail alone; without any answer the exit code is 1", async () => {
  const file = join(temporaryFolder(), "gateways.txt");
  const wrong = join(temporaryFolder(), "token");
  writeFileSync(wrong, "nonsense\n");
  writeFileSync(
    file,
    `# the fleet\nb=${berlin.url}\nslow=${hanging.url.origin} # never answers\np=${paris.url} ${wrong}\n\n`,
  );
  const asked = await fleet([
    "sql",
    "--peers-file",
    file,
    "--timeout-ms",
    "5000",
    "--format",
    "lines",
    "SELECT 1",
  ]);
  expect([asked.code, asked.out]).toEqual([3, "b\t1\n"]);
  expect(asked.err.split("\n")).toEqual([
    expect.stringMatching(/^weir fleet: slow \(\S+\) is missing: .* did not answer within 5000 ms\.$/),
    expect.stringMatching(/^weir fleet: p \(\S+\) is missing: .*token/),
    "",
  ]);
  const none = await fleet(["promql", "--peers", away, "--at", AT, "depth"]);
  expect([none.code, none.out]).toEqual([1, ""]);
  // No advice about `--url`, which `weir fleet` does not have.
  expect(none.err.split("\n")[0]).toEndWith(
    `is missing: Cannot reach a gateway at ${away} (connection refused).`,
  );
});

test("status prints which gateways are ready, with their versions", async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dir, "../../../package.json"), "utf8")) as {
    version: string;
  };
  const { out, code } = await fleet(["status", "--peers", `${both()},gone=${away}`]);
  const [head, ...rows] = out.trim().split("\n");
  expect(code).toBe(3);
  expect(head).toMatch(/^GATEWAY +URL +STATE +VERSION +LAG +AGE +ERROR$/);
  expect(rows.map((row) => row.split(/ {2,}/).slice(0, 5))).toEqual([
    ["berlin", berlin.url, "ready", version, "-"],
    ["paris/2", paris.url, "ready", version, "-"],
    ["gone", away, "failed", "-", "-"],
  ]);
  expect((await fleet(["status", "--peers", both()])).code).toBe(0);
});

test("rejects arguments that are wrong, and quotes no password", async () => {
  const bad = async (args: readonly string[], message: RegExp) => {
    const { code, err } = await fleet(args);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  };
  await bad(["promql", "up"], /Give the gateways, such as --peers/);
  await bad(["nonsense", "--peers", "a"], /The question is "nonsense", expected one of promql, sql, status/);
  await bad(["sql", "--peers", "a"], /Give a question/);
  await bad(["sql", "--peers", "a=x:1,a=y:1", "SELECT 1"], /Two gateways have the name "a"/);
  await bad(["promql", "--peers", "x:1", "--label", "a-b", "up"], /--label is "a-b"/);
  await bad(["promql", "--peers", "a=ftp://x", "up"], /--peers has "a=ftp:\/\/x", expected \[NAME=\]URL/);
  const { err } = await fleet(["promql", "--peers", "http://u:hunter2@:0", "up"]);
  expect(err).not.toContain("hunter2");
  // A gateway without a name is called by its host.
  for (const question of [["promql", "up"], ["status"], ["status", "--format=json"]]) {
    const { out, err: said } = await fleet([
      ...question,
      "--peers",
      `http://u:hunter2@${away.slice("http://".length)}/x`,
    ]);
    expect(out + said).not.toContain("hunter2");
    expect(out + said).toContain(away.slice("http://".length));
  }
});
