/**
 * Gathers the parts in which bytes arrive. HTTP allows a chunk per byte, and an array of one byte takes some 200 bytes of
 * memory. So small parts are copied together, and the memory stays close to the number of bytes. Large parts are not
 * copied until they are joined.
 */

/** A smaller part is copied. */
const PART_BYTES_MIN = 4_096;
const SMALL_BYTES = 65_536;

export class ByteParts {
  #parts: Uint8Array[] = [];
  /** Small parts, one after the other. Allocated with the first. */
  #small: Uint8Array | undefined;
  #smallLength = 0;
  /** The bytes of all parts. */
  length = 0;

  add(part: Uint8Array): void {
    this.length += part.length;
    if (part.length >= PART_BYTES_MIN) {
      this.#flush();
      this.#parts.push(part);
      return;
    }
    if (this.#smallLength + part.length > SMALL_BYTES) this.#flush();
    this.#small ??= new Uint8Array(SMALL_BYTES);
    this.#small.set(part, this.#smallLength);
    this.#smallLength += part.length;
  }

  /** Returns all bytes in their order, and begins again. */
  take(): Uint8Array {
    this.#flush();
    const parts = this.#parts;
    const { length } = this;
    this.#parts = [];
    this.length = 0;
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #flush(): void {
    if (this.#smallLength === 0) return;
    this.#parts.push(this.#small!.slice(0, this.#smallLength));
    this.#smallLength = 0;
  }
}
