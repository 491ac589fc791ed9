/** Which queries are stopped when the memory of the process grows too far. */
import { expect, jest, test } from "bun:test";
import { MemoryGuard } from "../../src/query/memory-guard.ts";

test("a large query that is stopped does not take the evaluation of a rule with it", () => {
  jest.useFakeTimers();
  try {
    let bytes = 1_000;
    const guard = new MemoryGuard(100, () => bytes);
    const stopped: string[] = [];
    const query = (name: string, isSpared = false) => {
      const own = {
        isSpared,
        stop: () => {
          stopped.push(name);
          guard.forget(own);
        },
      };
      guard.watch(own);
    };
    query("rule", true);
    query("sum");
    query("topk");
    bytes = 1_100;
    jest.advanceTimersByTime(100);
    expect(stopped).toEqual([]);
    bytes = 1_101;
    jest.advanceTimersByTime(100);
    expect(stopped).toEqual(["sum", "topk"]);
    // Their memory is not free at once.
    jest.advanceTimersByTime(1_000);
    expect(stopped).toEqual(["sum", "topk"]);
    bytes = 1_202;
    jest.advanceTimersByTime(100);
    expect(stopped).toEqual(["sum", "topk", "rule"]);
    // The next query begins anew.
    query("count");
    jest.advanceTimersByTime(1_000);
    expect(stopped).toHaveLength(3);
  } finally {
    jest.useRealTimers();
  }
});
