/** The gateway as scripts/serve starts it, busy with slow queries: pushes are still stored. */
import { expect, test } from "bun:test";
import { dirname, join } from "node:path";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const ROOT = join(import.meta.dir, "../..");

/** About 10^10 pairs to examine, which takes longer than the query's timeout. */
const SLOW = "SELECT count(*) FROM samples a, samples b, samples c WHERE a.value * b.value + c.value < -1";
/** Much longer than the pushes take, also on a busy machine. */
const QUERY_TIMEOUT_MS = 15_000;

test("commits succeed while the maximum number of slow queries runs", async () => {
  const data = temporaryFolder();
  const child = Bun.spawn(["scripts/serve", "--no-sampler", "--listen", "127.0.0.1:0", "--data", data], {
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
    const post = (path: string, body: unknown) =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const events = Array.from({ length: 3_000 }, (_, value) => ({ metric_name: "busy", value }));
    expect((await post("/api/v1/push", events)).status).toBe(200);

    let running = 4;
    const queries = Array.from({ length: running }, async () => {
      const response = await post("/api/v1/sql", { sql: SLOW, timeoutMs: QUERY_TIMEOUT_MS });
      running--;
      return response.status;
    });
    // All of them are running when the queue of queries is full.
    const underWay = async () =>
      (await (await fetch(`${url}/metrics`)).text()).includes("weir_queries_running 4");
    await until("four running queries", underWay);
    // Some of them may still be in preparation then. All run during most of the pushes.
    for (let value = 0; value < 100; value++)
      expect((await post("/api/v1/push", { metric_name: "busy", value })).status).toBe(200);
    expect(running).toBe(4);
    expect(await Promise.all(queries)).toEqual([422, 422, 422, 422]);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
