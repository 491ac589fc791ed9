/**
 * What ingest knows about each head, kept by the object of the head: a head belongs to the decoder that made it.
 *
 * A decoder returns the same heads again and again, and a note lives as long as its head. The notes of a batch are
 * looked up once, for all decisions about it. A look-up costs 10 to 20 ns; with one look-up per decision and head,
 * `scripts/bench remote-write` took twice that. The notes of a list of heads that a decoder repeats are one list, too.
 */
import type { SeriesHead } from "../../model/sample.ts";
import type { AdmissionDecision } from "./admission.ts";
import type { EchoDecision } from "./echoes.ts";

/** What is kept about a shorter list costs as much as it saves. */
export const LIST_LENGTH_MIN = 16;
/** Heads that are looked up without a pause: 10 µs. */
const HEADS_AT_ONCE = 512;

export interface HeadNote {
  admission?: AdmissionDecision;
  echo?: EchoDecision;
}

export class HeadNotes {
  readonly #notes = new WeakMap<SeriesHead, HeadNote>();
  readonly #lists = new WeakMap<readonly SeriesHead[], readonly HeadNote[]>();

  /** The notes of some heads, in their order. They are made for new heads. For the same list they are the same list. */
  of(heads: readonly SeriesHead[]): readonly HeadNote[] {
    const known = this.#lists.get(heads);
    if (known !== undefined) return known;
    const notes = heads.map((head) => this.#ofHead(head));
    if (notes.length >= LIST_LENGTH_MIN) this.#lists.set(heads, notes);
    return notes;
  }

  /** The same for many heads, as a task in slices. */
  *ofMany(heads: readonly SeriesHead[]): Generator<void, readonly HeadNote[]> {
    const known = this.#lists.get(heads);
    if (known !== undefined) return known;
    const notes: HeadNote[] = [];
    for (const head of heads) {
      if (notes.push(this.#ofHead(head)) % HEADS_AT_ONCE === 0) yield;
    }
    this.#lists.set(heads, notes);
    return notes;
  }

  #ofHead(head: SeriesHead): HeadNote {
    let note = this.#notes.get(head);
    if (note === undefined) {
      note = { admission: undefined, echo: undefined };
      this.#notes.set(head, note);
    }
    return note;
  }
}
