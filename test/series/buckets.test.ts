/** Default bounds of histograms by unit, written out, and the errors of the quantiles that they give. */
import { expect, test } from "bun:test";
import { bucketsFor } from "../../src/series/buckets.ts";
import { workerEvents } from "../fixtures/worker-events.ts";
import { openTestGateway } from "../gateway.ts";

const MILLISECONDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const BYTES = [
  ...[128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152],
  ...[65536, 98304, 131072, 196608, 262144, 393216, 524288, 786432, 1048576, 1572864, 2097152, 3145728],
  ...[4194304, 6291456, 8388608, 12582912, 16777216, 33554432, 67108864, 134217728, 268435456, 536870912],
  1073741824,
];
const RATIO = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const UNKNOWN = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500],
  ...[1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000],
];

test("chooses bounds by the unit at the end of the name, else by the event's unit", () => {
  const bounds = (name: string, unit: string, want: readonly number[]) =>
    expect(bucketsFor(name, unit), `${name} in ${unit}`).toEqual([...want]);
  bounds("http.request.duration_ms", "", MILLISECONDS);
  bounds("task.durationMs", "", MILLISECONDS);
  bounds("TASK_DURATION_MS", "", MILLISECONDS);
  bounds("task.duration.milliseconds", "", MILLISECONDS);
  bounds("request_seconds", "", SECONDS);
  bounds("latency_s", "", SECONDS);
  bounds("upload.bytes", "", BYTES);
  bounds("cache_hit_ratio", "", RATIO);
  bounds("latency", "ms", MILLISECONDS);
  bounds("latency", "seconds", SECONDS);
  bounds("payload", "By", BYTES);
  // The name is part of the identity, and the unit may come later. So the name takes precedence.
  bounds("request_seconds", "ms", SECONDS);
  // A word that only ends with a unit's letters is not a unit.
  bounds("items", "", UNKNOWN);
  bounds("terms", "", UNKNOWN);
  bounds("score", "", UNKNOWN);
  bounds("", "", UNKNOWN);
});

test("prefers bounds from the settings, by either spelling of the name", () => {
  const overrides = new Map([
    ["http.request.duration_ms", [1, 2]],
    ["task_ms", [3]],
  ]);
  expect(bucketsFor("http.request.duration_ms", "", overrides)).toEqual([1, 2]);
  expect(bucketsFor("task.ms", "", overrides)).toEqual([3]);
  expect(bucketsFor("other_ms", "", overrides)).toEqual(MILLISECONDS);
});

/** The values at a quantile of each `kind`: by PromQL's histogram_quantile, and exact. */
async function quantiles(
  uploads: readonly { readonly kind: string; readonly bytes: number }[],
  q: number,
): Promise<Map<string, { promql: number; exact: number }>> {
  const gateway = await openTestGateway();
  try {
    const ask = async (path: string, query: Record<string, string>) => {
      const request = new Request(`http://localhost${path}?${new URLSearchParams(query)}`);
      return (await (await gateway.app.fetch(request)).json()) as never;
    };
    const events = uploads.map(({ kind, bytes }) =>
      JSON.stringify({
        metric_name: "upload.size_bytes",
        value: bytes,
        "@timestamp": gateway.nowMs - 600_000,
        tags: { kind },
      }),
    );
    expect((await gateway.post(events.join("\n"))).json).toMatchObject({ accepted: events.length });
    const buckets = "sum by (le, kind) (increase(upload_size_bytes_bucket[1h]))";
    const answer: { data: { result: { metric: { kind: string }; value: [number, string] }[] } } = await ask(
      "/api/v1/query",
      { query: `histogram_quantile(${q}, ${buckets})`, time: String(gateway.nowMs / 1_000) },
    );
    const { rows }: { rows: { kind: string; exact: number }[] } = await ask("/api/v1/sql", {
      q: `SELECT kind, quantile_cont(value, ${q}) AS exact FROM upload_size_bytes GROUP BY kind`,
    });
    expect(answer.data.result.length).toBe(rows.length);
    const exact = new Map(rows.map((row) => [row.kind, row.exact]));
    return new Map(
      answer.data.result.map(({ metric: { kind }, value }) => [
        kind,
        { promql: Number(value[1]), exact: exact.get(kind)! },
      ]),
    );
  } finally {
    await gateway.close();
  }
}

test("estimates median and p95 of uploads within 25 % of the exact ones", async () => {
  const written = [...workerEvents({ startMs: 0, days: 1, worker: 0, tasksPerDay: 2_000 })]
    .filter(({ metric_name }) => metric_name === "upload.size_bytes")
    .flatMap(({ value, tags }) => [
      { kind: "all", bytes: value },
      { kind: tags.upload_type!, bytes: value },
    ]);
  // Uploads of typical sizes: alone, and around the larger one.
  const shown = Array.from({ length: 100 }, (_, at) => [
    { kind: "342 B", bytes: 342 },
    { kind: "1.5 MB", bytes: 1_548_672 },
    { kind: "around 1.5 MB", bytes: 1_548_672 * (0.5 + at / 100) },
  ]).flat();
  for (const q of [0.5, 0.95]) {
    const found = await quantiles([...written, ...shown], q);
    expect([...found.keys()].sort()).toEqual(["1.5 MB", "342 B", "all", "around 1.5 MB", "direct", "inline"]);
    for (const [kind, { promql, exact }] of found)
      expect(Math.abs(promql / exact - 1), `p${q * 100} of ${kind}: ${promql}, not ${exact}`).toBeLessThan(
        0.25,
      );
  }
});

test("keeps the bounds of a metric that was observed before the defaults changed", async () => {
  const before = Array.from({ length: 12 }, (_, power) => 256 * 4 ** power);
  const gateway = await openTestGateway();
  try {
    const bounds = async () => {
      const request = new Request("http://localhost/metrics");
      const text = await (await gateway.app.fetch(request)).text();
      return [...text.matchAll(/^upload_size_bytes_bucket\{.*le="(.*)"\} /gm)].map(([, edge]) =>
        Number(edge!.replace("Inf", "Infinity")),
      );
    };
    const event = JSON.stringify({ name: "upload.size_bytes", value: 342 });
    await gateway.post(event);
    expect(await bounds()).toEqual([...BYTES, Number.POSITIVE_INFINITY]);
    const { name, kind, type, unit, help } = gateway.gateway.registry.metric("upload.size_bytes")!;
    // As an older gateway with the old bounds has stored it.
    await gateway.gateway.store.commit({ metrics: [{ name, kind, type, unit, help, buckets: before }] });
    await gateway.reopen();
    await gateway.post(event);
    expect(await bounds()).toEqual([...before, Number.POSITIVE_INFINITY]);
  } finally {
    await gateway.close();
  }
});
