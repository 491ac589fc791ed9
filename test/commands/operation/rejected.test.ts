/** Runs `weir rejected` with a real gateway, which is killed in the middle of replays: no sample is lost or doubled. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

const data = temporaryFolder();
const DAY_MS = 86_400_000;
const OLD_MS = Date.now() - 5 * DAY_MS;
const PUSHES = 4;
const PER_PUSH = 50;
const ALL = PUSHES * PER_PUSH;

let gateway: GatewayProcess;
let env: { WEIR_URL: string };

const start = async (retentionDays: number) => {
  const args = ["--no-sampler", "--log-level", "error", "--retention-days", String(retentionDays)];
  gateway = await GatewayProcess.start({ data, args });
  env = { WEIR_URL: gateway.url };
};

beforeAll(async () => {
  await start(2);
  for (let push = 0; push < PUSHES; push++) {
    const events = Array.from({ length: PER_PUSH }, (_, index) => ({
      "@timestamp": OLD_MS + push * 1_000 + index,
      metric_name: "task.duration_ms",
      value: push * PER_PUSH + index,
    }));
    const broken = push === 0 ? [{ metric_name: "broken", value: "seven" }] : [];
    const body = JSON.stringify([...broken, ...events]);
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body });
  }
});
afterAll(async () => {
  await gateway.stop("SIGKILL");
});

test("lists what was rejected, the newest first, as a table and as JSON", async () => {
  const { code, out, err } = await weir(["rejected", "--limit", "2"], { env });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(
    /^id +received +protocol +cause +metric +reason *\n(\d+ +\S+Z +events +timestamp +task\.duration_ms +@timestamp .*is before retention.*\n){2}There are more; give --limit, or --to \S+Z\.\n$/,
  );
  const json = await weir(["rejected", "list", "--cause", "value", "--format", "json"], { env });
  expect(JSON.parse(json.out)).toMatchObject({
    rejected: [{ metric: "broken", payload: expect.any(String) }],
  });
  const none = await weir(["rejected", "--metric", "none"], { env });
  expect(none.out).toBe("No rejected sample is selected.\n");
});

test("rejects arguments that make no sense", async () => {
  const fails = async (args: string[], message: string) => {
    const { code, err } = await weir(["rejected", ...args], { env });
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  };
  await fails(["remove"], 'The action is "remove", expected list, replay or clear.');
  await fails(["clear"], "Give a selection, or --all to delete all rejected samples.");
  await fails(["replay", "--limit", "3"], "--limit is for the list");
});

test("replays that are killed store each sample once", async () => {
  expect((await weir(["rejected", "replay", "--dry-run"], { env })).out).toBe(
    `Would push ${ALL + 1} samples of ${ALL + 1} again.\n`,
  );
  await gateway.stop("SIGKILL");
  for (let round = 0; round < 2; round++) {
    await start(30);
    const replays = Array.from({ length: 20 }, () =>
      fetch(`${gateway.url}/api/v1/rejected/replay?metric=task.duration_ms&limit=5`, { method: "POST" })
        .then((response) => response.json())
        .catch(() => undefined),
    );
    // The kill comes after some of the replays, and during others.
    await replays[round];
    await gateway.stop("SIGKILL");
    await Promise.all(replays);
  }
  await start(30);
  const { code, out } = await weir(["rejected", "replay"], { env });
  expect(code).toBe(1);
  expect(out).toMatch(
    /^1 not stored: value is "seven".*\nStored \d+ samples? of \d+; 0 were stored before, 1 were rejected again, 0 cannot be pushed again\.\n$/,
  );
  const sql = "SELECT count(*)::INT, count(DISTINCT value)::INT, sum(value)::INT FROM task_duration_ms";
  const { out: counts } = await weir(["sql", "--format", "csv", sql], { env });
  expect(counts.trim().split(/\r?\n/)[1]).toBe(`${ALL},${ALL},${(ALL * (ALL - 1)) / 2}`);
  const left = await weir(["rejected", "--format", "json"], { env });
  expect((JSON.parse(left.out) as { rejected: unknown[] }).rejected).toHaveLength(1);
});

test("clear deletes the rest", async () => {
  expect(await weir(["rejected", "clear", "--all", "--dry-run"], { env })).toMatchObject({
    code: 0,
    out: "Would delete 1 sample.\n",
  });
  expect((await weir(["rejected", "clear", "--all"], { env })).out).toBe("Deleted 1 sample.\n");
  expect((await weir(["rejected"], { env })).out).toBe("No rejected sample is selected.\n");
});
