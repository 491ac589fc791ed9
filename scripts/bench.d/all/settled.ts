/**
 * Waits until the samples of a server are in the files in which they stay, so that bytes on disk are compared fairly: a log
 * that is written out later is larger than what becomes of it.
 */
import { join } from "node:path";
import type { Server } from "../servers.ts";
import { folderBytes } from "../usage.ts";

const WAIT_MS = 60_000;

/** InfluxDB writes its log to its files of data when nothing was written for a while. */
export async function influxSettled(_: Server, folder: string): Promise<string[]> {
  const log = join(folder, "wal");
  const untilMs = performance.now() + WAIT_MS;
  while (folderBytes(log) > 0) {
    if (performance.now() > untilMs) throw new Error("influxd did not write its log to its files of data");
    await Bun.sleep(100);
  }
  return [join(folder, "data"), log];
}

/** Prometheus makes a block of the samples of the last hours only when two hours are over, or for a snapshot. */
export async function prometheusSettled({ url }: Server, folder: string): Promise<string[]> {
  const response = await fetch(new URL("/api/v1/admin/tsdb/snapshot", url), { method: "POST" });
  if (!response.ok) throw new Error(`a snapshot was answered ${response.status}: ${await response.text()}`);
  return [join(folder, "data", "snapshots")];
}

/** VictoriaMetrics writes what it has in memory when it stops, and the content of its caches beside it. */
export function victoriaMetricsSettled(_: Server, folder: string): Promise<string[]> {
  return Promise.resolve([join(folder, "data", "data"), join(folder, "data", "indexdb")]);
}
