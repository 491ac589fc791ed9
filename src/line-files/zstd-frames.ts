/**
 * Walks the frames and blocks of zstd data (https://www.rfc-editor.org/rfc/rfc8878#section-3.1) without decoding them.
 * The runtime's decoder ends without an error if the data are truncated or followed by other data. Pure.
 */

const MAGIC = 0xfd2fb528;
/** The last four bits of a skippable frame's magic number may have any value. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const [CONTENT_SIZE_BYTES, DICTIONARY_BYTES] = [
  [0, 2, 4, 8],
  [0, 1, 2, 4],
];

type Part = "magic" | "descriptor" | "skippable" | "block" | "other";
/** Bytes of each part that determine the next part. */
const PART_BYTES = { magic: 4, descriptor: 1, skippable: 4, block: 3 } as const;

export class ZstdFrames {
  #part: Part = "magic";
  /** The bytes of the part that were read so far. */
  #seen: number[] = [];
  /** Bytes to skip before the part. */
  #skip = 0;
  #hasChecksum = false;
  #isOther = false;

  /** Reads the next bytes of the data. */
  pass(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#part === "other") {
        // A power cut or a tape leaves zeros after the data.
        this.#isOther ||= bytes.subarray(at).some((byte) => byte !== 0);
        return;
      }
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      this.#seen.push(bytes[at++]!);
      if (this.#seen.length < PART_BYTES[this.#part]) continue;
      const part = this.#seen;
      this.#seen = [];
      this.#end(part);
    }
  }

  /** The fault of the data if they end here; undefined if there is none. */
  problem(): "cut" | "other data" | undefined {
    if (this.#isOther) return "other data";
    const isWhole =
      this.#part === "other" || (this.#part === "magic" && this.#seen.every((byte) => byte === 0));
    return isWhole && this.#skip === 0 ? undefined : "cut";
  }

  /** Determines the next part after a part was read completely. */
  #end(part: readonly number[]): void {
    const number = part.reduceRight((sum, byte) => sum * 256 + byte, 0);
    switch (this.#part) {
      case "magic":
        if (number === MAGIC) this.#part = "descriptor";
        else if (number - (number % 16) === SKIPPABLE_MAGIC) this.#part = "skippable";
        else {
          this.#part = "other";
          this.#isOther = number !== 0;
        }
        return;
      case "skippable":
        this.#skip = number;
        this.#part = "magic";
        return;
      case "descriptor": {
        const isSingleSegment = (number & 0x20) !== 0;
        this.#hasChecksum = (number & 4) !== 0;
        const sizeBytes = number >> 6 === 0 && isSingleSegment ? 1 : CONTENT_SIZE_BYTES[number >> 6]!;
        this.#skip = sizeBytes + DICTIONARY_BYTES[number & 3]! + (isSingleSegment ? 0 : 1);
        this.#part = "block";
        return;
      }
      case "block": {
        const isRunLength = ((number >> 1) & 3) === 1;
        const isLast = (number & 1) === 1;
        this.#skip = (isRunLength ? 1 : number >> 3) + (isLast && this.#hasChecksum ? 4 : 0);
        this.#part = isLast ? "magic" : "block";
        return;
      }
    }
  }
}
