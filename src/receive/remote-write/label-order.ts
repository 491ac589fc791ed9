/**
 * Moves the labels of each series in front of its samples, where every sender has them and the decoder expects them.
 * Protobuf allows fields in any order, and readers have to accept that.
 */
import { BYTES, ProtobufReader } from "../../wire/protobuf.ts";

/**
 * Returns the message with each series' labels first, in their order. Nothing else changes.
 *
 * @param seriesTag the tag of a series in the message
 * @param labelTag the tag of a label in a series
 */
export function withLabelsFirst(message: Buffer, seriesTag: number, labelTag: number): Buffer {
  const reader = new ProtobufReader();
  reader.open(message);
  const parts: Uint8Array[] = [];
  while (reader.at < message.length) {
    const begin = reader.at;
    const tag = reader.uint32();
    if (tag !== seriesTag) {
      reader.skip(tag);
      parts.push(message.subarray(begin, reader.at));
      continue;
    }
    const end = reader.length();
    parts.push(message.subarray(begin, reader.at));
    const others: Uint8Array[] = [];
    while (reader.at < end) {
      const from = reader.at;
      const field = reader.uint32();
      if ((field & 7) === BYTES) reader.at = reader.length();
      else reader.skip(field);
      (field === labelTag ? parts : others).push(message.subarray(from, reader.at));
    }
    reader.expectEnd(end);
    parts.push(...others);
  }
  return Buffer.concat(parts);
}
