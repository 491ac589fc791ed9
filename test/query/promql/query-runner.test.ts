/** Queries that wait for their turn, and what ends the wait. */
import { expect, test } from "bun:test";
import { ConcurrencyLimit } from "../../../src/model/concurrency-limit.ts";
import { QueryCanceled } from "../../../src/query/promql/query-errors.ts";
import { QueryRunner } from "../../../src/query/promql/query-runner.ts";

/** Runs until its signal aborts. */
const endless = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("interrupted")));
  });

test("a query that waits is canceled when its client disconnects or the gateway stops, and never runs", async () => {
  const runner = new QueryRunner(new ConcurrencyLimit(1, { tasks: "queries" }));
  const running = runner.run(undefined, endless);
  const never = () => Promise.reject(new Error("it ran"));
  const client = new AbortController();
  const gone = runner.run(client.signal, never);
  client.abort();
  await expect(gone).rejects.toThrow(new QueryCanceled("the query was canceled"));
  const waiting = runner.run(undefined, never);
  await runner.close();
  await expect(running).rejects.toThrow("interrupted");
  await expect(waiting).rejects.toThrow(new QueryCanceled("the gateway is stopping"));
  await expect(runner.run(undefined, never)).rejects.toThrow(new QueryCanceled("the gateway is stopping"));
});
