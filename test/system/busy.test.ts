/** The gateway as scripts/serve starts it, busy with slow queries: pushes are still stored. */
import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const ROOT = join(import.meta.dir, "../..");

/** About 10^14 rows to examine, which takes longer than the time of a query. */
const SLOW =
  "SELECT count(*) FROM samples a, samples b, samples c, samples d WHERE a.value * b.value + c.value * d.value < -1";
/** Longer than the pushes take on any machine. The queries are ended before. */
const QUERY_TIME = "10m";

test("commits succeed while the maximum number of slow queries runs", async () => {
  const data = temporaryFolder();
  const options = ["--no-sampler", "--listen", "127.0.0.1:0", "--data", data, "--sql-timeout-ms", QUERY_TIME];
  const child = Bun.spawn(["scripts/serve", ...options], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  try {
    let url: string | undefined;
    let output = "";
    for await (const bytes of child.stdout) {
      output += Buffer.from(bytes).toString();
      url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
      if (url !== undefined) break;
    }
    const post = (path: string, body: unknown, signal?: AbortSignal) =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal,
      });
    const events = Array.from({ length: 3_000 }, (_, value) => ({ metric_name: "busy", value }));
    expect((await post("/api/v1/push", events)).status).toBe(200);

    let running = 4;
    const leaving = new AbortController();
    const queries = Array.from({ length: running }, async () => {
      await post("/api/v1/sql", { sql: SLOW }, leaving.signal).catch(() => undefined);
      running--;
    });
    const areRunning = (count: number) => async () =>
      (await (await fetch(`${url}/metrics`)).text()).includes(`\nweir_queries_running ${count}\n`);
    await until("four running queries", areRunning(4));
    // Some of them may still be in preparation then. All run during most of the pushes.
    for (let value = 0; value < 100; value++)
      expect((await post("/api/v1/push", { metric_name: "busy", value })).status).toBe(200);
    expect(running).toBe(4);
    leaving.abort();
    await Promise.all(queries);
    await until("the end of the queries", areRunning(0));
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
