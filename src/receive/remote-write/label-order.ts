/**
 * Moves the labels of each series in front of its samples, where every sender has them and the decoder expects them.
 * Protobuf allows fields in any order, and readers have to accept that.
 */
import { BYTES, ProtobufReader } from "../../wire/protobuf.ts";

/** Some 100 µs of work. */
const STEP_BYTES = 16_384;

/**
 * Returns the message with each series' labels first, in their order. Nothing else changes.
 *
 * It yields between steps, where the caller may pause.
 *
 * @param seriesTag the tag of a series in the message
 * @param labelTag the tag of a label in a series
 */
export function* withLabelsFirst(
  message: Buffer,
  seriesTag: number,
  labelTag: number,
): Generator<void, Buffer> {
  const reader = new ProtobufReader();
  reader.open(message);
  const reordered = Buffer.allocUnsafeSlow(message.length);
  let to = 0;
  const add = (from: number, end: number) => {
    to += message.copy(reordered, to, from, end);
  };
  let pauseAt = 0;
  while (reader.at < message.length) {
    const begin = reader.at;
    if (begin >= pauseAt) {
      pauseAt = begin + STEP_BYTES;
      yield;
    }
    const tag = reader.uint32();
    if (tag !== seriesTag) {
      reader.skip(tag);
      add(begin, reader.at);
      continue;
    }
    const end = reader.length();
    const first = reader.at;
    add(begin, first);
    // Once for the labels, and once for the rest.
    for (const isLabels of [true, false]) {
      reader.at = first;
      while (reader.at < end) {
        const from = reader.at;
        const field = reader.uint32();
        if ((field & 7) === BYTES) reader.at = reader.length();
        else reader.skip(field);
        if ((field === labelTag) === isLabels) add(from, reader.at);
        if (reader.at >= pauseAt) {
          pauseAt = reader.at + STEP_BYTES;
          yield;
        }
      }
      reader.expectEnd(end);
    }
  }
  return reordered;
}
