/**
 * The receivers that have series of their own, by protocol. A sample of such a series that arrives by another protocol
 * is historical: its owner alone decides what the series exposes.
 */
import type { SeriesOwner } from "./contract.ts";

export class Owners implements SeriesOwner {
  readonly #byProtocol: ReadonlyMap<string, SeriesOwner>;
  readonly #all: readonly SeriesOwner[];

  constructor(byProtocol: ReadonlyMap<string, SeriesOwner> = new Map()) {
    this.#byProtocol = byProtocol;
    this.#all = [...byProtocol.values()];
  }

  /** Whether any owner has the series. */
  holds(seriesId: number): boolean {
    return isHeld(this.#all, seriesId);
  }

  get holdsAny(): boolean {
    return this.#all.some(({ holdsAny }) => holdsAny);
  }

  /**
   * A function that returns whether the owner of another protocol has a series. Undefined if no such owner has any at the
   * moment: then nothing has to be asked for each sample, which takes 0.06 µs.
   */
  heldByOthers(protocol: string): ((seriesId: number) => boolean) | undefined {
    const own = this.#byProtocol.get(protocol);
    const others = this.#all.filter((owner) => owner !== own && owner.holdsAny);
    return others.length === 0 ? undefined : (seriesId) => isHeld(others, seriesId);
  }

  committed(): void {
    for (const owner of this.#all) owner.committed();
  }

  failed(): void {
    for (const owner of this.#all) owner.failed();
  }
}

function isHeld(owners: readonly SeriesOwner[], seriesId: number): boolean {
  for (const owner of owners) if (owner.holds(seriesId)) return true;
  return false;
}
