/**
 * Everything that the gateway prints in its life is a line of the log that a program can read, and no line has a secret.
 */
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { parseLogfmt } from "../log/logfmt.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const SECRETS = ["sEcRet-of-the-environment", "pA55word", "k3y-of-an-agent", "bEarer-of-a-stranger"];

/** Requests of every kind that the log says something about. */
async function ask(url: string): Promise<void> {
  const authorization = `Bearer ${SECRETS[0]}`;
  const statuses: number[] = [];
  const send = async (path: string, body?: string, headers: Record<string, string> = { authorization }) => {
    const init = body === undefined ? { headers } : { method: "POST", body, headers };
    statuses.push((await fetch(`${url}${path}`, init)).status);
  };
  await send("/api/v1/push", JSON.stringify([{ metric_name: "m", value: 1 }, { metric_name: "m" }]));
  await send("/api/v1/push", "{");
  await send(`/write?u=grafana&p=${SECRETS[0]}`, "not a line", {});
  await send(`/datadog/api/v1/series?api_key=${SECRETS[2]}`, "{}", {});
  await send("/api/v1/query?query=sum(m)", undefined, { authorization: `Bearer ${SECRETS[3]}` });
  await send(`/api/v1/query?query=sum%28m%29&token=${SECRETS[1]}`);
  await send("/api/v1/sql", "SELECT sum(value)\nFROM m");
  await send("/api/v1/sql", "SELECT nothing FROM m");
  await send("/metrics/job/a%22b%0Ac", "x 1\n");
  await send("/nowhere");
  expect(statuses).toEqual([200, 400, 400, 401, 401, 200, 200, 400, 200, 404]);
}

const READERS = { logfmt: parseLogfmt, json: (line: string) => JSON.parse(line) as Record<string, unknown> };

test.each(["logfmt", "json"] as const)("in %s", async (format) => {
  const data = temporaryFolder();
  folders.push(data);
  const args = ["--no-sampler", "--log-format", format, "--log-level", "debug", "--slow-query-ms", "1"];
  const env = { WEIR_ADMIN_TOKEN: SECRETS[0]! };
  const gateway = await GatewayProcess.start({ data, args, env });
  await ask(gateway.url);
  const refused = await GatewayProcess.startToEnd({ data, args, env });
  expect(refused.exitCode).toBe(1);
  expect(await gateway.stop("SIGTERM")).toBe(0);

  // Other settings may come from the environment, and the format too.
  const invalids: { args: string[]; env: Record<string, string> }[] = [
    { args: ["--retention-days", "0", "--log-format", format], env: {} },
    { args: [], env: { WEIR_LOG_FORMAT: format, WEIR_RETENTION_DAYS: "0" } },
    // They are no setting's type, but read at the start as well.
    { args: ["--log-format", format], env: { WEIR_ADMIN_TOKEN: "short" } },
    { args: ["--graphite-templates", "host.region", "--log-format", format], env: {} },
  ];
  for (const invalid of invalids) {
    const { exitCode, log } = await GatewayProcess.startToEnd({ data, ...invalid });
    expect(exitCode).toBe(2);
    expect(READERS[format](log.trimEnd())).toMatchObject({
      level: "error",
      event: "start_failed",
      error: expect.stringMatching(
        /^(--retention-days is "0"|WEIR_RETENTION_DAYS is "0"|WEIR_ADMIN_TOKEN is not a token|graphiteTemplates has "host\.region").*\.$/,
      ),
    });
  }

  const read = (text: string) => text.trimEnd().split("\n").map(READERS[format]);
  const [failed, ...others] = read(refused.log);
  expect(failed).toMatchObject({
    level: "error",
    event: "start_failed",
    error: expect.stringContaining("is open in another process"),
  });
  expect(others).toEqual([]);
  const lines = read(gateway.log.text);
  const events = lines.map(({ event }) => event as string);
  expect(events[0]).toBe("listening");
  expect(events.filter((event) => event === "request")).toHaveLength(10);
  expect(events.slice(-1)).toEqual(["stopped"]);
  for (const event of ["stopping", "slow_queries", "requests_rejected", "samples_rejected"])
    expect(events).toContain(event);
  for (const line of lines) {
    expect(Object.keys(line).slice(0, 4)).toEqual(["time", "level", "event", "message"]);
  }
  expect(lines).toContainEqual(
    expect.objectContaining({ event: "request", path: "/write", route: "/write", remote: "127.0.0.1" }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({
      event: "slow_queries",
      route: "/api/v1/sql",
      sample: "SELECT sum(value)\nFROM m",
    }),
  );
  expect(lines).toContainEqual(
    expect.objectContaining({ event: "slow_queries", route: "/api/v1/query", sample: "sum(m)" }),
  );
  for (const secret of SECRETS) expect(gateway.log.text).not.toContain(secret);
});
