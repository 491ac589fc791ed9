/**
 * Values by the bytes of a message, such as what was decoded from it. A sender repeats its messages in the same order,
 * so the value that followed another one the last time is tried first.
 */

interface Link<Value> {
  readonly key: Buffer;
  readonly value: Value;
  next: Link<Value> | undefined;
}

export class ByteKeys<Value> {
  readonly #links = new Map<string, Link<Value>>();
  #first: Link<Value> | undefined;
  #last: Link<Value> | undefined;

  /** Starts a list: the value that began the list before it is expected next. */
  begin(): void {
    this.#last = undefined;
  }

  /** The value of the bytes from `from` up to, not including, `to`. If there is none, it is made and kept. */
  get(bytes: Buffer, from: number, to: number, make: () => Value): Value {
    const expected = this.#last === undefined ? this.#first : this.#last.next;
    if (
      expected !== undefined &&
      expected.key.length === to - from &&
      expected.key.compare(bytes, from, to) === 0
    ) {
      this.#last = expected;
      return expected.value;
    }
    const name = bytes.toString("latin1", from, to);
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { key: Buffer.from(bytes.subarray(from, to)), value: make(), next: undefined };
      this.#links.set(name, link);
    }
    if (this.#last === undefined) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    return link.value;
  }
}
