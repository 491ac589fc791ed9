/**
 * Reads the body of a request as whole lines, in parts of a few megabytes.
 *
 * A large body is not kept in memory: its lines are passed on while it arrives, so an import has no limit of size. This
 * applies to bodies without an encoding and with gzip, as VictoriaMetrics' documents send them. Other bodies are read
 * within the limits of all routes.
 */
import { nodeStream, nodeZlib } from "../../program/deferred-libraries.ts";
import { type BodyLimits, readBody } from "../../http/body.ts";
import { BadInput, RequestError, Timeout, TooLarge } from "../../model/errors.ts";
import { ByteParts } from "../../wire/byte-parts.ts";
import { parseContentEncoding } from "../../wire/compression/compression.ts";

interface Lines {
  /** Whole lines. */
  readonly lines: Uint8Array;
  /** The number of the first of them in the body, counted from 0. */
  readonly firstLine: number;
  readonly lineCount: number;
}

/** A part is decoded and admitted without a pause: about 20 ms for 50,000 samples. */
const PART_BYTES = 2 ** 20;
/** As in VictoriaMetrics (`-import.maxLineLen`), whose export has shorter lines. */
const LINE_BYTES_MAX = 10 * 2 ** 20;
/** Up to this size a body is read as a whole. */
const WHOLE_BYTES_MAX = 4 * 2 ** 20;
const GUNZIP_CHUNK_BYTES = 262_144;
const LINE_FEED = 10;

/**
 * Yields the lines of a body.
 *
 * @throws TooLarge, Unsupported, BadInput (corrupt or truncated), Timeout (408), Busy
 */
export async function* readLines(request: Request, limits: BodyLimits): AsyncGenerator<Lines> {
  let firstLine = 0;
  for await (const lines of partsOf(request, limits)) {
    const lineCount = countLines(lines);
    yield { lines, firstLine, lineCount };
    firstLine += lineCount;
  }
}

async function* partsOf(request: Request, limits: BodyLimits): AsyncGenerator<Uint8Array> {
  const layers = parseContentEncoding(request.headers.get("content-encoding"));
  const length = Number(request.headers.get("content-length") ?? Number.POSITIVE_INFINITY);
  const isGzip = layers.length === 1 && layers[0] === "gzip";
  if (length <= Math.min(WHOLE_BYTES_MAX, limits.bodyBytesMax) || (layers.length > 0 && !isGzip)) {
    const body = await readBody(request, limits);
    for (let from = 0; from < body.length; ) {
      const feed = from + PART_BYTES >= body.length ? -1 : body.indexOf(LINE_FEED, from + PART_BYTES);
      const to = feed < 0 ? body.length : feed + 1;
      if (to - from > LINE_BYTES_MAX + PART_BYTES)
        throw new TooLarge(`A line may have ${LINE_BYTES_MAX} bytes and has more.`);
      yield body.subarray(from, to);
      from = to;
    }
    return;
  }
  const chunks = chunksOf(request, limits);
  yield* wholeLines(isGzip ? gunzipped(chunks) : chunks, limits);
}

/** The chunks of a body as they arrive. Each has its own deadline. */
async function* chunksOf(request: Request, { timeoutMs, onRead }: BodyLimits): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await withinTime(reader.read(), timeoutMs);
      if (done) return;
      onRead?.(value.length);
      yield value;
    }
  } catch (error) {
    if (request.signal.aborted) throw new BadInput("The connection closed before the body was complete.");
    throw error;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function withinTime<T>(reading: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(
    () => reject(new Timeout(`The body did not continue within ${timeoutMs} ms (setting bodyTimeoutMs).`)),
    timeoutMs,
  );
  reading.then(resolve, reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

async function* gunzipped(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = nodeZlib().createGunzip({ chunkSize: GUNZIP_CHUNK_BYTES });
  let received = 0;
  async function* counted() {
    for await (const chunk of chunks) {
      received += chunk.length;
      yield chunk;
    }
  }
  // Errors of the source end the decoder, and so the loop below.
  const { pipeline, Readable } = nodeStream();
  pipeline(Readable.from(counted(), { objectMode: false }), gunzip, () => undefined);
  try {
    for await (const chunk of gunzip) yield chunk as Uint8Array;
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw corrupt((error as Error).message);
  }
  // Otherwise data behind the end of gzip's stream would be lost.
  if (gunzip.bytesWritten < received)
    throw corrupt(`the data ends at byte ${gunzip.bytesWritten} of ${received}`);
}

function corrupt(what: string): BadInput {
  return new BadInput(`The body is not complete gzip data: ${what}.`, "Content-Encoding");
}

/** Joins chunks to parts that end with a line. */
async function* wholeLines(
  chunks: AsyncGenerator<Uint8Array>,
  { inflatedBytesMax, inProgress }: BodyLimits,
): AsyncGenerator<Uint8Array> {
  const waiting = new ByteParts();
  let reserved = 0;
  try {
    for await (const chunk of chunks) {
      inProgress.reserve(chunk.length, reserved);
      reserved += chunk.length;
      const feed = waiting.length + chunk.length >= PART_BYTES ? chunk.lastIndexOf(LINE_FEED) : -1;
      if (feed < 0) {
        waiting.add(chunk);
        const lineBytesMax = Math.min(inflatedBytesMax, LINE_BYTES_MAX);
        if (waiting.length > lineBytesMax + PART_BYTES)
          throw new TooLarge(
            lineBytesMax === inflatedBytesMax
              ? `A line may have ${lineBytesMax} bytes (setting inflatedBytesMax) and has more.`
              : `A line may have ${lineBytesMax} bytes and has more.`,
          );
        continue;
      }
      waiting.add(chunk.subarray(0, feed + 1));
      yield waiting.take();
      waiting.add(chunk.subarray(feed + 1));
      inProgress.release(reserved - waiting.length);
      reserved = waiting.length;
    }
    if (waiting.length > 0) yield waiting.take();
  } finally {
    inProgress.release(reserved);
  }
}

/** The number of lines. The last one may have no line feed. */
function countLines(bytes: Uint8Array): number {
  if (bytes.length === 0) return 0;
  let count = bytes.at(-1) === LINE_FEED ? 0 : 1;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
