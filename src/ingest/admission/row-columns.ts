/**
 * Converts columns of a batch to columns of rows: selects samples, and adds the tags that are equal for a whole
 * series.
 */
import { TooLarge } from "../../model/errors.ts";
import {
  ATTRIBUTE_CELLS_MAX,
  type AttributeColumn,
  type Batch,
  type Rows,
  type SeriesHead,
} from "../../model/sample.ts";
import type { Admission } from "../../series/admitted.ts";

/** The admitted rows at the given indexes. */
export function pickRows(rows: Rows, indexes: readonly number[]): Rows {
  return {
    day: rows.day,
    length: indexes.length,
    seriesId: pick(rows.seriesId, indexes),
    timestampUs: pick(rows.timestampUs, indexes),
    value: pick(rows.value, indexes),
    stale: rows.stale === undefined ? undefined : pick(rows.stale, indexes),
    live: pick(rows.live, indexes),
    attributes: rows.attributes.map((column) => pickAttribute(column, indexes)),
    text: rows.text,
  };
}

/** The samples of a batch at the given indexes, with only the heads that they and the exemplars of the batch have. */
export function pickSamples(batch: Batch, indexes: readonly number[]): Batch {
  const heads: SeriesHead[] = [];
  const newIndex = new Int32Array(batch.heads.length).fill(-1);
  const newIndexOf = (head: number) => {
    if (newIndex[head] === -1) newIndex[head] = heads.push(batch.heads[head]!) - 1;
    return newIndex[head]!;
  };
  const head = pick(batch.head, indexes);
  for (let row = 0; row < head.length; row++) head[row] = newIndexOf(head[row]!);
  return {
    ...batch,
    length: indexes.length,
    heads,
    head,
    timestampUs: pick(batch.timestampUs, indexes),
    value: pick(batch.value, indexes),
    stale: batch.stale === undefined ? undefined : pick(batch.stale, indexes),
    attributes: batch.attributes.map((column) => pickAttribute(column, indexes)),
    position: pick(batch.position, indexes),
    exemplars: batch.exemplars?.map((exemplar) => ({ ...exemplar, head: newIndexOf(exemplar.head) })),
  };
}

function pickAttribute(
  { name, offset, length }: AttributeColumn,
  indexes: readonly number[],
): AttributeColumn {
  return { name, offset: pick(offset, indexes), length: pick(length, indexes) };
}

/** The values at the given indexes. */
export function pick<T extends Uint8Array | Uint32Array | Float64Array>(
  source: Readonly<T>,
  indexes: readonly number[],
): T {
  const picked = new (source.constructor as new (length: number) => T)(indexes.length);
  for (let row = 0; row < indexes.length; row++) picked[row] = source[indexes[row]!]!;
  return picked;
}

/** The attribute columns of the batch, with the attributes added that are equal for every sample of a head. */
export function withConstants(
  batch: Batch,
  admissions: readonly Admission[],
): { attributes: readonly AttributeColumn[]; text: Uint8Array } {
  const names = new Set<string>();
  for (const admission of admissions) {
    if (!("refused" in admission)) for (const [name] of admission.attributes) names.add(name);
  }
  if (names.size === 0) return batch;
  if ((names.size + batch.attributes.length) * batch.length > ATTRIBUTE_CELLS_MAX) {
    throw new TooLarge(
      `the body has ${names.size} different attributes over ${batch.length} samples, send it in parts`,
      "body",
    );
  }
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [batch.text];
  let end = batch.text.length;
  const attributes = batch.attributes.filter(({ name }) => !names.has(name));
  for (const name of names) {
    const spans = admissions.map((admission) => {
      const value =
        "refused" in admission ? undefined : admission.attributes.find(([other]) => other === name)?.[1];
      if (value === undefined) return undefined;
      const bytes = encoder.encode(value);
      parts.push(bytes);
      end += bytes.length;
      return { offset: end - bytes.length, length: bytes.length };
    });
    const own = batch.attributes.find((column) => column.name === name);
    const offset = new Uint32Array(batch.length);
    const length = new Uint32Array(batch.length);
    for (let index = 0; index < batch.length; index++) {
      const ownLength = own?.length[index] ?? 0;
      const span =
        ownLength > 0 ? { offset: own!.offset[index]!, length: ownLength } : spans[batch.head[index]!];
      offset[index] = span?.offset ?? 0;
      length[index] = span?.length ?? 0;
    }
    attributes.push({ name, offset, length });
  }
  const text = new Uint8Array(end);
  let at = 0;
  for (const part of parts) {
    text.set(part, at);
    at += part.length;
  }
  return { attributes, text };
}
