/** A day that was dropped is dropped from memory too, also if what follows the drop fails. */
import { expect, spyOn, test } from "bun:test";
import { openTestGatewayAt } from "../../../gateway.ts";
import { BEGIN_MS, MINUTE_MS, push } from "./sample-programs.ts";

test("samples of a dropped day are gone from memory although the rest of the prune failed", async () => {
  const gateway = await openTestGatewayAt(BEGIN_MS, "--retention-days=2", "--retention-bytes=1000000000");
  const ask = async (text: string) => {
    const [, body] = await gateway.send(
      `GET /api/v1/query?time=${gateway.nowMs / 1_000}&query=${encodeURIComponent(text)}`,
    );
    return JSON.parse(body).data.result.map((each: { value: [number, string] }) => each.value[1]);
  };
  const depth = (value: number) => push(gateway, [{ isCumulative: false, agoMs: 0, value, op: "a" }]);
  try {
    await depth(1);
    gateway.nowMs += 12 * 60 * MINUTE_MS;
    await depth(2);
    gateway.nowMs += 12 * 60 * MINUTE_MS + 40 * MINUTE_MS;
    await depth(3);
    expect(await ask("count_over_time(depth[25h])")).toEqual(["3"]);
    const { store, ingest } = gateway.gateway;
    // The day of the first sample is dropped, and then the file is looked at.
    const size = spyOn(store, "size").mockRejectedValueOnce(new Error("the engine gave up"));
    expect(await ingest.prune().then(() => "pruned", String)).toBe("Error: the engine gave up");
    size.mockRestore();
    expect(store.days().map(({ rows }) => rows)).toEqual([1, 1]);
    expect(await ask("count_over_time(depth[25h])")).toEqual(["2"]);
  } finally {
    gateway.takeLog();
    await gateway.close();
  }
});
