/**
 * A binary heap of bounded size with the worst item at its root. It moves items as Go's container/heap does: the moves
 * decide which of several equal items topk() keeps, and dashboards should show the same ones as with Prometheus.
 */
export class BoundedHeap {
  readonly items: number[] = [];
  readonly #size: number;
  readonly #worse: (a: number, b: number) => boolean;

  constructor(size: number, worse: (a: number, b: number) => boolean) {
    this.#size = size;
    this.#worse = worse;
  }

  get isFull(): boolean {
    return this.items.length >= this.#size;
  }

  get root(): number {
    return this.items[0];
  }

  push(item: number): void {
    this.items.push(item);
    let at = this.items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(this.items[at], this.items[parent])) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  replaceRoot(item: number): void {
    this.items[0] = item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.items.length) return;
      if (child + 1 < this.items.length && this.#worse(this.items[child + 1], this.items[child])) child++;
      if (!this.#worse(this.items[child], this.items[at])) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const { items } = this;
    [items[a], items[b]] = [items[b], items[a]];
  }
}
