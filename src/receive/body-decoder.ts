/**
 * Decodes the bodies of a protocol, so that a large one does not delay other requests. A usual body is decoded at once.
 * A large one is decoded in slices, one after the other. Meanwhile other bodies are decoded by a second decoder, because
 * a decoder has the state of its body.
 *
 * The bytes of a large body count against the memory for bodies in progress until it is decoded.
 */
import { type BodiesInProgress, Reservation } from "../http/body.ts";
import { ConcurrencyLimit } from "../model/concurrency-limit.ts";
import { atOnce, inSlices } from "../model/tasks/time-slices.ts";

/** Usual bodies of this size are decoded in 2 ms. Any other takes at most some 40. */
export const LARGE_BODY_BYTES_MIN = 131_072;

/** Decoding in steps, between which it may pause. It returns what was decoded. */
export type Decoding<Decoded> = Generator<void, Decoded>;

export class BodyDecoder<Decoder> {
  readonly #make: () => Decoder;
  readonly #inProgress: BodiesInProgress;
  /** Made for the first body: most gateways get bodies of a few protocols. */
  #usual: Decoder | undefined;
  #second: Decoder | undefined;
  /** Whether the usual decoder has paused within a body. */
  #isPaused = false;
  readonly #large = new ConcurrencyLimit(1, {
    tasks: "large bodies",
    waitingPerRunning: Number.POSITIVE_INFINITY,
  });

  constructor(make: () => Decoder, inProgress: BodiesInProgress) {
    this.#make = make;
    this.#inProgress = inProgress;
  }

  /**
   * Decodes a body.
   *
   * @param bytes the size of the body
   * @throws what `decoding` throws; Busy if the large bodies in progress use all memory for bodies
   */
  decode<Decoded>(
    bytes: number,
    decoding: (decoder: Decoder) => Decoding<Decoded>,
  ): Decoded | Promise<Decoded> {
    if (bytes < LARGE_BODY_BYTES_MIN) return atOnce(decoding(this.#free()));
    return this.#decodeLarge(bytes, decoding);
  }

  /** Calls `change` for each decoder. */
  eachDecoder(change: (decoder: Decoder) => void): void {
    change(this.#first());
    if (this.#second !== undefined) change(this.#second);
  }

  #first(): Decoder {
    this.#usual ??= this.#make();
    return this.#usual;
  }

  #free(): Decoder {
    if (!this.#isPaused) return this.#first();
    this.#second ??= this.#make();
    return this.#second;
  }

  #decodeLarge<Decoded>(bytes: number, decoding: (decoder: Decoder) => Decoding<Decoded>): Promise<Decoded> {
    return holding(bytes, this.#inProgress, () =>
      this.#large.run(async () => {
        this.#isPaused = true;
        try {
          return await inSlices(decoding(this.#first()));
        } finally {
          this.#isPaused = false;
        }
      }),
    );
  }
}

/** As `BodyDecoder.decode`, for a protocol whose decoder has no state between bodies. */
export function decodeBody<Decoded>(
  bytes: number,
  inProgress: BodiesInProgress,
  decoding: () => Decoding<Decoded>,
): Decoded | Promise<Decoded> {
  if (bytes < LARGE_BODY_BYTES_MIN) return atOnce(decoding());
  return holding(bytes, inProgress, () => inSlices(decoding()));
}

/** Runs a task while the bytes of its body are reserved. */
async function holding<Result>(
  bytes: number,
  inProgress: BodiesInProgress,
  task: () => Promise<Result>,
): Promise<Result> {
  const reservation = new Reservation(inProgress);
  reservation.grow(bytes);
  try {
    return await task();
  } finally {
    reservation.release();
  }
}
