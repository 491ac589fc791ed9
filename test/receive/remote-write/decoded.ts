/** Batches as plain samples, for tests of both versions of remote_write. */

import { RemoteWriteDecoder } from "../../../src/receive/remote-write/remote-write.ts";
import { RemoteWriteV2Decoder } from "../../../src/receive/remote-write/remote-write-v2.ts";
import type { RemoteWriteRequest } from "../../../src/receive/remote-write/request-gatherer.ts";
import { encodeV1, encodeV2, type Series } from "./messages.ts";

export interface Plain {
  readonly series: string;
  readonly ms: number;
  /** `stale` for a stale marker. */
  readonly value: number | "stale";
}

/** A series as Prometheus writes it. */
export function spell(metric: string, labels: Iterable<readonly [string, string]>): string {
  const text = [...labels].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",");
  return text === "" ? metric : `${metric}{${text}}`;
}

export function plain({ batch }: RemoteWriteRequest): Plain[] {
  return Array.from({ length: batch.length }, (_, index) => {
    const head = batch.heads[batch.head[index]!]!;
    return {
      series: spell(head.metric, head.labels),
      ms: batch.timestampUs[index]! / 1000,
      value: batch.stale?.[index] === 1 ? "stale" : batch.value[index]!,
    };
  });
}

export const versions = [
  { version: "1.0", encode: encodeV1 as (series: readonly Series[]) => Buffer, Decoder: RemoteWriteDecoder },
  { version: "2.0", encode: encodeV2, Decoder: RemoteWriteV2Decoder },
] as const;

/** JavaScript cannot create Prometheus's stale marker as a number: its bits are written in place of a stand-in value. */
export const STALE_STAND_IN = 1.234567890123e-300;

/** Replaces the bits of the stand-in value by those of the stale marker. */
export function withStaleMarkers(message: Buffer): Buffer {
  const standIn = Buffer.alloc(8);
  standIn.writeDoubleLE(STALE_STAND_IN);
  const marker = Buffer.from([2, 0, 0, 0, 0, 0, 0xf0, 0x7f]);
  const marked = Buffer.from(message);
  for (let at = marked.indexOf(standIn); at >= 0; at = marked.indexOf(standIn, at)) marked.set(marker, at);
  return marked;
}
