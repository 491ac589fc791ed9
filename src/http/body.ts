/**
 * Reads the whole body of a request, within limits of size and time, and decompresses it.
 *
 * The bytes of all bodies of a gateway in progress are bounded together: past the bound a request gets 429 before its
 * body is read. At most `INFLATIONS_MAX` bodies are decompressed at a time.
 */

import { ConcurrencyLimit } from "../model/concurrency-limit.ts";
import { BadInput, Busy, Timeout, TooLarge } from "../model/errors.ts";
import { ByteParts } from "../wire/byte-parts.ts";
import { decompress, parseContentEncoding } from "../wire/compression/compression.ts";

export interface BodyLimits {
  /** Bytes as they arrive. */
  readonly bodyBytesMax: number;
  /** Bytes after decompression. */
  readonly inflatedBytesMax: number;
  /** The limit of a route that reads no larger bodies, whatever is set. An error then names no setting. */
  readonly routeBytesMax?: number;
  /** From the first read to the last byte. */
  readonly timeoutMs: number;
  /** What all bodies in progress share. */
  readonly inProgress: BodiesInProgress;
  /** Gets the bytes of each body as they arrived, also of a part of one, for the limits of its sender. */
  readonly onRead?: (bytes: number) => void;
}

/** Eight bodies of the default limit. Once a body is read, its push counts against the bytes of the queue. */
const UNDER_WAY_BYTES_MAX = 256 * 2 ** 20;

/** Each may use `inflatedBytesMax` of memory, and few machines that run the gateway have more cores. */
const INFLATIONS_MAX = 4;

/**
 * Above this size the bytes of a body are reserved as they arrive, and not by its Content-Length: otherwise a few
 * connections that announce the limit and send nothing would block all others.
 */
const PROMISED_BYTES_MAX = 4 * 2 ** 20;

/**
 * The body of a request, decompressed.
 *
 * @throws TooLarge, Unsupported, BadInput (corrupt or truncated), Timeout (408), Busy
 */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const layers = parseContentEncoding(request.headers.get("content-encoding"));
  return await receive(request, limits, async (body) =>
    layers.length === 0
      ? body
      : await limits.inProgress.inflations.run(() =>
          decompress(body, layers, limits.inflatedBytesMax, limitText(limits, "inflatedBytesMax")),
        ),
  );
}

/**
 * The body of a request as it arrived, for protocols with encodings of their own.
 *
 * @throws TooLarge, BadInput (truncated), Timeout (408), Busy
 */
export async function readEncodedBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  return await receive(request, limits, (body) => Promise.resolve(body));
}

/** Reads a body and passes it to `use`. Its bytes are reserved until `use` is done. */
async function receive(
  request: Request,
  limits: BodyLimits,
  use: (body: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const promised = promisedBytes(request);
  if (promised !== undefined && promised > limits.bodyBytesMax) {
    throw tooLarge(limits, ` and has ${promised}`);
  }
  const reservation = new Reservation(limits.inProgress);
  try {
    const { timeoutMs } = limits;
    let body: Uint8Array;
    if (promised === undefined || promised > PROMISED_BYTES_MAX) {
      const cancel = new AbortController();
      const reading = readStream(request, limits, reservation, cancel.signal);
      body = await withDeadline(request, timeoutMs, reading, cancel);
    } else {
      reservation.grow(promised);
      body = await withDeadline(request, timeoutMs, request.bytes());
    }
    if (body.length > limits.bodyBytesMax) throw tooLarge(limits, ` and has ${body.length}`);
    return await use(body);
  } finally {
    limits.onRead?.(reservation.bytes);
    reservation.release();
  }
}

function promisedBytes(request: Request): number | undefined {
  const header = request.headers.get("content-length");
  return header !== null && /^[0-9]{1,15}$/.test(header) ? Number(header) : undefined;
}

async function readStream(
  request: Request,
  limits: BodyLimits,
  reservation: Reservation,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array(0);
  const reader = request.body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  const parts = new ByteParts();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (parts.length + value.length > limits.bodyBytesMax) throw tooLarge(limits);
      reservation.grow(value.length);
      parts.add(value);
    }
  } catch (error) {
    cancel();
    throw error;
  } finally {
    signal.removeEventListener("abort", cancel);
  }
  return parts.take();
}

/** Waits for a read with a deadline. If the client disconnects, the body counts as truncated. */
async function withDeadline<T>(
  request: Request,
  timeoutMs: number,
  reading: Promise<T>,
  cancel?: AbortController,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => {
    reject(new Timeout(`The body did not arrive within ${timeoutMs} ms (setting bodyTimeoutMs).`));
    cancel?.abort();
  }, timeoutMs);
  reading.then(resolve, reject);
  try {
    return await promise;
  } catch (error) {
    if (request.signal.aborted) throw new BadInput("The connection closed before the body was complete.");
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(limits: BodyLimits, what = ""): TooLarge {
  return new TooLarge(
    `The body may have ${limits.bodyBytesMax} bytes (${limitText(limits, "bodyBytesMax")})${what || " and has more"}.`,
  );
}

function limitText(limits: BodyLimits, name: "bodyBytesMax" | "inflatedBytesMax"): string {
  return limits[name] === limits.routeBytesMax ? "the limit of this route" : `setting ${name}`;
}

/** The limits of a route that accepts `bytesMax` bytes in a body. A compressed body may have as many when it is unpacked. */
export function routeBodyLimits(limits: BodyLimits, bytesMax: number): BodyLimits {
  return {
    ...limits,
    bodyBytesMax: Math.min(limits.bodyBytesMax, bytesMax),
    inflatedBytesMax: Math.min(limits.inflatedBytesMax, bytesMax),
    routeBytesMax: bytesMax,
  };
}

/** The bodies that a gateway is reading: their bytes, and how many are being decompressed. */
export class BodiesInProgress {
  #bytes = 0;
  /** Decompressions. Each is of a body that is read, so the memory for bodies limits how many wait. */
  readonly inflations = new ConcurrencyLimit(INFLATIONS_MAX, {
    tasks: "decompressions",
    waitingPerRunning: Number.POSITIVE_INFINITY,
  });

  /**
   * Reserves more bytes for a body.
   *
   * @param own the bytes that it has reserved. A body that is alone is always accepted, whatever its limit is
   * @throws Busy
   */
  reserve(bytes: number, own: number): void {
    if (this.#bytes > own && this.#bytes + bytes > UNDER_WAY_BYTES_MAX) {
      throw new Busy("The bodies of other requests use all memory for bodies; try again shortly.");
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** The bytes that one body has reserved. */
export class Reservation {
  readonly #inProgress: BodiesInProgress;
  #bytes = 0;

  constructor(inProgress: BodiesInProgress) {
    this.#inProgress = inProgress;
  }

  get bytes(): number {
    return this.#bytes;
  }

  grow(bytes: number): void {
    this.#inProgress.reserve(bytes, this.#bytes);
    this.#bytes += bytes;
  }

  release(): void {
    this.#inProgress.release(this.#bytes);
    this.#bytes = 0;
  }
}
