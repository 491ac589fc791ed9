/** `weir tail` as a program: its arguments, its token, its log, its own metrics, and its end. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayProcess } from "../../gateway-process.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { until } from "../../until.ts";
import { start, weir } from "../weir.ts";

const TOKEN = "a-token-of-at-least-20-characters";
const line = (value: number): string => `{"metric_name":"m","value":${value}}\n`;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await GatewayProcess.start({ data: temporaryFolder(), env: { WEIR_ADMIN_TOKEN: TOKEN } });
});
afterAll(async () => {
  await gateway.stop("SIGTERM");
});

const metrics = async (url = gateway.url, token = TOKEN): Promise<string> => {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  return await answer.text();
};

test("rejects arguments that are wrong, and says what was expected", async () => {
  const folder = temporaryFolder();
  for (const [args, message] of [
    [[], "Give at least one FILE, FOLDER or GLOB to follow."],
    [["-"], '"-" cannot be followed, expected a file; "weir import -" reads standard input.'],
    [["a", "--label", "x"], '--label is "x", expected NAME=VALUE.'],
    [["a", "--log-level", "loud"], '--log-level is "loud", expected one of error, warn, info, debug.'],
    [
      ["a", "--token-file", join(folder, "none")],
      `--token-file is "${join(folder, "none")}", which does not exist.`,
    ],
  ] as const) {
    const { code, err } = await weir(["tail", ...args, "--state", join(folder, "state")]);
    expect([code, err.split("\n")[0]]).toEqual([2, `weir tail: ${message}`]);
  }
  const { code, err } = await weir(["tail", "a", "--state", join(folder, "none", "state")]);
  expect([code, err]).toEqual([
    1,
    `weir tail: The state file cannot be written in the folder ${join(folder, "none")} (ENOENT).\n`,
  ]);
});

test("ends with 1 if the gateway does not allow the first request", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "metrics.json"), line(1));
  const { code, err } = await weir([
    "tail",
    folder,
    "--url",
    gateway.url,
    "--from-start",
    "--state",
    join(folder, "s"),
  ]);
  expect(code).toBe(1);
  expect(err).toContain("weir tail: ");
  expect(err).toContain("token");
});

test("stores lines with the token of a file, pushes its own metrics, and ends on SIGTERM after the last line", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "metrics_7.json");
  writeFileSync(file, line(1));
  writeFileSync(join(folder, "token"), `${TOKEN}\n`);
  const options = ["--token-file", join(folder, "token"), "--label", "site=a", "--log-format", "json"];
  const state = join(folder, "state");
  const child = start(["tail", file, "--url", gateway.url, "--from-start", "--state", state, ...options]);
  await until("the first line", async () => (await metrics()).includes('m_count{instance="7",site="a"} 1'));
  appendFileSync(file, `${line(2)}none\n`);
  child.kill("SIGTERM");
  const [err] = await Promise.all([child.stderr.text(), child.exited]);
  expect(child.exitCode).toBe(0);
  const text = await metrics();
  expect(text).toContain('m_count{instance="7",site="a"} 2');
  expect(text).toMatch(/^weir_tail_lines_total\{.*site="a"\} 2$/m);
  expect(text).toMatch(/^weir_tail_lines_rejected_total\{.*site="a"\} 1$/m);
  expect(text).toMatch(/^weir_tail_lag_bytes\{.*site="a"\} 0$/m);
  const events = err
    .trim()
    .split("\n")
    .map((each) => JSON.parse(each) as { event: string; line?: number });
  expect(events.map(({ event }) => event)).toEqual([
    "tail_started",
    "tail_file",
    "tail_stopping",
    "tail_line_rejected",
    "tail_stopped",
  ]);
  expect(events[3]).toMatchObject({ file, line: 3, cause: "syntax" });
  expect(err).not.toContain(TOKEN);
  expect(existsSync(state)).toBe(true);
});

test("waits for a gateway that starts later", async () => {
  const folder = temporaryFolder();
  const socket = `unix:${join(folder, "weir.sock")}`;
  writeFileSync(join(folder, "metrics.json"), line(1));
  const child = start([
    "tail",
    join(folder, "metrics.json"),
    "--url",
    socket,
    "--from-start",
    "--state",
    join(folder, "s"),
  ]);
  let log = "";
  const reading = (async () => {
    for await (const bytes of child.stderr) log += new TextDecoder().decode(bytes);
  })();
  await until("its warning", () => log.includes("event=tail_gateway_away"));
  const later = await GatewayProcess.start({ data: join(folder, "data"), args: ["--listen", socket] });
  try {
    await until("the line", async () => (await metrics(later.url)).includes('m_count{instance=""} 1'));
  } finally {
    child.kill("SIGTERM");
    await Promise.all([child.exited, reading]);
    await later.stop("SIGTERM");
  }
  expect(log).toContain("event=tail_gateway_back");
});

test("in the gateway follows the files of the setting, and exposes its metrics", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "metrics_1.json.2024-01-15"), line(1));
  writeFileSync(join(folder, "metrics_1.json"), `none\n${line(2)}`);
  const data = join(folder, "data");
  const args = ["--no-sampler", "--tail", join(folder, "{metrics,other}*.json"), "--tail-from-start"];
  const first = await GatewayProcess.start({ data, args });
  await until("the lines", async () => (await metrics(first.url)).includes('m_count{instance="1"} 2'));
  const text = await metrics(first.url);
  expect(text).toContain("weir_tail_lines_total 2\n");
  expect(text).toContain("weir_tail_lines_rejected_total 1\n");
  await first.stop("SIGKILL");
  appendFileSync(join(folder, "metrics_1.json"), line(3));
  const second = await GatewayProcess.start({ data, args });
  await until("the next line", async () => (await metrics(second.url)).includes('m_count{instance="1"} 3'));
  expect(await metrics(second.url)).toContain('m_sum{instance="1"} 6\n');
  expect(await second.stop("SIGTERM")).toBe(0);
  expect(existsSync(join(data, "tail.json"))).toBe(true);
});
