/**
 * A rejected sample as JSON text, from which it can be pushed again: what its decoder knew, and what its push adds.
 *
 * A sample of a push whose token did not allow it has no such text, because it may be pushed again with another
 * token. Neither has a sample that its decoder rejected.
 */
import type {
  AttributeColumn,
  Batch,
  Kind,
  Labels,
  MetricType,
  Series,
  SeriesHead,
} from "../../model/sample.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";

/** Of a longer text nothing is kept. A sample with 64 labels of 100 characters has less. */
const TEXT_CHARACTERS_MAX = 8_000;

/** What the samples of a push have in common. */
export interface PushContext {
  /** The labels that it adds to samples that have no such tag of their own. */
  readonly extra: Labels;
  /** Whether its samples do not count in totals. */
  readonly historical: boolean;
}

type LabelRecord = Readonly<Record<string, string>>;

/** The JSON. Numbers that JSON does not have are texts, and a stale marker has null. */
export interface DecodedRejection {
  readonly metric: string;
  readonly kind: Kind;
  readonly type?: MetricType;
  readonly unit?: string;
  readonly help?: string;
  readonly exposed?: boolean;
  readonly keepsBoundText?: boolean;
  readonly labels: LabelRecord;
  readonly attributes?: LabelRecord;
  readonly timestampUs: number;
  readonly value: number | string | null;
  readonly extra?: LabelRecord;
  readonly historical?: true;
}

/** The text of a sample of a batch. Empty if it would be too long. */
export function rejectedSampleText(batch: Batch, index: number, { extra, historical }: PushContext): string {
  const { labels, ...head } = batch.heads[batch.head[index]!]!;
  const { metric, unit = "", help = "" } = head;
  const left = TEXT_CHARACTERS_MAX - metric.length - unit.length - help.length;
  if (left < 0 || areLongerThan(labels, left) || attributesAreLongerThan(batch, index, left)) return "";
  const sample: DecodedRejection = {
    ...head,
    labels: Object.fromEntries(labels),
    attributes: attributesOf(batch, index),
    timestampUs: batch.timestampUs[index]!,
    value: batch.stale?.[index] === 1 ? null : jsonNumber(batch.value[index]!),
    extra: extra.size === 0 ? undefined : Object.fromEntries(extra),
    historical: historical ? true : undefined,
  };
  const text = JSON.stringify(sample);
  return text.length <= TEXT_CHARACTERS_MAX ? text : "";
}

/** The text of a sample of a gauge or a cumulative series. The value of a stale marker is null. */
export function rejectedLevelText(
  { metric, labels }: Series,
  timestampUs: number,
  value: number | null,
): string {
  const sample: DecodedRejection = {
    metric: metric.name,
    kind: metric.kind,
    labels: Object.fromEntries(labels),
    timestampUs,
    value: value === null ? null : jsonNumber(value),
  };
  return JSON.stringify(sample);
}

/**
 * Whether the names and values of labels have more characters. JSON has at least as many, and to write it for a label of 10 MB
 * takes 100 ms, for each rejected sample with it.
 */
export function areLongerThan(labels: Labels, charactersMax: number): boolean {
  let characters = 0;
  for (const [name, value] of labels) {
    characters += name.length + value.length;
    if (characters > charactersMax) return true;
  }
  return false;
}

function attributesAreLongerThan({ attributes }: Batch, index: number, charactersMax: number): boolean {
  let bytes = 0;
  for (const { length } of attributes) bytes += length[index]!;
  // A character of JavaScript's texts takes up to three bytes of UTF-8.
  return bytes > 3 * charactersMax;
}

function attributesOf({ attributes, text }: Batch, index: number): LabelRecord | undefined {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const found = attributes.flatMap(({ name, offset, length }: AttributeColumn): [string, string][] => {
    const from = offset[index]!;
    return length[index] === 0 ? [] : [[name, bytes.toString("utf8", from, from + length[index]!)]];
  });
  return found.length === 0 ? undefined : Object.fromEntries(found);
}

/** JSON has no NaN and no infinities, and loses the sign of -0. */
function jsonNumber(value: number): number | string {
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : Object.is(value, -0)
      ? "-0"
      : String(value);
}

/** Samples to push again, by what their pushes had in common. */
export interface ReplayBatch {
  readonly batch: Batch;
  /** By position in the batch: the id of the rejected sample. */
  readonly ids: readonly number[];
  readonly context: PushContext;
}

/**
 * The samples of texts as batches, in the order of the texts as far as one batch allows it.
 *
 * @param samples of one protocol
 */
export function replayBatches(
  protocol: string,
  samples: readonly { readonly id: number; readonly text: string }[],
): ReplayBatch[] {
  const read = samples.map(({ id, text }) => ({ id, sample: JSON.parse(text) as DecodedRejection }));
  const groups = Map.groupBy(read, ({ sample: { extra, historical } }) =>
    JSON.stringify([extra, historical]),
  );
  return [...groups.values()].map((group) => {
    const [{ sample: first }] = group as [(typeof group)[number]];
    return {
      batch: batchOf(
        protocol,
        group.map(({ sample }) => sample),
      ),
      ids: group.map(({ id }) => id),
      context: { extra: labelsOf(first.extra ?? {}), historical: first.historical === true },
    };
  });
}

function batchOf(protocol: string, samples: readonly DecodedRejection[]): Batch {
  const builder = new BatchBuilder(protocol);
  const heads = new Map<string, number>();
  for (const [position, sample] of samples.entries()) {
    const { attributes = {}, timestampUs, value, extra: _, historical: __, ...head } = sample;
    const index = heads.getOrInsertComputed(JSON.stringify(head), () => builder.addHead(headOf(head)));
    for (const [name, text] of Object.entries(attributes)) {
      const bytes = Buffer.from(text);
      builder.setAttribute(builder.attribute(name), bytes, 0, bytes.length);
    }
    builder.add(index, timestampUs, value === null ? Number.NaN : Number(value), position);
    if (value === null) builder.markStale();
  }
  return builder.take();
}

function headOf({
  labels,
  ...head
}: Omit<SeriesHead, "labels"> & { readonly labels: LabelRecord }): SeriesHead {
  return { ...head, labels: labelsOf(labels) };
}

/** In ascending order of the names, as `Labels` promises. */
function labelsOf(record: LabelRecord): Labels {
  return new Map(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Time and value of a text. */
export function readRejectedSample(text: string): DecodedRejection {
  return JSON.parse(text) as DecodedRejection;
}
