/**
 * Kills the gateway while bodies of more than 100,000 events are stored beside small pushes. What was acknowledged is
 * there once, a large body whole or not at all, and the totals equal the rows.
 */
import { expect, test } from "bun:test";
import { GatewayProcess } from "../gateway-process.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const LARGE = 110_000;
const event = (metric: string) => `{"metric_name":"${metric}","type":"counter","value":1}\n`;
const LARGE_BODY = event("large").repeat(LARGE);
const KILLS = 3;
const data = temporaryFolder();

// Snapshots of the totals and checkpoints are so frequent that kills interrupt them too.
const start = () =>
  GatewayProcess.start({
    data,
    args: ["--no-sampler", "--snapshot-rows=1000", "--checkpoint-log-bytes=1MiB"],
  });

/** Numbers of pushes by metric. */
interface Pushes {
  small: number;
  large: number;
}

async function rowsOf({ url }: GatewayProcess, metric: string): Promise<number> {
  const query = new URLSearchParams({
    q: `SELECT count(*)::INTEGER AS rows FROM samples WHERE metric = '${metric}'`,
  });
  const answer = await fetch(`${url}/api/v1/sql?${query}&format=json`);
  const text = await answer.text();
  expect([answer.status, text]).toEqual([200, expect.any(String)]);
  return (JSON.parse(text) as { rows: [{ rows: number }] }).rows[0].rows;
}

async function totalOf({ url }: GatewayProcess, metric: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${metric}_total\\{[^}]*\\} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
}

test("a kill while a large body is stored loses and doubles nothing", async () => {
  const acknowledged: Pushes = { small: 0, large: 0 };
  const sent: Pushes = { small: 0, large: 0 };
  let gateway = await start();
  let state = 20_241_127;
  for (let kill = 0; kill < KILLS; kill++) {
    let isOver = false;
    const { url } = gateway;
    const send = async (metric: keyof Pushes, body: string) => {
      while (!isOver) {
        // The same key as long as there is no answer, also after the kill.
        const key = `${metric} ${acknowledged[metric]}`;
        sent[metric] = acknowledged[metric] + 1;
        const answer = await fetch(`${url}/api/v1/push`, {
          method: "POST",
          headers: { "idempotency-key": key },
          body,
        }).catch(() => undefined);
        if (answer === undefined) return;
        expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
        acknowledged[metric]++;
        if (metric === "small") await Bun.sleep(5);
      }
    };
    const before = acknowledged.large;
    const senders = [send("small", event("small")), send("large", LARGE_BODY)];
    // At a drawn number of small pushes behind the first large one.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    while (acknowledged.large === before) await Bun.sleep(1);
    const until = acknowledged.small + (state % 20);
    while (acknowledged.small < until) await Bun.sleep(1);
    await gateway.stop("SIGKILL");
    isOver = true;
    await Promise.all(senders);
    gateway = await start();
    for (const [metric, size] of [
      ["small", 1],
      ["large", LARGE],
    ] as const) {
      const pushes = (await rowsOf(gateway, metric)) / size;
      expect([acknowledged[metric], sent[metric]]).toContain(pushes);
      expect(await totalOf(gateway, metric)).toBe(pushes * size);
    }
  }
  expect(await gateway.stop("SIGTERM")).toBe(0);
});
