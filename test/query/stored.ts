/**
 * Samples in a real store for the tests of queries: admitted by the real registry, committed to a DuckDB file
 * in a temporary folder.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { type AttributeColumn, dayOf, type Kind, type Rows } from "../../src/model/sample.ts";
import { Registry } from "../../src/series/registry.ts";
import type { DuckDBStore } from "../../src/store/duckdb-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { DEFAULTS } from "../defaults.ts";

/** A sample as a test writes it. `value` null is a stale marker. */
export interface Sample {
  readonly metric: string;
  readonly kind?: Kind;
  /** Milliseconds since the epoch, or an ISO time. */
  readonly ts: number | string;
  readonly value: number | null;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface Samples {
  readonly store: DuckDBStore;
  readonly registry: Registry;
  readonly folder: string;
  add(samples: readonly Sample[]): Promise<void>;
  close(): Promise<void>;
}

/** The tags that are attributes from the start. */
const ATTRIBUTES = ["task_id", "trace_id"];

export async function storedSamples(
  samples: readonly Sample[],
  { labelValuesMax = 1_000, memoryLimitBytes = 128 * 1_048_576, spills = true } = {},
): Promise<Samples> {
  const folder = mkdtempSync(join(tmpdir(), "weir-query-"));
  const { store, stored } = await openStore({
    counters: createCounters(),
    path: join(folder, "samples.duckdb"),
    memoryLimitBytes,
    threads: 2,
    temporaryDirectory: spills ? join(folder, "spill") : "",
  });
  const registry = new Registry(
    {
      ...DEFAULTS,
      counters: createCounters(),
      attributes: ATTRIBUTES,
      labelValuesMax,
      bucketsFor: () => [1],
    },
    stored,
  );
  const add = async (more: readonly Sample[]) => {
    const admitted = more.map((sample) => {
      const all = Object.entries(sample.tags ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
      const kind = sample.kind ?? "observation";
      const own = kind === "observation" || kind === "delta" ? ATTRIBUTES : [];
      const admission = registry.admit({
        metric: sample.metric,
        kind,
        labels: new Map(all.filter(([name]) => !own.includes(name))),
      });
      if ("refused" in admission) throw new Error(admission.refused);
      const timestampUs = new Date(sample.ts).getTime() * 1000;
      registry.touch(admission.seriesId, dayOf(timestampUs));
      return {
        seriesId: admission.seriesId,
        timestampUs,
        value: sample.value,
        attributes: new Map([...all.filter(([name]) => own.includes(name)), ...admission.attributes]),
      };
    });
    const rows = [...Map.groupBy(admitted, ({ timestampUs }) => dayOf(timestampUs))].map(([day, group]) =>
      rowsOf(day, group),
    );
    await store.commit({ ...registry.takePending(), rows });
  };
  await add(samples);
  return {
    store,
    registry,
    folder,
    add,
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function rowsOf(
  day: number,
  samples: readonly {
    seriesId: number;
    timestampUs: number;
    value: number | null;
    attributes: ReadonlyMap<string, string>;
  }[],
): Rows {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  let end = 0;
  const names = new Set(samples.flatMap(({ attributes }) => [...attributes.keys()]));
  const attributes = [...names].map((name): AttributeColumn => {
    const offset = new Uint32Array(samples.length);
    const length = new Uint32Array(samples.length);
    samples.forEach((sample, row) => {
      const bytes = encoder.encode(sample.attributes.get(name) ?? "");
      parts.push(bytes);
      offset[row] = end;
      length[row] = bytes.length;
      end += bytes.length;
    });
    return { name, offset, length };
  });
  return {
    day,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ({ seriesId }) => seriesId),
    timestampUs: Float64Array.from(samples, ({ timestampUs }) => timestampUs),
    value: Float64Array.from(samples, ({ value }) => value ?? 0),
    stale: Uint8Array.from(samples, ({ value }) => (value === null ? 1 : 0)),
    live: new Uint8Array(samples.length).fill(1),
    attributes,
    text: new Uint8Array(Buffer.concat(parts)),
  };
}
