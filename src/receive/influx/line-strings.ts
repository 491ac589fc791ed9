/**
 * The string fields of lines that identify no event. They are labels of the observations of their line, so lines with one
 * head and other strings have other series. What was seen before is found by the bytes of the strings.
 */
import type { Labels } from "../../model/sample.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import type { FieldSlot, LineHead, SeriesSlot } from "./line-heads.ts";
import { twice } from "./line-identifiers.ts";
import { type LineScanner, stringText } from "./line-scanner.ts";

/** The series of the fields of a head with certain strings, by the place of the field. */
interface LineStrings {
  readonly labels: Labels;
  /** In lines that are events, and in others. */
  readonly events: (SeriesSlot | undefined)[];
  readonly others: (SeriesSlot | undefined)[];
}

/** A text that differs in each line would fill any memory. If many series exist, two per series are remembered. */
const ENTRIES_MAX = 16_384;
/** Bytes of a place or a length in a key. */
const NUMBER_BYTES = 4;

export class RememberedStrings {
  readonly #blocks: LabelBlocks<LineStrings>;
  readonly #seed: number;
  #key = Buffer.allocUnsafeSlow(1_024);
  #length = 0;

  /**
   * @param seed of the hashes, so that a sender cannot choose strings that collide
   * @param seriesCount the number of series that exist
   */
  constructor(seed: number, seriesCount: () => number) {
    this.#seed = seed;
    this.#blocks = new LabelBlocks<LineStrings>(ENTRIES_MAX, { seriesCount, keepsHalf: true });
  }

  /** The entry of a line; or why its strings cannot be labels. */
  find(
    scanner: LineScanner,
    fields: readonly FieldSlot[],
    body: Buffer,
    head: LineHead,
  ): LineStrings | string {
    this.#makeKey(scanner, fields, body, head);
    const hash = blockHash(this.#key, 0, this.#length, this.#seed);
    const block = this.#blocks.find(this.#key, this.#length, hash);
    if (block >= 0) return this.#blocks.head(block);
    const labels = labelsOf(scanner, fields, body, head);
    if (typeof labels === "string") return labels;
    const entry: LineStrings = { labels, events: [], others: [] };
    this.#blocks.add(this.#key, this.#length, hash, entry);
    return entry;
  }

  clear(): void {
    this.#blocks.clear();
  }

  /** A key that only lines with this head and these strings have: the number of the head, and each string with its place. */
  #makeKey(scanner: LineScanner, fields: readonly FieldSlot[], body: Buffer, head: LineHead): void {
    let size = Float64Array.BYTES_PER_ELEMENT;
    for (let field = 0; field < scanner.fieldCount; field++)
      if (scanner.isText[field]) size += 2 * NUMBER_BYTES + scanner.textTo[field]! - scanner.textFrom[field]!;
    if (size > this.#key.length) this.#key = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#key.length));
    const key = this.#key;
    // A double counts further than any gateway runs.
    let length = key.writeDoubleLE(head.id, 0);
    for (let field = 0; field < scanner.fieldCount; field++) {
      const slot = fields[field]!;
      if (!scanner.isText[field] || slot.column !== undefined) continue;
      const from = scanner.textFrom[field]!;
      const to = scanner.textTo[field]!;
      length = key.writeUInt32LE(slot.place, length);
      length = key.writeUInt32LE(to - from, length);
      length += body.copy(key, length, from, to);
    }
    this.#length = length;
  }
}

function labelsOf(
  scanner: LineScanner,
  fields: readonly FieldSlot[],
  body: Buffer,
  head: LineHead,
): Labels | string {
  const labels = new Map<string, string>();
  for (let field = 0; field < scanner.fieldCount; field++) {
    const { name, column } = fields[field]!;
    const from = scanner.textFrom[field]!;
    const to = scanner.textTo[field]!;
    if (!scanner.isText[field] || column !== undefined || from === to) continue;
    if (head.tags.has(name)) return twice(name);
    labels.set(name, stringText(body, from, to));
  }
  return labels;
}
