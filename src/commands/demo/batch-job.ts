/**
 * A simulated batch job: a backup that runs again and again, and pushes its metrics as batch jobs do: in Prometheus's text
 * format, with the API of Pushgateway.
 */
import { Gauge, Registry } from "prom-client";
import { repeat, type Service } from "../../model/service.ts";
import { accepted, type Send } from "../client.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** A real backup runs once a day. */
const INTERVAL_MS = 5_000;

/** The job as a loop. Its first run is at once. */
export function batchJob(send: Send, random: SeededRandom): Service {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const duration = gauge("backup_duration_seconds", "Duration of the last backup.");
  const size = gauge("backup_size_bytes", "Size of the last backup.");
  const success = gauge("backup_last_success_timestamp_seconds", "When the last backup succeeded.");
  return repeat(INTERVAL_MS, async () => {
    duration.set(Math.round(random.logNormal(70, 0.2)));
    size.set(Math.round(random.logNormal(4 * 2 ** 30, 0.05)));
    success.set(Math.floor(Date.now() / 1_000));
    const body = await registry.metrics();
    await accepted(await send("/metrics/job/backup/instance/db1", { method: "POST", body }));
  });
}
