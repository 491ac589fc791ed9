/** The real gateway without sockets: its application, and a DuckDB file in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { openGateway } from "../../src/gateway.ts";
import type { App } from "../../src/http/app.ts";
import { createLog } from "../../src/http/log.ts";
import type { Counters } from "../../src/model/counters.ts";

/** 2024-01-01 00:10 UTC: ten minutes after the times that the tests push. */
export const NOW_MS = 1_704_067_800_000;

/** Smaller than the defaults, so that tests need less data. */
export const LIMITS = { bodyBytesMax: 2 ** 20, inflatedBytesMax: 2 ** 22 };

export interface TestGateway {
  readonly app: App;
  readonly counters: Counters;
  /** The rows of a query on the file. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  /**
   * The warnings and errors that the gateway logged, one JSON object per line. Lines that a test removes are not
   * reported as faults at the end.
   */
  takeLog(): string[];
  /** Throws if the gateway logged a fault. */
  close(): Promise<void>;
}

export async function openTestGateway(...flags: string[]): Promise<TestGateway> {
  const folder = mkdtempSync(join(tmpdir(), "weir-http-"));
  const limits = [
    `--body-bytes-max=${LIMITS.bodyBytesMax}`,
    `--inflated-bytes-max=${LIMITS.inflatedBytesMax}`,
  ];
  const config = loadConfig(
    [`--data=${folder}`, "--retention-days=7", ...limits, ...flags],
    {},
    () => undefined,
  );
  const faults: string[] = [];
  const log = createLog("warn", (line) => faults.push(line));
  const gateway = await openGateway(config, { now: () => NOW_MS, log });
  return {
    app: gateway.app,
    counters: gateway.counters,
    async query(sql) {
      const reader = await gateway.store.reader();
      try {
        return await reader.all(sql);
      } finally {
        reader.close();
      }
    },
    takeLog: () => faults.splice(0),
    async close() {
      await gateway.close();
      rmSync(folder, { recursive: true });
      if (faults.length > 0) throw new Error(`the gateway logged: ${faults.join("")}`);
    },
  };
}
