/** `weir top`: the overview as text, once without a terminal, and refreshed in one until a key ends it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { gatewayAt } from "../../../src/commands/client.ts";
import { TopQuestions } from "../../../src/commands/top/top-answers.ts";
import { topLines } from "../../../src/commands/top/top-text.ts";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { weir } from "../weir.ts";

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: temporaryFolder(), args: ["--no-sampler"] });
  const tasks = Array.from({ length: 10 }, (_, at) => ({
    metric_name: "task.processing_duration_ms",
    value: 100 * (at + 1),
    tags: { job: "worker", instance: "w-7", task_id: `t-${at}`, http_status: at < 2 ? "500" : "200" },
  }));
  const card = { job: "node", instance: "host-1", gpu: "0", name: "Card X" };
  const gauges = [
    { metric_name: "gpu_utilization_ratio", type: "gauge", value: 0.42, tags: card },
    { metric_name: "gpu_temperature_celsius", type: "gauge", value: 61, tags: card },
  ];
  // The gateway counts from the first push on. Events of that push are stamped a little before it arrived.
  for (const events of [gauges, tasks])
    await fetch(`${gateway.url}/api/v1/push`, { method: "POST", body: JSON.stringify(events) });
});
afterAll(() => gateway.stop("SIGTERM"));

/** The cells of the line that begins with a text. */
const cellsOf = (text: string, start: string) =>
  text
    .split(/\r?\n/)
    .find((line) => line.startsWith(start))
    ?.trim()
    .split(/ {2,}/);

test("without a terminal the overview is printed once, without escape sequences", async () => {
  const { code, out, err } = await weir(["top", "--url", gateway.url]);
  expect([code, err]).toEqual([0, ""]);
  expect(out).not.toContain("\x1b");
  const [instance, job, , rate, metrics] = cellsOf(out, "w-7")!;
  expect([instance, job, metrics]).toEqual(["w-7", "worker", "1"]);
  expect(Number(rate)).toBeGreaterThan(0);
  // The worker sends this metric only.
  expect(cellsOf(out, "task.processing_duration_ms")).toEqual([
    ...["task.processing_duration_ms", rate!, "20 %", "550 ms", "955 ms", "991 ms"],
  ]);
  expect(cellsOf(out, "host-1 0 Card X")).toEqual(["host-1 0 Card X", "42 %", "-", "- W", "61 °C"]);
});

test("workers and rates are of what arrived, and no rows are read for them", async () => {
  const asked: string[] = [];
  const send = gatewayAt(gateway.url, { env: {} });
  const questions = new TopQuestions((path, ask) => {
    asked.push(path);
    return send(path, ask);
  });
  const { windowS, workers, traffic } = await questions.ask();
  expect(asked).toContain("/api/v1/arrivals");
  expect(asked).not.toContain("/api/v1/summaries/workers");
  const { perSecond } = workers.find(({ instance }) => instance === "w-7")!;
  expect(perSecond * windowS).toBeCloseTo(10, 3);
  expect(traffic.map(({ metric, samples }) => [metric, samples])).toEqual([
    ["task.processing_duration_ms", 10],
  ]);
});

test("a token with labels sees its own workers, by rows", async () => {
  const admin = "a-token-with-all-scopes-for-a-first-start";
  const other = await GatewayProcess.start({
    ...{ data: temporaryFolder(), args: ["--no-sampler"], env: { WEIR_ADMIN_TOKEN: admin } },
  });
  try {
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: `Bearer ${admin}` };
      const answer = await fetch(other.url + path, { method: "POST", headers, body: JSON.stringify(body) });
      expect(answer.ok).toBe(true);
      return (await answer.json()) as { token: string };
    };
    const event = (job: string, instance: string) => ({
      ...{ metric_name: "a.b", value: 1, tags: { job, instance } },
    });
    await post("/api/v1/push", [event("a", "w-1"), event("b", "w-2")]);
    const { token } = await post("/api/v1/tokens", { name: "a", scopes: ["read"], labels: { job: "a" } });
    const { code, out, err } = await weir(["top", "--url", other.url], { env: { WEIR_TOKEN: token } });
    expect([code, err]).toEqual([0, ""]);
    // One sample in an hour.
    expect(cellsOf(out, "w-1")?.toSpliced(2, 1)).toEqual(["w-1", "a", "0.000278", "1"]);
    expect(out).not.toContain("w-2");
  } finally {
    await other.stop("SIGTERM");
  }
});

test("a gateway that is not there is an error if the overview is printed once", async () => {
  const { code, err } = await weir(["top", "--url", "http://127.0.0.1:1"]);
  expect(code).toBe(1);
  expect(err).toContain("Cannot reach a gateway at http://127.0.0.1:1");
});

const script = Bun.which("script");
test.skipIf(script === null)("in a terminal, q ends it and the screen is restored", async () => {
  const program = join(import.meta.dir, "../../../src/main.ts");
  const command = `stty cols 60 rows 20; '${process.execPath}' '${program}' top --url ${gateway.url}`;
  const child = Bun.spawn([script!, "-qec", command, "/dev/null"], { stdin: "pipe", stdout: "pipe" });
  let seen = "";
  let isAsked = false;
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    seen += decoder.decode(bytes, { stream: true });
    if (!isAsked && seen.includes("w-7")) {
      isAsked = true;
      child.stdin.write("q");
      await child.stdin.flush();
    }
  }
  expect(await child.exited).toBe(0);
  expect(seen).toStartWith("\x1b[?1049h\x1b[?25l");
  expect(seen.trimEnd()).toEndWith("\x1b[?25h\x1b[?1049l");
  // As wide as the terminal, and one line shorter.
  const lines = seen
    .slice(seen.indexOf("\x1b[H") + 3, seen.indexOf("\x1b[J"))
    .replaceAll("\r", "")
    .split("\x1b[K\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
  expect(lines.length).toBeLessThanOrEqual(20);
});

test("a narrow terminal cuts names, and labels cannot move the cursor", () => {
  const lines = topLines(
    {
      windowS: 60,
      workers: [
        {
          job: "j",
          instance: `evil\x1b[2J${"x".repeat(50)}`,
          lastMs: Date.parse("2026-11-26T12:00:00Z"),
          perSecond: 2,
          metrics: 2,
        },
      ],
      ...{ traffic: [], gauges: [], alerts: [], days: [] },
    },
    Date.parse("2026-11-26T12:00:12Z"),
    50,
  );
  expect(lines).toEqual([
    "weir top  2026-11-26 12:00:12 UTC  rates of 1 min",
    "",
    "WORKERS         JOB  LAST PUSH  SAMPLES/S  METRICS",
    "evil?[2Jxxxxx…    j   12 s ago          2        2",
  ]);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
});
