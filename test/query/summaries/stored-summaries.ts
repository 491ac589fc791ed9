/** The summaries over stored samples, at a time that the test chooses. */
import { createCounters } from "../../../src/model/counters.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { Summaries, storeFacts } from "../../../src/query/summaries/summaries.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Sample, storedSamples } from "../stored.ts";

export async function openSummaries(samples: readonly Sample[], nowMs: number) {
  const stored = await storedSamples(samples);
  const engine = new SqlEngine({
    counters: createCounters(),
    store: stored.store,
    registry: stored.registry,
    timeoutMs: 20_000,
    rowsMax: 1_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
  const facts = () => storeFacts(stored.store, stored.folder);
  const summaries = new Summaries({ engine, facts, now: () => nowMs });
  return {
    /** The rows of a summary, by column. */
    async run(name: string, parameters: Record<string, string> = {}): Promise<Record<string, unknown>[]> {
      const { result } = await summaries.run(name, new Map(Object.entries(parameters)));
      const rows = (await result.next()) ?? [];
      await result.close();
      return rows.map((row) =>
        Object.fromEntries(result.columns.map((column, index) => [column.name, row[index]])),
      );
    },
    async close(): Promise<void> {
      await engine.close();
      await stored.close();
    },
  };
}
