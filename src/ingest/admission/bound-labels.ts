/**
 * The labels that a token adds to everything that it pushes. A sample that has another value of such a tag is rejected, as
 * a label or as an attribute, so that a token cannot write the series of another one.
 */
import type { Counters } from "../../model/counters.ts";
import { Forbidden, quote } from "../../model/errors.ts";
import type { SenderTerms } from "../../model/protocol.ts";
import type { Batch, Labels, Rejection } from "../../model/sample.ts";
import type { PushOptions } from "../contract.ts";
import { describe } from "./admission.ts";
import { LETTERS_PER_PUSH_MAX } from "./dead-letters.ts";
import { pickSamples } from "./row-columns.ts";

const NO_LABELS: Labels = new Map();

export class BoundLabels {
  readonly #counters: Pick<Counters, "exemplarsDropped">;
  /** The labels of a push with those of a token, as one object, by which later decisions are recognised. */
  readonly #merged = new WeakMap<Labels, WeakMap<Labels, Labels>>();

  constructor(counters: Pick<Counters, "exemplarsDropped">) {
    this.#counters = counters;
  }

  /**
   * The batch without the samples that conflict with the bound labels, which are among its rejected ones; and the options
   * with these labels as extra labels.
   *
   * @throws Forbidden if the extra labels of the push conflict, or if it imports a file: imports are not separated by
   *   token
   */
  apply(
    batch: Batch,
    options: PushOptions,
    terms: SenderTerms,
  ): { readonly batch: Batch; readonly options: PushOptions } {
    const { boundLabels: bound, extraLabels = NO_LABELS } = options;
    if (bound === undefined) return { batch, options };
    if (options.imported !== undefined)
      throw new Forbidden("The token has labels, and such a token cannot import files.");
    const extra = this.#merge(bound, extraLabels);
    return { batch: this.#checked(batch, bound, terms), options: { ...options, extraLabels: extra } };
  }

  #merge(bound: Labels, extra: Labels): Labels {
    const known = this.#merged.get(bound)?.get(extra);
    if (known !== undefined) return known;
    for (const [name, value] of bound) {
      const given = extra.get(name);
      if (given !== undefined && given !== value) throw new Forbidden(`${conflictOf(name, given, value)}.`);
    }
    const merged = new Map([...extra, ...bound]);
    let byExtra = this.#merged.get(bound);
    if (byExtra === undefined) {
      byExtra = new WeakMap();
      this.#merged.set(bound, byExtra);
    }
    byExtra.set(extra, merged);
    return merged;
  }

  #checked(batch: Batch, bound: Labels, terms: SenderTerms): Batch {
    const reasonOfHead = batch.heads.map(({ labels }) => reasonOf(labels, bound, terms));
    const columns = batch.attributes.filter(({ name }) => bound.has(name));
    if (columns.length === 0 && reasonOfHead.every((reason) => reason === undefined)) return batch;
    const text = Buffer.from(batch.text.buffer, batch.text.byteOffset, batch.text.byteLength);
    const kept: number[] = [];
    const rejected: Rejection[] = [];
    for (let index = 0; index < batch.length; index++) {
      const attributes = columns.flatMap(({ name, offset, length }): [string, string][] => {
        const from = offset[index]!;
        const bytes = length[index]!;
        return bytes === 0 ? [] : [[name, text.toString("utf8", from, from + bytes)]];
      });
      const head = batch.head[index]!;
      const reason = reasonOfHead[head] ?? reasonOf(new Map(attributes), bound, terms);
      if (reason === undefined) kept.push(index);
      else {
        const payload = rejected.length < LETTERS_PER_PUSH_MAX ? describe(batch, index, terms) : "";
        rejected.push({ index: batch.position[index]!, cause: "token", reason, payload });
      }
    }
    const exemplars = batch.exemplars?.filter(({ head }) => reasonOfHead[head] === undefined);
    const dropped = (batch.exemplars?.length ?? 0) - (exemplars?.length ?? 0);
    if (dropped > 0) this.#counters.exemplarsDropped.inc(dropped);
    const rest = pickSamples({ ...batch, exemplars }, kept);
    return { ...rest, rejected: [...batch.rejected, ...rejected] };
  }
}

function reasonOf(labels: Labels, bound: Labels, { label }: SenderTerms): string | undefined {
  for (const [name, value] of bound) {
    const given = labels.get(name);
    if (given !== undefined && given !== value) return `${label} ${conflictOf(name, given, value)}`;
  }
  return undefined;
}

function conflictOf(name: string, given: string, value: string): string {
  return `${name} is ${quote(given)}, but the token has the label ${name}=${quote(value)}`;
}
