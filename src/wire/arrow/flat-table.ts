/**
 * Reads tables of FlatBuffers (https://flatbuffers.dev/internals/), which Arrow uses for the metadata of its messages. It
 * reads only what is asked, and copies nothing.
 *
 * The bytes are those of a sender. A position outside of them is a RangeError, which the caller turns into its error.
 */

const decoder = new TextDecoder("utf-8", { fatal: true });

export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  /** Where the table of its fields begins, and how many bytes that has. */
  readonly #fields: number;
  readonly #fieldsBytes: number;

  /** @param at the position of the table in the view */
  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#fields = at - view.getInt32(at, true);
    this.#fieldsBytes = view.getUint16(this.#fields, true);
  }

  /** The root table of a buffer. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** The position of a field; 0 if the table does not have it. */
  #field(index: number): number {
    const entry = 4 + index * 2;
    if (entry + 2 > this.#fieldsBytes) return 0;
    const offset = this.#view.getUint16(this.#fields + entry, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  has(index: number): boolean {
    return this.#field(index) !== 0;
  }

  uint8(index: number): number {
    const at = this.#field(index);
    return at === 0 ? 0 : this.#view.getUint8(at);
  }

  int16(index: number): number {
    const at = this.#field(index);
    return at === 0 ? 0 : this.#view.getInt16(at, true);
  }

  int32(index: number, absent = 0): number {
    const at = this.#field(index);
    return at === 0 ? absent : this.#view.getInt32(at, true);
  }

  /** A 64-bit integer. One beyond 2^53 is not exact. */
  int64(index: number): number {
    const at = this.#field(index);
    return at === 0 ? 0 : Number(this.#view.getBigInt64(at, true));
  }

  text(index: number): string | undefined {
    const at = this.#field(index);
    if (at === 0) return undefined;
    const from = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(from, true);
    if (from + 4 + length > this.#view.byteLength) throw new RangeError("a text ends outside");
    return decoder.decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + from + 4, length));
  }

  table(index: number): FlatTable | undefined {
    const at = this.#field(index);
    return at === 0 ? undefined : new FlatTable(this.#view, at + this.#view.getUint32(at, true));
  }

  /** The number of the elements of a list, and the position of the first. */
  #list(index: number, elementBytes: number): { length: number; at: number } {
    const at = this.#field(index);
    if (at === 0) return { length: 0, at: 0 };
    const from = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(from, true);
    if (from + 4 + length * elementBytes > this.#view.byteLength) throw new RangeError("a list ends outside");
    return { length, at: from + 4 };
  }

  tables(index: number): FlatTable[] {
    const { length, at } = this.#list(index, 4);
    return Array.from({ length }, (_, element) => {
      const from = at + element * 4;
      return new FlatTable(this.#view, from + this.#view.getUint32(from, true));
    });
  }

  /** A list of structs that consist of 64-bit integers: all of their integers, one struct after the other. */
  int64s(index: number, perElement: number): Float64Array {
    const { length, at } = this.#list(index, 8 * perElement);
    const found = new Float64Array(length * perElement);
    for (let element = 0; element < found.length; element++)
      found[element] = Number(this.#view.getBigInt64(at + element * 8, true));
    return found;
  }
}
