/**
 * Statements at the limits of the sandbox. Each is answered, the engine is free again afterwards, and the process has
 * not grown by more than one vector of rows may take. The duration depends on the machine and is not asserted.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { RequestError } from "../../../src/model/errors.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../stored.ts";

/** Twice the bytes that MADE_BYTES_MAX allows for a vector, since the process may not have freed earlier memory yet. */
const GROWTH_BYTES_MAX = 4 * 1_024 ** 3;

let samples: Samples;
let engine: SqlEngine;
beforeAll(async () => {
  samples = await storedSamples([
    { metric: "long", ts: "2024-01-01T10:00:00Z", value: 1, tags: { url: "x".repeat(4_000) } },
  ]);
  engine = new SqlEngine({
    counters: createCounters(),
    timeoutMs: 300,
    rowsMax: 1_000,
    textBytesMax: 16_384,
    concurrencyMax: 1,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
    store: samples.store,
    registry: samples.registry,
  });
});
afterAll(async () => {
  await engine.close();
  await samples.close();
});

/** Waits until no earlier statement runs, because only one may run at a time. */
async function isFree(): Promise<void> {
  for (;;) {
    const answered = await engine.query("SELECT 1").then(
      async (result) => {
        await result.close();
        return true;
      },
      () => false,
    );
    if (answered) return;
  }
}

function bounded(sql: string): void {
  test(sql, async () => {
    await isFree();
    const before = process.memoryUsage.rss();
    let largest = before;
    const watching = setInterval(() => {
      largest = Math.max(largest, process.memoryUsage.rss());
    }, 20);
    try {
      const result = await engine.query(sql);
      while ((await result.next()) !== undefined);
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      expect((error as RequestError).status).toBe(422);
    } finally {
      await isFree();
      clearInterval(watching);
    }
    expect(largest - before).toBeLessThan(GROWTH_BYTES_MAX);
  });
}

/** A list of the maximum length in each of many rows. No two lists are equal. */
const lists =
  "(SELECT list_append(l, range::BIGINT) AS l FROM (SELECT list(range) AS l FROM range(4000)), range(100000))";

describe("is answered, and the engine is free afterwards", () => {
  bounded("SELECT list(range) FROM range(100000000)");
  bounded("SELECT list(range) FROM range(100000000) GROUP BY range % 50000");
  bounded("SELECT string_agg(a.range, ',') FROM range(100000) a, range(100000) b");
  bounded("SELECT string_agg(rpad('', 1000, 'x'), '') FROM range(100000000)");
  bounded("SELECT array_agg(DISTINCT range ORDER BY range DESC) FROM range(50000000)");
  bounded("SELECT histogram(range) FROM range(50000000)");
  bounded("SELECT list(range) OVER (ROWS BETWEEN 999 PRECEDING AND CURRENT ROW) FROM range(10000000)");
  bounded(`SELECT sum(len(list_transform(l, x -> sqrt(x) + 1))) FROM ${lists}`);
  bounded(`SELECT sum(len(list_filter(l, x -> x % 3 = 0 AND x > 5))) FROM ${lists}`);
  bounded(`SELECT sum(len(list_sort(l))) + sum(len(list_distinct(l))) FROM ${lists}`);
  bounded(`SELECT sum(list_mode(l)) + sum(list_median(l)) FROM (FROM ${lists} LIMIT 300)`);
  bounded(`SELECT sum(len(list_intersect(l, list_reverse(l)))) FROM (FROM ${lists} LIMIT 300)`);
  bounded("SELECT sum(list_reduce(list_append(range(900), range), (a, x) -> a + x)) FROM range(100000)");
  bounded(
    "SELECT sum(len(list_reduce(l, (a, x) -> a + x))) FROM (SELECT list([range]) AS l FROM range(900)), range(300)",
  );
  bounded(
    "SELECT sum(len(list_transform(string_split(url || range::VARCHAR, ''), x -> upper(x)))) FROM long, range(100000)",
  );
  bounded("SELECT sum(len(regexp_extract_all(url || range::VARCHAR, 'x'))) FROM long, range(1000000)");
  bounded(
    "SELECT sum(len(regexp_replace(url || range::VARCHAR, '(x+x+)+y', 'z', 'g'))) FROM long, range(1000000)",
  );
  bounded(
    "SELECT sum(len(regexp_replace(url || range::VARCHAR, '', '0123456789', 'g'))) FROM long, range(1000000)",
  );
  bounded("SELECT sum(len(replace(url || range::VARCHAR, 'x', '0123456789'))) FROM long, range(1000000)");
  bounded("SELECT sum(len(repeat(url || range::VARCHAR, 30))) FROM long, range(1000000)");
  bounded(
    "SELECT sum(len(format('{:999}{:999}', range, range))) + sum(len(printf('%999d', range))) FROM range(10000000)",
  );
  bounded(
    "SELECT sum(len(json_object('a', url || range::VARCHAR, 'b', url)::VARCHAR)) FROM long, range(1000000)",
  );
  bounded(
    "SELECT max(json_extract(repeat('[', 1000) || range || repeat(']', 1000), '$[0][0]')::VARCHAR) FROM range(1000000)",
  );
  bounded("SELECT list_sort(range(4000)), range FROM range(1000000)");
  bounded(
    "SELECT count(*) FROM (SELECT unnest(l) FROM (SELECT list(range) AS l FROM range(4000)), range(100000000))",
  );
  bounded(
    "PIVOT (SELECT range % 150 AS k, range AS v, range // 150 AS g FROM range(100000000)) ON k USING sum(v) GROUP BY g",
  );
  bounded("WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a) SELECT count(*) FROM a");
  bounded(
    "WITH RECURSIVE a AS (SELECT range AS n FROM range(1000) UNION ALL SELECT n + range FROM a, range(1000)) SELECT count(*) FROM a",
  );
  bounded("WITH RECURSIVE a AS (SELECT url FROM long UNION ALL SELECT url FROM a) SELECT max(url) FROM a");
  bounded("EXPLAIN ANALYZE SELECT count(*) FROM range(100000000000)");
  bounded("SUMMARIZE SELECT range, range::VARCHAR FROM range(100000000)");
});
