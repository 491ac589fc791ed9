/**
 * Exports that take turns: fewer compute at once than there are processors, and one that waits for its client lets the
 * next one compute.
 */
import { expect, test } from "bun:test";
import { ConcurrencyLimit } from "../../../../src/model/concurrency-limit.ts";
import { MemoryGuard } from "../../../../src/query/memory-guard.ts";
import type { FromWorker, TaskSettings, ToWorker } from "../../../../src/query/promql/worker/messages.ts";
import { KnownResults } from "../../../../src/query/promql/worker/sources-text.ts";
import type { PoolWorker, WorkerPool } from "../../../../src/query/promql/worker/worker-pool.ts";
import { WorkerTask } from "../../../../src/query/promql/worker/worker-task.ts";
import { openTestGatewayAt } from "../../../gateway.ts";

const NOW_MS = Date.UTC(2024, 0, 1, 1);

/** A thread that the test plays. */
class Played implements PoolWorker {
  readonly known = new KnownResults<true>();
  readonly received: string[] = [];
  say: (message: FromWorker) => void = () => {};

  listen(take: (message: FromWorker) => void): void {
    this.say = take;
  }

  post(message: ToWorker): void {
    this.received.push(message.type);
  }

  askForTurn(): void {
    this.say({ type: "ask", ask: 1, request: { what: "turn" } });
  }

  get hasTurn(): boolean {
    return this.received.includes("answered");
  }
}

function exportsWith(turns: ConcurrencyLimit): { begin: (signal?: AbortSignal) => [Played, WorkerTask] } {
  const memory = { guard: new MemoryGuard(1e12), promqlMemoryGrowthBytesMax: 1e12 };
  return {
    begin(signal = new AbortController().signal) {
      const played = new Played();
      const pool = { take: () => played, giveBack() {}, end() {} } as unknown as WorkerPool;
      const task = {
        kind: "export",
        texts: ["a"],
        range: { startMs: 0, endMs: 1 },
        format: { as: "text" },
      } as const;
      const options = { pool, rows: {} as never, settings: {} as TaskSettings, signal, memory, turns };
      return [played, new WorkerTask(task, options)];
    },
  };
}

/** After all messages that were sent were answered. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("the next export computes when one waits for its client, ends, or is canceled", async () => {
  const { begin } = exportsWith(new ConcurrencyLimit(1, { tasks: "exports", waitingPerRunning: 9 }));
  const [[first], [second, secondTask], [third], client] = [begin(), begin(), begin(), new AbortController()];
  const [fourth] = begin(client.signal);
  const all = [first, second, third, fourth];
  for (const each of all) each.askForTurn();
  const haveTurns = async () => {
    await settled();
    return all.map(({ hasTurn }) => hasTurn);
  };
  expect(await haveTurns()).toEqual([true, false, false, false]);
  first.say({ type: "turnDone" });
  expect(await haveTurns()).toEqual([true, true, false, false]);
  // The one that waits no longer does not keep the turn.
  client.abort();
  secondTask.finish();
  expect(await haveTurns()).toEqual([true, true, true, false]);
  expect(fourth.received).toContain("abort");
  third.say({ type: "turnDone" });
  const [fifth] = begin();
  fifth.askForTurn();
  await settled();
  expect(fifth.hasTurn).toBe(true);
});

test("exports whose clients do not read delay no other export", async () => {
  const gateway = await openTestGatewayAt(NOW_MS);
  try {
    const timestamps = Array.from({ length: 10_000 }, (_, at) => NOW_MS - 1_000_000 + at);
    for (let series = 0; series < 24; series++) {
      const values = timestamps.map((_, at) => 0.123_456_789_012_345 + at);
      const line = { metric: { __name__: "long", id: `s${series}` }, values, timestamps };
      const body = `${JSON.stringify(line)}\n`;
      expect((await gateway.fetch("/api/v1/import", { method: "POST", body })).status).toBe(204);
    }
    const exported = () => gateway.fetch("/api/v1/export?match[]=long&start=0&format=prometheus");
    // Three of four: with the fourth, all threads of exports are in use.
    const unread = [await exported(), await exported(), await exported()];
    const lines = (await (await exported()).text()).trimEnd().split("\n");
    expect(lines.length).toBe(240_000);
    for (const answer of unread) await answer.body!.cancel();
  } finally {
    await gateway.close();
  }
});
