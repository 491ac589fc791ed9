/**
 * A batch as it is sent and spooled: compressed samples with an Idempotency-Key. Its bytes never change, so that it can be
 * sent any number of times and is stored once.
 */
import { gzip, gzipSync } from "node:zlib";
import type { OwnIncrement } from "./client-counts.ts";
import { batchText } from "./column-lines.ts";
import type { RecordedSample } from "./recorder.ts";

export interface SealedBatch {
  /** The Idempotency-Key. */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Samples of the worker. The client's own are not counted. */
  readonly samples: number;
  /** JSON lines, compressed with gzip. */
  readonly body: Uint8Array;
  /** The client's own counters in it. */
  readonly own: readonly OwnIncrement[];
}

export interface SealOptions {
  readonly labels: Readonly<Record<string, string>>;
  readonly nowMs: number;
  readonly own: readonly OwnIncrement[];
}

/** Encodes and compresses samples. Compression runs in a thread of the runtime. */
export async function sealBatch(
  samples: readonly RecordedSample[],
  options: SealOptions,
): Promise<SealedBatch> {
  const text = batchText(samples, options);
  const body = await new Promise<Uint8Array>((resolve, reject) =>
    gzip(text, (error, bytes) => (error ? reject(error) : resolve(bytes))),
  );
  return sealed(samples, options, body);
}

/** As `sealBatch`, for the end of a process, which waits for nothing. */
export function sealBatchSync(samples: readonly RecordedSample[], options: SealOptions): SealedBatch {
  return sealed(samples, options, gzipSync(batchText(samples, options)));
}

function sealed(
  samples: readonly RecordedSample[],
  { nowMs, own }: SealOptions,
  body: Uint8Array,
): SealedBatch {
  const key = globalThis.crypto.randomUUID();
  return { key, createdMs: nowMs, samples: samples.length, body, own };
}
