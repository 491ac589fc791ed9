/**
 * A gateway and its hub are killed at random moments while events are pushed and sent on. In the end the hub has every event
 * once.
 */
import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { GatewayProcess } from "../gateway-process.ts";
import { runs } from "../runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

const PUSHES = 4;
const EVENTS = 50;

interface Round {
  readonly victim: "gateway" | "hub" | "both";
  /** Before which push, or after how many requests to the hub. */
  readonly push: number;
  readonly requests: number;
  /** How many answers of the hub are lost. */
  readonly lost: number;
}

const round: fc.Arbitrary<Round> = fc.record({
  victim: fc.constantFrom("gateway", "hub", "both"),
  push: fc.nat(PUSHES),
  requests: fc.nat(3),
  lost: fc.nat(2),
});

async function rowsOf(gateway: GatewayProcess): Promise<unknown> {
  const q = "SELECT count(*) AS n, count(DISTINCT value) AS distinct, sum(value) AS sum FROM work_items";
  const answer = await fetch(`${gateway.url}/api/v1/sql?${new URLSearchParams({ q, format: "ndjson" })}`);
  return answer.ok ? JSON.parse(await answer.text()) : undefined;
}

test("every event is at the hub once, whoever is killed, and whichever answers are lost", async () => {
  const { seed, numRuns } = runs(5);
  const rounds = fc.sample(round, { seed, numRuns });
  const folder = temporaryFolder();
  const start = (name: string, ...args: string[]) =>
    GatewayProcess.start({ data: join(folder, name), args: ["--no-sampler", ...args] });
  let hub = await start("hub");
  let lost = 0;
  let requests = 0;
  let onRequest = () => {};
  // The hub has another port after each start, and its answers can be lost.
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      requests++;
      onRequest();
      try {
        const answer = await fetch(`${hub.url}/api/v1/push`, {
          method: "POST",
          headers: request.headers,
          body: await request.arrayBuffer(),
        });
        return lost-- > 0 ? new Response("lost", { status: 502 }) : answer;
      } catch {
        return new Response("away", { status: 502 });
      }
    },
  });
  const config = join(folder, "weir.toml");
  writeFileSync(
    config,
    `[[forward]]\nname = "hub"\ntype = "weir"\nurl = "${relay.url.href}"\nsamples_per_request = 60\n`,
  );
  let gateway = await start("gateway", "--config", config);
  let value = 0;
  const kill = async (victim: Round["victim"]) => {
    if (victim !== "hub") {
      await gateway.stop("SIGKILL");
      gateway = await start("gateway", "--config", config);
    }
    if (victim !== "gateway") {
      await hub.stop("SIGKILL");
      hub = await start("hub");
    }
  };
  for (const [number, each] of rounds.entries()) {
    lost = each.lost;
    requests = 0;
    let killing: Promise<void> | undefined;
    onRequest = () => {
      if (requests === each.requests) killing ??= kill(each.victim);
    };
    for (let push = 0; push <= PUSHES; push++) {
      if (push === each.push) killing ??= kill(each.victim);
      const events = Array.from({ length: EVENTS }, () => {
        value++;
        return { "@timestamp": Date.now(), metric_name: "work.items", value, tags: { task_id: `t${value}` } };
      });
      const body = JSON.stringify(events);
      // A push without an answer is sent again, as a client does.
      await until("a push", async () => {
        const answer = await fetch(`${gateway.url}/api/v1/push`, {
          method: "POST",
          headers: { "idempotency-key": `${number}-${push}` },
          body,
        });
        return answer.ok;
      });
    }
    await killing;
  }
  const expected = { n: value, distinct: value, sum: (value * (value + 1)) / 2 };
  expect(await rowsOf(gateway)).toEqual(expected);
  await until("the hub to have all events", async () => {
    const rows = (await rowsOf(hub)) as { n: number } | undefined;
    return rows !== undefined && rows.n >= value;
  });
  // Another request could still repeat something.
  await until("nothing to be left", async () => {
    const answer = await fetch(`${gateway.url}/api/v1/forward`);
    const { destinations } = (await answer.json()) as { destinations: { lag_samples: number }[] };
    return destinations[0]!.lag_samples === 0;
  });
  expect(await rowsOf(hub)).toEqual(expected);
  await gateway.stop("SIGKILL");
  await hub.stop("SIGKILL");
  await relay.stop(true);
  rmSync(folder, { recursive: true });
}, 900_000);
