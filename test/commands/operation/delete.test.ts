/** Runs `weir delete` as a process with a real gateway: it deletes what it counted, and nothing else. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const folder = temporaryFolder();
/** A minute of today or yesterday, in whole seconds. */
const BASE_MS = Math.floor(Date.now() / 60_000) * 60_000 - 600_000;

let gateway: GatewayProcess;
let env: { WEIR_URL: string };
beforeAll(async () => {
  gateway = await GatewayProcess.start({
    data: join(folder, "data"),
    args: ["--no-sampler", "--enable-admin-api"],
  });
  env = { WEIR_URL: gateway.url };
  const events = [0, 1, 2, 3].flatMap((second) =>
    ["a", "b"].map((queue) => ({
      "@timestamp": BASE_MS + second * 1000,
      metric_name: "queue.depth",
      type: "gauge",
      value: second,
      tags: { queue },
    })),
  );
  const other = { "@timestamp": BASE_MS, metric_name: "job.duration_ms", value: 7, tags: { queue: "a" } };
  const response = await fetch(`${gateway.url}/api/v1/push`, {
    method: "POST",
    body: JSON.stringify([...events, other]),
  });
  expect(await response.json()).toMatchObject({ accepted: 9, rejected: 0 });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const left = async () => {
  const sql = "SELECT queue, value FROM queue_depth ORDER BY ALL";
  const { out } = await weir(["sql", "--format", "csv", sql], { env });
  return out.trim().split(/\r?\n/).slice(1);
};

test("counts what it would delete, by metric, and deletes nothing", async () => {
  const dry = await weir(["delete", "--match", '{queue="a"}', "--dry-run"], { env });
  expect(dry).toEqual({
    code: 0,
    out: expect.stringMatching(
      /^metric +series +samples *\njob_duration_ms +1 +1 *\nqueue_depth +1 +4 *\nWould delete 5 samples\.\n$/,
    ),
    err: "",
  });
  const none = await weir(["delete", "--match", "nothing", "--dry-run"], { env });
  expect(none).toEqual({ code: 0, out: "Nothing would be deleted: no sample matches.\n", err: "" });
  expect(await left()).toHaveLength(8);
});

test("deletes the samples of a range without its end, of the selected series alone", async () => {
  const range = ["--from", String(BASE_MS + 1000), "--to", new Date(BASE_MS + 3000).toISOString()];
  const args = ["delete", "--match", 'queue_depth{queue="a"}', ...range];
  expect((await weir([...args, "--dry-run"], { env })).out).toEndWith("Would delete 2 samples.\n");
  expect(await weir(args, { env })).toEqual({ code: 0, out: "Deleted 2 samples.\n", err: "" });
  expect(await left()).toEqual(["a,0", "a,3", "b,0", "b,1", "b,2", "b,3"]);
  expect((await weir(args, { env })).out).toBe("Deleted 0 samples.\n");
});

test("deletes what several selectors select", async () => {
  const args = ["delete", "--match", 'queue_depth{queue="a"}', "--match", "job.duration_ms"];
  const quoted = ["delete", "--match", 'queue_depth{queue="a"}', "--match", '{"job.duration_ms"}'];
  expect((await weir(args, { env })).code).toBe(1);
  expect(await weir(quoted, { env })).toEqual({ code: 0, out: "Deleted 3 samples.\n", err: "" });
  expect(await left()).toEqual(["b,0", "b,1", "b,2", "b,3"]);
});

test("rejects arguments that would delete more than was meant", async () => {
  for (const [args, code, message] of [
    [[], 2, /^weir delete: Give --match SELECTOR, such as /],
    [["queue_depth"], 2, /^weir delete: Unexpected argument 'queue_depth'/],
    [["--match", "queue_depth", "--from", "soon"], 2, /^weir delete: --from is "soon"; expected now, /],
    [["--match", "queue_depth", "--from", "1700000000"], 2, /this one looks like seconds/],
    [
      ["--match", "queue_depth", "--from", "now", "--to", "-1h"],
      2,
      /^weir delete: --from is "now", expected a time before --to\./,
    ],
    [["--match", "queue_depth{"], 1, /^weir delete: --match is invalid: .*\n$/],
    [["--match", "{}"], 1, /^weir delete: .*\n$/],
  ] as const) {
    const { err, ...rest } = await weir(["delete", ...args], { env });
    expect({ args, ...rest }).toEqual({ args, code, out: "" });
    expect(err).toMatch(message);
  }
  expect(await left()).toHaveLength(4);
});
