/**
 * Keys of committed pushes with their answers, for a day, in 45 bytes each: an entry of a Map takes 350. A key is kept as
 * a hash of 128 bits, and its body as one of 64, with seeds of this process, so that nobody can prepare two that collide.
 *
 * Keys are kept in generations, tables of open addressing that are filled one after the other. Past the limit the
 * oldest generation is dropped as a whole.
 */

/** Four words of the key's hash, two of the body's, the second of receipt, the number of the answer. */
const WORDS = 8;
const SLOT_BYTES = WORDS * Uint32Array.BYTES_PER_ELEMENT;
const BODY = 4;
const RECEIVED = 6;
const ANSWER = 7;
/** Slots of a new generation. It doubles until it has `slotsMax`. */
const SLOTS_MIN = 4;
const SLOTS_MAX = 262_144;
/** A generation is at most this part of the limit, so that dropping one forgets few keys. */
const GENERATIONS_MIN = 8;
/** A text beside its characters: the string, and its entry in the Map. */
const TEXT_BYTES = 100;

/** A key of a committed push. */
export interface SettledKey {
  readonly bodyMatches: boolean;
  /** The answer as JSON. */
  readonly answer: string;
}

/** What was dropped because of the limit. */
export interface DroppedKeys {
  readonly count: number;
  /** When the newest of them was received, in whole seconds. */
  readonly receivedAtMs: number;
}

const SEEDS = crypto.getRandomValues(new BigUint64Array(3));
/** The hash that is looked for: three numbers of 64 bits, and the same memory as words. */
const wanted64 = new BigUint64Array(3);
const wanted = new Uint32Array(wanted64.buffer);

function hash(key: string, bodyHash: string): void {
  wanted64[0] = Bun.hash.xxHash64(key, SEEDS[0]!);
  wanted64[1] = Bun.hash.xxHash64(key, SEEDS[1]!);
  wanted64[2] = Bun.hash.xxHash64(bodyHash, SEEDS[2]!);
}

export class SettledKeys {
  readonly #bytesMax: number;
  readonly #slotsMax: number;
  /** The oldest first. */
  readonly #generations: Generation[] = [];
  /** Keys that were received before this second have expired. */
  #expiredBefore = 0;

  /** @param bytesMax memory for keys and answers */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    const slots = bytesMax / GENERATIONS_MIN / SLOT_BYTES;
    this.#slotsMax = Math.min(SLOTS_MAX, 2 ** Math.floor(Math.log2(Math.max(SLOTS_MIN, slots))));
  }

  find(key: string, bodyHash: string): SettledKey | undefined {
    hash(key, bodyHash);
    for (let index = this.#generations.length - 1; index >= 0; index--) {
      const generation = this.#generations[index]!;
      const slot = generation.find();
      if (slot === -1) continue;
      if (generation.words[slot + RECEIVED]! < this.#expiredBefore) return undefined;
      const bodyMatches =
        generation.words[slot + BODY] === wanted[BODY] &&
        generation.words[slot + BODY + 1] === wanted[BODY + 1];
      return { bodyMatches, answer: generation.answers[generation.words[slot + ANSWER]!]! };
    }
    return undefined;
  }

  /** Keeps a key. Returns what had to be dropped for it. */
  add(key: string, bodyHash: string, receivedAtMs: number, answer: string): DroppedKeys | undefined {
    let generation = this.#generations.at(-1);
    if (!generation?.hasRoom(this.#slotsMax, this.#bytesMax / GENERATIONS_MIN)) {
      generation = new Generation();
      this.#generations.push(generation);
    }
    hash(key, bodyHash);
    generation.add(Math.floor(receivedAtMs / 1000), answer);
    return this.#dropPastLimit();
  }

  /** Forgets the keys that were received before a time. */
  forgetBefore(receivedMs: number): void {
    this.#expiredBefore = Math.ceil(receivedMs / 1000);
    while (this.#generations.length > 0 && this.#generations[0]!.newest < this.#expiredBefore)
      this.#generations.shift();
  }

  #dropPastLimit(): DroppedKeys | undefined {
    let bytes = 0;
    for (const generation of this.#generations) bytes += generation.bytes;
    let count = 0;
    let newest = 0;
    while (bytes > this.#bytesMax && this.#generations.length > 1) {
      const oldest = this.#generations.shift()!;
      bytes -= oldest.bytes;
      count += oldest.count;
      newest = Math.max(newest, oldest.newest);
    }
    return count === 0 ? undefined : { count, receivedAtMs: 1000 * newest };
  }
}

/** One table. Callers of `find` and `add` have set `wanted`. */
class Generation {
  words = new Uint32Array(WORDS * SLOTS_MIN);
  readonly answers: string[] = [];
  count = 0;
  /** The second at which its newest key was received. */
  newest = 0;
  readonly #numberOf = new Map<string, number>();
  #answerBytes = 0;

  get bytes(): number {
    return this.words.byteLength + this.#answerBytes;
  }

  hasRoom(slotsMax: number, answerBytesMax: number): boolean {
    return this.count < 0.75 * slotsMax && this.#answerBytes < answerBytesMax;
  }

  /** The position of the wanted key, or -1. */
  find(): number {
    const slot = this.#slot(wanted);
    return this.words[slot + RECEIVED] === 0 ? -1 : slot;
  }

  add(receivedAt: number, answer: string): void {
    if (4 * (this.count + 1) > (3 * this.words.length) / WORDS) this.#grow();
    let number = this.#numberOf.get(answer);
    if (number === undefined) {
      number = this.answers.push(answer) - 1;
      this.#numberOf.set(answer, number);
      this.#answerBytes += TEXT_BYTES + 2 * answer.length;
    }
    const slot = this.#slot(wanted);
    if (this.words[slot + RECEIVED] === 0) this.count++;
    this.words.set(wanted, slot);
    // 0 is a free slot.
    this.words[slot + RECEIVED] = Math.max(1, receivedAt);
    this.words[slot + ANSWER] = number;
    this.newest = Math.max(this.newest, receivedAt);
  }

  /** Where a key is, or the free slot where it belongs. */
  #slot(key: Uint32Array): number {
    const { words } = this;
    const last = words.length - WORDS;
    let slot = (key[0]! * WORDS) % words.length;
    while (
      words[slot + RECEIVED] !== 0 &&
      !(
        words[slot] === key[0] &&
        words[slot + 1] === key[1] &&
        words[slot + 2] === key[2] &&
        words[slot + 3] === key[3]
      )
    ) {
      slot = slot === last ? 0 : slot + WORDS;
    }
    return slot;
  }

  #grow(): void {
    const old = this.words;
    this.words = new Uint32Array(2 * old.length);
    for (let at = 0; at < old.length; at += WORDS) {
      if (old[at + RECEIVED] === 0) continue;
      const entry = old.subarray(at, at + WORDS);
      this.words.set(entry, this.#slot(entry));
    }
  }
}
