/**
 * What gRPC sends over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): messages with a prefix of
 * five bytes, timeouts, and statuses in trailers. Pure.
 */
import { BadInput, quote, TooLarge, Unsupported } from "../../../model/errors.ts";

/** One byte says whether the message is compressed, four are its length. */
const PREFIX_BYTES = 5;

/** A message as it arrived. */
export interface GrpcMessage {
  readonly isCompressed: boolean;
  readonly bytes: Uint8Array;
}

/** Puts the one message of a request together, from the parts in which it arrives. */
export class MessageReader {
  readonly #bytesMax: number;
  /** Doubles as parts arrive, so that a prefix alone cannot reserve memory, and many small parts cost no more than one. */
  #buffer = new Uint8Array(0);
  #length = 0;
  /** Bytes with the prefix, once it has arrived. */
  #expected: number | undefined;

  /** @param bytesMax bytes of a message as it arrives (setting bodyBytesMax) */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Adds a part, and copies it.
   *
   * @throws TooLarge as soon as the prefix says so; BadInput if the prefix is invalid or a second message begins
   */
  add(part: Uint8Array): void {
    const length = this.#length + part.length;
    if (this.#expected !== undefined && length > this.#expected) throw severalMessages();
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#length);
    this.#length = length;
    if (this.#expected !== undefined || length < PREFIX_BYTES) return;
    this.#expected = this.#readPrefix();
    if (length > this.#expected) throw severalMessages();
  }

  /**
   * The message, after the last part.
   *
   * @throws BadInput if there is none, or if it is truncated
   */
  end(): GrpcMessage {
    if (this.#length === 0) throw new BadInput("The request has no message; expected exactly one.");
    if (this.#length !== this.#expected) {
      const expected = this.#expected ?? `at least ${PREFIX_BYTES}`;
      throw new BadInput(
        `The message ends after ${this.#length} bytes with its prefix, expected ${expected}.`,
      );
    }
    return { isCompressed: this.#buffer[0] === 1, bytes: this.#buffer.subarray(PREFIX_BYTES, this.#length) };
  }

  #readPrefix(): number {
    const flag = this.#buffer[0]!;
    const bytes = new DataView(this.#buffer.buffer).getUint32(1);
    if (flag > 1) {
      throw new BadInput(`The first byte of the message is ${flag}, expected 0 or 1 (1: it is compressed).`);
    }
    if (bytes > this.#bytesMax) {
      throw new TooLarge(
        `A message may have ${this.#bytesMax} bytes (setting bodyBytesMax) and has ${bytes}.`,
      );
    }
    return PREFIX_BYTES + bytes;
  }
}

function severalMessages(): BadInput {
  return new BadInput("The request has more than one message; expected exactly one.");
}

/** A message that is not compressed, with its prefix. */
export function frameOf(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** The supported values of `grpc-encoding`, beside `identity`. */
const ENCODINGS = ["gzip", "deflate", "zstd", "snappy"] as const;

export type MessageEncoding = (typeof ENCODINGS)[number];

/** The value of `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = ["identity", ...ENCODINGS].join(",");

/**
 * The encoding that `grpc-encoding` names. Undefined if messages are not compressed.
 *
 * @throws Unsupported
 */
export function messageEncoding(header: string | undefined): MessageEncoding | undefined {
  if (header === undefined || header === "identity") return undefined;
  const found = ENCODINGS.find((encoding) => encoding === header);
  if (found !== undefined) return found;
  throw new Unsupported(
    `grpc-encoding ${quote(header)} is not supported, expected one of ${ACCEPTED_ENCODINGS}.`,
  );
}

const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Milliseconds of a `grpc-timeout` such as `10S`. Undefined if the client waits without a limit.
 *
 * @throws BadInput
 */
export function timeoutMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const [, digits, unit] = /^([0-9]{1,8})([HMSmun])$/.exec(header) ?? [];
  if (digits === undefined || unit === undefined) {
    throw new BadInput(
      `grpc-timeout is ${quote(header)}, expected up to 8 digits and one of H, M, S, m, u, n.`,
    );
  }
  return Number(digits) * TIMEOUT_UNITS_MS[unit]!;
}

/** A message of `grpc-message`: UTF-8, percent-encoded outside of printable ASCII. */
export function percentEncoded(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");
}
