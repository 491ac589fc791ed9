/**
 * What ingest knows about each head, kept by the object of the head: a head belongs to the decoder that made it.
 *
 * A decoder returns the same heads again and again, and a note lives as long as its head. The notes of a batch are
 * looked up once, for all decisions about it. A look-up costs 10 to 20 ns; with one look-up per decision and head,
 * `scripts/bench remote-write` took twice that. The notes of a list of heads that a decoder repeats are one list, too.
 *
 * The note is a private field of the head. A WeakMap of 300,000 heads took four times as long per look-up. Above all,
 * JavaScript's collector reads a whole WeakMap in each of its pauses, also in those for young objects only: they took 70
 * to 180 ms, and take 1 ms without it.
 */
import type { SeriesHead } from "../../model/sample.ts";
import type { AdmissionDecision } from "./admission.ts";
import type { EchoDecision } from "./echoes.ts";

/** What is kept about a shorter list costs as much as it saves. */
export const LIST_LENGTH_MIN = 16;
/** Heads that are looked up without a pause: 10 µs. */
const HEADS_AT_ONCE = 512;

export interface HeadNote {
  /** Whose note it is: two gateways of a process may be sent the same head. */
  readonly owner: HeadNotes;
  admission: AdmissionDecision | undefined;
  echo: EchoDecision | undefined;
}

/** The constructor returns the head itself. So a class that extends this one adds its fields to the head. */
class SameHead {
  constructor(head: SeriesHead) {
    // biome-ignore lint/correctness/noConstructorReturn: see above
    return head as object as SameHead;
  }
}

/** A head with a note. No other code sees the field, and a copy of the head does not have it. */
class NotedHead extends SameHead {
  #note: HeadNote | undefined;

  static noteOf(head: SeriesHead | NotedHead): HeadNote | undefined {
    return #note in head ? head.#note : undefined;
  }

  static setNote(head: SeriesHead | NotedHead, note: HeadNote): void {
    const noted = #note in head ? head : new NotedHead(head);
    noted.#note = note;
  }
}

export class HeadNotes {
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
    const known = NotedHead.noteOf(head);
    if (known !== undefined && known.owner === this) return known;
    const note: HeadNote = { owner: this, admission: undefined, echo: undefined };
    NotedHead.setNote(head, note);
    return note;
  }
}
