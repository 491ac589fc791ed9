/** Shared by the tests of the sampler: runs a part once, and prints a batch as text. */
import type { Batch } from "../../src/model/sample.ts";
import { Heads } from "../../src/sampler/batch.ts";
import type { Part } from "../../src/sampler/part.ts";

/** The values by series, as Prometheus writes series. */
export function values(batch: Batch): Record<string, number> {
  const all: Record<string, number> = {};
  for (let sample = 0; sample < batch.length; sample++) {
    const { metric, labels } = batch.heads[batch.head[sample]];
    const pairs = [...labels].map(([name, value]) => `${name}="${value}"`).join(",");
    all[pairs === "" ? metric : `${metric}{${pairs}}`] = batch.value[sample];
  }
  return all;
}

/** Runs a part once. Returns what it added, what it reported as missing, and its error. */
export async function collect(
  part: Part,
  signal: AbortSignal = new AbortController().signal,
): Promise<{ readonly values: Record<string, number>; readonly error?: Error; readonly lacking?: string }> {
  const reading = new Heads().read(1_700_000_000_000_000);
  let error: Error | undefined;
  await part.collect(reading, signal).catch((reason: Error) => {
    error = reason;
  });
  return { values: values(reading.seal()), error, lacking: reading.lacking };
}
