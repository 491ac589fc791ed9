/**
 * What a destination of remote_write has acknowledged, and when it was killed. VictoriaMetrics acknowledges samples that are
 * in its memory and writes them to the disk within some seconds, so a SIGKILL loses acknowledged samples, and no sender can
 * know that. What can be shown: only samples are lost that were acknowledged within this interval before a kill.
 */
import { decompressSnappyBlock } from "../../../src/wire/compression/snappy.ts";
import { ProtobufReader } from "../../../src/wire/protobuf.ts";

const BODY_BYTES_MAX = 100_000_000;
/** Tags of the messages of remote_write 1.0. */
const [TIMESERIES, LABEL, SAMPLE, SAMPLE_VALUE] = [0x0a, 0x0a, 0x12, 0x09];

export type SentSample = readonly [ms: number, value: number];

interface AcknowledgedSample {
  readonly sample: SentSample;
  /** For each request that had it. */
  readonly times: { readonly sentMs: number; readonly acknowledgedMs: number }[];
}

/** Samples that are missing at a destination. */
export interface MissingSamples {
  /** Acknowledged longer than the interval before each kill. */
  readonly lost: readonly SentSample[];
  /** Acknowledged within the interval before a kill. */
  readonly unwritten: number;
  /** How long before a kill the oldest of these was acknowledged. */
  readonly oldestMs: number;
}

export class AcknowledgedSamples {
  /** By metric, and by sample. */
  readonly #times = new Map<string, Map<string, AcknowledgedSample>>();
  readonly #killsMs: number[] = [];

  /** Notes a request that was answered with success, and when the destination got it. */
  note(body: ArrayBuffer, sentMs: number): void {
    const times = { sentMs, acknowledgedMs: performance.now() };
    for (const { metric, samples } of decodeRequest(new Uint8Array(body)))
      for (const sample of samples) {
        const ofMetric = this.#times.get(metric) ?? new Map();
        this.#times.set(metric, ofMetric);
        const known = ofMetric.get(String(sample));
        if (known === undefined) ofMetric.set(String(sample), { sample, times: [times] });
        else known.times.push(times);
      }
  }

  /** The destination gets SIGKILL now. */
  noteKill(): void {
    this.#killsMs.push(performance.now());
  }

  /**
   * Compares the samples of a metric that has one series.
   *
   * @param readMs when the stored samples were read. Those that were acknowledged later need not be there
   */
  missingOf(
    metric: string,
    stored: readonly SentSample[],
    { readMs, intervalMs }: { readonly readMs: number; readonly intervalMs: number },
  ): MissingSamples {
    const there = new Set(stored.map(String));
    const lost: SentSample[] = [];
    let [unwritten, oldestMs] = [0, 0];
    for (const [text, { sample, times }] of this.#times.get(metric) ?? []) {
      const before = times.filter(({ acknowledgedMs }) => acknowledgedMs < readMs);
      if (there.has(text) || before.length === 0) continue;
      // Each time that it was acknowledged, a kill must have followed.
      const ages = before.map(({ sentMs }) =>
        Math.min(...this.#killsMs.filter((kill) => kill >= sentMs).map((kill) => kill - sentMs)),
      );
      const age = Math.max(...ages);
      if (age > intervalMs) {
        lost.push(sample);
        continue;
      }
      unwritten++;
      oldestMs = Math.max(oldestMs, age);
    }
    return { lost, unwritten, oldestMs };
  }
}

interface DecodedSeries {
  readonly metric: string;
  readonly samples: readonly SentSample[];
}

function decodeRequest(body: Uint8Array<ArrayBuffer>): DecodedSeries[] {
  const reader = new ProtobufReader();
  const message = decompressSnappyBlock(body, BODY_BYTES_MAX);
  reader.open(message);
  const all: DecodedSeries[] = [];
  while (reader.at < message.length) {
    const tag = reader.uint32();
    if (tag === TIMESERIES) all.push(decodeSeries(reader, message));
    else reader.skip(tag);
  }
  return all;
}

function decodeSeries(reader: ProtobufReader, message: Buffer): DecodedSeries {
  const end = reader.length();
  let metric = "";
  const samples: SentSample[] = [];
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === LABEL) {
      reader.length();
      reader.uint32();
      const name = reader.text();
      reader.uint32();
      const value = reader.text();
      if (name === "__name__") metric = value;
    } else if (tag === SAMPLE) {
      const endOfSample = reader.length();
      let [ms, value] = [0, 0];
      while (reader.at < endOfSample) {
        if (reader.uint32() === SAMPLE_VALUE) {
          value = message.readDoubleLE(reader.at);
          reader.at += 8;
        } else ms = reader.int64();
      }
      samples.push([ms, value]);
    } else reader.skip(tag);
  }
  return { metric, samples };
}
