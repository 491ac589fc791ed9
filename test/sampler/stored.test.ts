/** The sampler with the real ingest and store: rows in the file, series on /metrics, no rejected samples. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderOpenMetrics } from "../../src/exposition/openmetrics.ts";
import { renderText } from "../../src/exposition/text.ts";
import { Totals } from "../../src/exposition/totals/totals.ts";
import type { Ack } from "../../src/ingest/contract.ts";
import { IdempotencyKeys } from "../../src/ingest/idempotency.ts";
import { Imports } from "../../src/ingest/imports.ts";
import { Ingest } from "../../src/ingest/ingest.ts";
import { atOnce } from "../../src/model/tasks/time-slices.ts";
import { gpuPart } from "../../src/sampler/gpu/gpu.ts";
import { networkPart } from "../../src/sampler/network.ts";
import { PART_NAMES, type Part } from "../../src/sampler/part.ts";
import { createParts } from "../../src/sampler/parts.ts";
import { Sampler, type SamplerOptions } from "../../src/sampler/sampler.ts";
import { SAMPLER_PROTOCOLS } from "../../src/sampler/sampler-protocols.ts";
import { Registry } from "../../src/series/registry.ts";
import { openStore } from "../../src/store/open-store.ts";
import { DEFAULTS } from "../defaults.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
});
afterEach(() => rm(folder, { recursive: true }));

async function openGateway() {
  const { store, stored } = await openStore({
    counters: DEFAULTS.counters,
    path: join(folder, "samples.duckdb"),
    memoryLimitBytes: 128 * 1_048_576,
    threads: 1,
    temporaryDirectory: join(folder, "spill"),
  });
  const registry = new Registry(
    {
      ...DEFAULTS,
      attributes: ["task_id"],
      bucketsFor: () => [1],
    },
    stored,
  );
  // The sampler is not a push, so it does not change when a worker last pushed.
  const totals = Object.assign(new Totals(DEFAULTS), { noteLastPush: () => expect.unreachable() });
  const faults: string[] = [];
  const ingest = new Ingest(
    {
      store,
      registry,
      totals,
      keys: new IdempotencyKeys(stored.pushes, 1_048_576, DEFAULTS.counters),
      imports: new Imports(stored.imports),
      protocols: SAMPLER_PROTOCOLS,
    },
    {
      counters: DEFAULTS.counters,
      retentionDays: 7,
      retentionBytes: 0,
      futureMs: 600_000,
      totalsLateMs: 3_600_000,
      queueSamplesMax: 100_000,
      queueBytesMax: 100_000_000,
      exposeProtocols: [],
      seriesMax: 1_000_000,
      snapshotIntervalMs: 60_000,
      snapshotRows: 1_000_000,
      idempotencyTtlMs: 86_400_000,
      rejectedMax: 1_000,
      rejectedBytesMax: 1_000_000,
      checkpointLogBytes: 1_000_000_000,
      now: Date.now,
      onFault: (message) => faults.push(message),
    },
  );
  const close = async () => {
    await ingest.stop();
    await store.close();
  };
  return { store, totals, ingest, faults, close };
}

/** Samples until `count` pushes were answered. */
async function sample(parts: readonly Part[], ingest: Ingest, count: number): Promise<readonly Ack[]> {
  const acks: Ack[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A run that is skipped because a commit is slow on a busy machine is not a failure of the test.
  const onFailure: SamplerOptions["onFailure"] = (part, cause, why) => {
    if (cause !== "stuck" && cause !== "limit" && cause !== "partial")
      reject(new Error(`${part} fails by ${cause}: ${why}`));
  };
  const sampler = new Sampler(
    // A part's time limit is its interval by default, and a busy machine needs longer than 30 ms.
    parts.map((part) => ({ ...part, timeoutMs: 60_000 })),
    async (batch) => {
      acks.push(await ingest.push(batch));
      if (acks.length === count) resolve();
    },
    { counters: DEFAULTS.counters, labels: new Map([["instance", "box"]]), onFailure },
  );
  sampler.start();
  await promise;
  await sampler.stop();
  return acks.slice(0, count);
}

test("stores recorded outputs as rows, and exposes them as series", async () => {
  await mkdir(join(folder, "net"));
  await writeFile(
    join(folder, "net/dev"),
    "Inter-| Receive | Transmit\n face |bytes\n  eth0: 281609604 7165 0 0 0 0 0 0 401846 3840 0 0 0 0 0 0\n",
  );
  const executable = join(folder, "nvidia-smi");
  const fixture = join(import.meta.dir, "../fixtures/nvidia-smi/two-cards.csv");
  await writeFile(executable, `#!/bin/sh\ncat "${fixture}"\n`);
  await chmod(executable, 0o755);

  const { store, totals, ingest, faults, close } = await openGateway();
  const hour = { intervalMs: 3_600_000 };
  const parts = [networkPart({ ...hour, procPath: folder }), gpuPart({ ...hour, path: folder })];
  const acks = await sample(parts, ingest, 2);
  expect(acks.map(({ accepted }) => accepted).sort()).toEqual([10, 8]);
  expect(acks.flatMap(({ rejected }) => rejected)).toEqual([]);

  const reader = await store.reader();
  const rows = await reader.all(
    store
      .days()
      .map(
        ({ table }) =>
          `SELECT metric, kind, labels['name'] AS card, labels['instance'] AS instance, value, live
           FROM weir.${table} JOIN weir.series USING (series_id)
           WHERE metric IN ('gpu_memory_used_bytes', 'node_network_receive_bytes_total')`,
      )
      .join(" UNION ALL ")
      .concat(" ORDER BY value"),
  );
  reader.close();
  const live = true;
  const instance = "box";
  const used = { metric: "gpu_memory_used_bytes", kind: "gauge", instance, live };
  expect(rows).toEqual([
    { ...used, card: "Tesla T4", value: 3_145_728 },
    {
      metric: "node_network_receive_bytes_total",
      kind: "cumulative",
      card: null,
      instance,
      value: 281_609_604,
      live,
    },
    { ...used, card: "NVIDIA GeForce RTX 4090", value: 8_517_582_848 },
  ]);

  const families = atOnce(totals.families(Date.now() * 1000, true));
  const text = [...renderText(families)].join("").split("\n");
  expect(text).toContain("# TYPE gpu_utilization_ratio gauge");
  expect(text).toContain(
    'gpu_utilization_ratio{gpu="0",instance="box",name="NVIDIA GeForce RTX 4090",' +
      'uuid="GPU-5d2f0c8e-6f0a-4b3e-9c1d-2a7b8e4f1c03"} 0.37',
  );
  expect(text).toContain("# TYPE node_network_receive_bytes_total counter");
  expect(text).toContain('node_network_receive_bytes_total{device="eth0",instance="box"} 281609604');
  const openMetrics = [...renderOpenMetrics(families)].join("").split("\n");
  expect(openMetrics).toContain("# TYPE node_network_receive_bytes counter");
  expect(openMetrics).toContain("# UNIT node_network_receive_bytes bytes");
  expect(openMetrics).toContain('node_network_receive_bytes_total{device="eth0",instance="box"} 281609604');
  expect(openMetrics).toContain("# UNIT gpu_temperature_celsius celsius");
  expect(faults).toEqual([]);
  await close();
});

test("stores every sample of this machine, at every run", async () => {
  const { totals, ingest, faults, close } = await openGateway();
  const intervals = { hostIntervalMs: 30, gpuIntervalMs: 30, disksIntervalMs: 30, containersIntervalMs: 30 };
  const parts = createParts({ names: PART_NAMES, ...intervals });
  const acks = await sample(parts, ingest, 12);
  expect(acks.flatMap(({ rejected }) => rejected)).toEqual([]);
  for (const { accepted } of acks) expect(accepted).toBeGreaterThan(0);
  const names = atOnce(totals.families(Date.now() * 1000, false)).map(({ name }) => name);
  expect(names).toContain("node_cpu_seconds_total");
  expect(names).toContain("weir_process_cpu_seconds_total");
  expect(faults).toEqual([]);
  await close();
});
