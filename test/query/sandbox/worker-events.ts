/**
 * Events in the form that workers write, in a real store with an engine over it: two tasks on two days. One task failed.
 */
import { createCounters } from "../../../src/model/counters.ts";
import { type QueryOptions, SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import type { Cell } from "../../../src/store/store.ts";
import { DEFAULTS } from "../../defaults.ts";
import { storedSamples } from "../stored.ts";

const HTTP = "http.request.duration_ms";
const TASK = "task.processing_duration_ms";
const UPLOAD = "upload.size_bytes";

const request = (
  ts: string,
  value: number,
  task_id: string,
  operation: string,
  method: string,
  url: string,
) => ({
  metric: HTTP,
  ts,
  value,
  tags: { task_id, operation, method, url, domain: new URL(url).hostname },
});
const answered = (sample: ReturnType<typeof request>, status_code: string) => ({
  ...sample,
  tags: { ...sample.tags, status_code, success: String(Number(status_code) < 400) },
});

export interface Asked {
  readonly engine: SqlEngine;
  /** Runs a statement and returns all its rows. */
  rows(sql: string, options?: QueryOptions): Promise<Cell[][]>;
  close(): Promise<void>;
}

export async function workerEvents(): Promise<Asked> {
  const samples = await storedSamples([
    answered(request("2024-01-01T10:00:00Z", 100, "1_a", "get_task", "GET", "https://a.com/api/x"), "200"),
    answered(request("2024-01-01T11:00:00Z", 300, "2_b", "get_task", "GET", "https://a.com/api/y"), "500"),
    answered(request("2024-01-02T10:00:00Z", 50, "1_a", "upload_file", "PUT", "https://b.com/"), "unknown"),
    {
      metric: TASK,
      ts: "2024-01-01T10:00:05Z",
      value: 7234,
      tags: { task_id: "1_a", method: "GET", domain: "a.com", http_status: "200" },
    },
    {
      metric: TASK,
      ts: "2024-01-02T10:00:05Z",
      value: 900,
      tags: { task_id: "2_b", method: "GET", domain: "b.com", http_status: "unknown" },
    },
    {
      metric: UPLOAD,
      ts: "2024-01-01T10:00:07Z",
      value: 342,
      tags: { task_id: "1_a", upload_type: "inline" },
    },
    {
      metric: UPLOAD,
      ts: "2024-01-02T10:00:07Z",
      value: 1548672,
      tags: { task_id: "2_b", upload_type: "direct" },
    },
  ]);
  const engine = new SqlEngine({
    counters: createCounters(),
    timeoutMs: 60_000,
    rowsMax: 10_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
    store: samples.store,
    registry: samples.registry,
  });
  return {
    engine,
    async rows(sql, options) {
      const result = await engine.query(sql, options);
      const rows: Cell[][] = [];
      for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
        rows.push(...(chunk as Cell[][]));
      return rows;
    },
    async close() {
      await engine.close();
      await samples.close();
    },
  };
}
