/**
 * Room for the decompressed messages of one decoder, which is used again for each message. It is in the memory of
 * WebAssembly, whose loops decompress a block in a sixth of the time of JavaScript. Large messages, and all messages
 * where the engine has no such loops, have a buffer of their own.
 */
import type { SnappyOutput } from "../../wire/compression/snappy.ts";
import type { LabelBlocks } from "../../wire/label-blocks.ts";
import { ByteLoops, MESSAGE_BYTES_MAX } from "../../wire/wasm/byte-loops.ts";

export class MessageRoom {
  /** The blocks that the messages contain as they are kept. Undefined in a protocol that keeps other bytes. */
  readonly #blocks: LabelBlocks | undefined;
  /** Undefined before the first message; null where the engine has none. */
  #loops: ByteLoops | undefined | null;

  constructor(blocks?: LabelBlocks) {
    this.#blocks = blocks;
  }

  /** Room for the message of a block. What an earlier call returned is no longer valid. */
  reserve(block: Uint8Array, bytes: number): SnappyOutput {
    if (this.#loops === undefined) this.#loops = ByteLoops.open() ?? null;
    const loops = this.#loops;
    if (loops === null || bytes > MESSAGE_BYTES_MAX || block.length > MESSAGE_BYTES_MAX)
      return { bytes: Buffer.allocUnsafeSlow(bytes) };
    if (this.#blocks === undefined) loops.arrange(block, bytes, 0);
    else this.#blocks.arrange(loops, block, bytes);
    return {
      bytes: loops.message,
      inflate: (place, pauseAt) => loops.inflate(place, pauseAt, block.length),
    };
  }
}
