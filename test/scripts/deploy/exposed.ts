/**
 * The /metrics of a real gateway with everything that it can expose: the workers' documented metrics, with failures; the
 * host, a GPU and a container, sampled; queries, rejections and duplicates.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { registerProcessMetrics } from "../../../src/exposition/process-metrics.ts";
import { addContainer } from "../../../src/sampler/containers.ts";
import { disksPart } from "../../../src/sampler/disks.ts";
import { gpuPart } from "../../../src/sampler/gpu/gpu.ts";
import { hostPart } from "../../../src/sampler/host.ts";
import { networkPart } from "../../../src/sampler/network.ts";
import type { Part } from "../../../src/sampler/part.ts";
import { processPart } from "../../../src/sampler/process.ts";
import { Sampler } from "../../../src/sampler/sampler.ts";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const GPUS = join(import.meta.dir, "../../fixtures/nvidia-smi/two-cards.csv");

const tags = (instance: string, own: Readonly<Record<string, string>>) => ({
  job: "workers",
  instance,
  task_id: "1704067200_abc123",
  ...own,
});
const request = (instance: string, value: number, own: Readonly<Record<string, string>>) => ({
  metric_name: "http.request.duration_ms",
  value,
  tags: tags(instance, {
    url: "https://app.example.com/api",
    domain: "app.example.com",
    method: "POST",
    ...own,
  }),
});

/** What workers push, by the names and tags of sql/summaries/README.md. `broken` is a worker that only fails. */
export const WORKERS = [
  ...["worker-1", "broken"].flatMap((instance) => [
    request(instance, 234.56, { operation: "get_task", status_code: "200", has_task: "true" }),
    request(instance, 12_000, {
      operation: "upload_result",
      status_code: "429",
      success: "false",
      error_type: "rate_limit",
    }),
    request(instance, 40, { operation: "upload_result", status_code: "500", success: "false" }),
    {
      metric_name: "task.processing_duration_ms",
      value: instance === "broken" ? 15_000 : 5_210,
      tags: tags(instance, {
        method: "GET",
        domain: "api.example.org",
        http_status: instance === "broken" ? "unknown" : "200",
      }),
    },
  ]),
  {
    metric_name: "upload.size_bytes",
    value: 1_048_576,
    tags: tags("worker-1", { upload_type: "direct" }),
  },
];

/** Runs a gateway through all that and gives its /metrics, in text. */
export async function exposedMetrics(): Promise<string> {
  const folder = temporaryFolder();
  const gateway = await openTestGatewayAt(Date.now(), "--statsd-listen=127.0.0.1:0");
  const stopMeasuring = registerProcessMetrics(gateway.counters, "0.0.0");
  const ask = async (path: string, body?: unknown): Promise<string> => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return (await gateway.fetch(path, init)).text();
  };
  try {
    await sampleOnce(gateway.gateway, folder);
    await ask("/api/v1/push", WORKERS);
    const gauge = { metric_name: "depth", type: "gauge", value: 1, "@timestamp": Date.now() };
    await ask("/api/v1/push", [gauge, { ...gauge }, { metric_name: "depth", value: "deep" }]);
    await ask("/api/v1/push", gauge);
    await ask("/api/v1/sql", { sql: "SELECT 1" });
    return await ask("/metrics");
  } finally {
    stopMeasuring();
    await gateway.close();
  }
}

/** Runs each part of the sampler once, one that fails among them; resolves when all is stored. */
async function sampleOnce(
  { ingest, counters }: Pick<TestGateway["gateway"], "ingest" | "counters">,
  folder: string,
): Promise<void> {
  const nvidiaSmi = join(folder, "nvidia-smi");
  writeFileSync(nvidiaSmi, `#!/bin/sh\ncat "${GPUS}"\n`);
  chmodSync(nvidiaSmi, 0o755);
  const every = { intervalMs: 3_600_000 };
  const failing: Part = {
    ...every,
    name: "failing",
    collect: () => Promise.reject(new Error("as it should")),
  };
  const containers: Part = {
    ...every,
    name: "containers",
    collect: async (reading) => addContainer(reading, "web", "nginx:1.27", CONTAINER),
  };
  const reading: Part[] = [
    hostPart(every),
    processPart(every),
    // The machine's own disks and mounts differ from one to the next, and may be none.
    disksPart({ ...every, procPath: recordedProc(folder) }),
    networkPart({ ...every, procPath: recordedProc(folder) }),
    gpuPart({ ...every, path: `${folder}:/usr/bin:/bin` }),
    containers,
  ];
  const failed = Promise.withResolvers<void>();
  const stored = Promise.withResolvers<void>();
  let left = reading.length;
  const sampler = new Sampler(
    [failing, ...reading],
    async (batch) => {
      await ingest.push(batch);
      if (--left === 0) stored.resolve();
    },
    { counters, labels: new Map([["instance", "host-1"]]), onFailure: () => failed.resolve() },
  );
  sampler.start();
  await Promise.all([failed.promise, stored.promise]);
  await sampler.stop();
}

/** As the Docker Engine API 1.47 answers, shortened. */
const CONTAINER = {
  cpu_stats: { cpu_usage: { total_usage: 12_345_678_900 } },
  memory_stats: { usage: 73_400_320, limit: 536_870_912, stats: { inactive_file: 20_971_520 } },
  networks: { eth0: { rx_bytes: 5_338, rx_packets: 36, tx_bytes: 648, tx_packets: 8 } },
};

/** A folder like /proc of a machine with one disk and one network interface. */
function recordedProc(folder: string): string {
  const files = {
    diskstats:
      " 254 0 vda 16862 6340 2670234 20926 1858 16234 1939632 3378 2 3448 24519 3177 49 56656 213 23 1\n",
    "self/mountinfo": "27 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw,discard\n",
    "net/dev": `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
  eth0: 482938940  361302    1    2    0     0          0         0 19372041   98123    3    4    0     0       0          0
`,
  };
  const proc = join(folder, "proc");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(proc, name)), { recursive: true });
    writeFileSync(join(proc, name), text);
  }
  return proc;
}
