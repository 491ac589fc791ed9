/**
 * Decodes the bodies of a protocol, so that a large one does not delay other requests. A usual body is decoded at once.
 * A large one is decoded in slices, one after the other. Meanwhile other bodies are decoded by a second decoder, because
 * a decoder has the state of its body.
 *
 * The bytes of a large body count against the memory for bodies in progress until it is decoded.
 *
 * A decoder is made for its first body, because most gateways get bodies of a few protocols.
 */
import { type BodiesInProgress, Reservation } from "../http/body.ts";
import { ConcurrencyLimit } from "../model/concurrency-limit.ts";
import { atOnce, inSlices } from "../model/tasks/time-slices.ts";

/** Usual bodies of this size are decoded in 2 ms. Any other takes at most some 40. */
export const LARGE_BODY_BYTES_MIN = 131_072;

/** Decoding in steps, between which it may pause. It returns what was decoded. */
export type Decoding<Decoded> = Generator<void, Decoded>;

/** How a decoder is made. The modules of most are loaded for their first body: `load` resolves to what makes one. */
type Making<Decoder> = (() => Decoder) | { readonly load: () => Promise<() => Decoder> };

export class BodyDecoder<Decoder> {
  #making: Making<Decoder>;
  readonly #inProgress: BodiesInProgress;
  #usual: Decoder | undefined;
  #second: Decoder | undefined;
  /** Whether the usual decoder has paused within a body. */
  #isPaused = false;
  readonly #large = new ConcurrencyLimit(1, {
    tasks: "large bodies",
    waitingPerRunning: Number.POSITIVE_INFINITY,
  });

  constructor(making: Making<Decoder>, inProgress: BodiesInProgress) {
    this.#making = making;
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
    const making = this.#making;
    if (typeof making === "function") return this.#decode(making, bytes, decoding);
    return making.load().then((make) => {
      this.#making = make;
      return this.#decode(make, bytes, decoding);
    });
  }

  /** Calls `change` for each decoder. There is none before its modules are loaded. */
  eachDecoder(change: (decoder: Decoder) => void): void {
    if (typeof this.#making === "function") change(this.#first(this.#making));
    if (this.#second !== undefined) change(this.#second);
  }

  #decode<Decoded>(
    make: () => Decoder,
    bytes: number,
    decoding: (decoder: Decoder) => Decoding<Decoded>,
  ): Decoded | Promise<Decoded> {
    if (bytes < LARGE_BODY_BYTES_MIN) return atOnce(decoding(this.#free(make)));
    return this.#decodeLarge(make, bytes, decoding);
  }

  #first(make: () => Decoder): Decoder {
    this.#usual ??= make();
    return this.#usual;
  }

  #free(make: () => Decoder): Decoder {
    if (!this.#isPaused) return this.#first(make);
    this.#second ??= make();
    return this.#second;
  }

  #decodeLarge<Decoded>(
    make: () => Decoder,
    bytes: number,
    decoding: (decoder: Decoder) => Decoding<Decoded>,
  ): Promise<Decoded> {
    return holding(bytes, this.#inProgress, () =>
      this.#large.run(async () => {
        this.#isPaused = true;
        try {
          return await inSlices(decoding(this.#first(make)));
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
