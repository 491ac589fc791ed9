/**
 * The way of a push, put together from the real parts: routes, decoder, ingest, and a DuckDB file in a folder
 * of its own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventDecoder } from "../../src/decode/events.ts";
import { bucketsFor } from "../../src/exposition/buckets.ts";
import { Totals } from "../../src/exposition/totals.ts";
import { type App, createApp } from "../../src/http/app.ts";
import { createLog } from "../../src/http/log.ts";
import { pushRoutes } from "../../src/http/push.ts";
import { IdempotencyKeys } from "../../src/ingest/idempotency.ts";
import { Imports } from "../../src/ingest/imports.ts";
import { Ingest } from "../../src/ingest/ingest.ts";
import { Registry } from "../../src/ingest/registry.ts";
import { openStore } from "../../src/store/duckdb-store.ts";

/** 2024-01-01 00:10 UTC: ten minutes after the times that the tests push. */
export const NOW_MS = 1_704_067_800_000;

export const LIMITS = {
  bodyBytesMax: 2 ** 20,
  inflatedBytesMax: 2 ** 22,
  timeoutMs: 60_000,
  tagsMax: 64,
  nameBytesMax: 255,
  tagValueBytesMax: 4_096,
};

export interface TestGateway {
  readonly app: App;
  /** The rows of a query on the file. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export async function openTestGateway(options: { queueSamplesMax?: number } = {}): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), "weir-http-"));
  const { store, stored } = await openStore({
    path: join(folder, "samples.duckdb"),
    memoryLimitBytes: 64 * 2 ** 20,
    threads: 1,
    temporaryDirectory: join(folder, "tmp"),
  });
  const attributes = ["task_id"];
  const registry = new Registry(
    { ...LIMITS, attributes, bucketsFor, labelValuesMax: 100, seriesPerMetricMax: 100 },
    stored,
  );
  const faults: unknown[] = [];
  const ingest = new Ingest(
    {
      store,
      registry,
      totals: Object.assign(new Totals(), { noteLastPush: () => {} }),
      keys: new IdempotencyKeys(stored.pushes),
      imports: new Imports(stored.imports),
    },
    {
      retentionDays: 7,
      retentionBytes: 0,
      futureMs: 600_000,
      totalsLateMs: 3_600_000,
      queueSamplesMax: options.queueSamplesMax ?? 1_000_000,
      queueBytesMax: 2 ** 26,
      seriesMax: 1_000,
      snapshotIntervalMs: 60_000,
      snapshotRows: 1_000_000,
      idempotencyTtlMs: 86_400_000,
      rejectedMax: 1_000,
      checkpointLogBytes: 2 ** 26,
      now: () => NOW_MS,
      onFault: (_, error) => faults.push(error),
    },
  );
  const decoder = new EventDecoder({
    ...LIMITS,
    isAttribute: (metric, tag) => registry.isAttribute(metric, tag),
    attributesOf: () => attributes,
    epoch: () => registry.epoch,
  });
  const app = createApp([pushRoutes({ decoder, ingest, limits: LIMITS })], { log: createLog("error") });
  return {
    app,
    async query(sql) {
      const reader = await store.reader();
      try {
        return await reader.all(sql);
      } finally {
        reader.close();
      }
    },
    async close() {
      await ingest.stop();
      await store.close();
      rmSync(folder, { recursive: true });
      if (faults.length > 0) throw faults[0];
    },
  };
}
