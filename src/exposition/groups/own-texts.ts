/**
 * Texts that are parts of a body, in memory of their own: a slice would keep the whole body there as long as it is
 * kept itself.
 */
import type { Labels, SeriesHead } from "../../sample.ts";

/** Names and help texts come again with each push and group: kept once, if they are not long. */
const texts = new Map<string, string>();
const TEXTS_MAX = 10_000;
const TEXT_LENGTH_MAX = 500;

export function ownText(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) return copyOf(text);
  const known = texts.get(text);
  if (known !== undefined) return known;
  const own = copyOf(text);
  if (texts.size >= TEXTS_MAX) texts.clear();
  texts.set(own, own);
  return own;
}

/**
 * A head that the registry may keep for good.
 *
 * @param known the labels of heads before, by what they were made of: series of equal labels share them
 */
export function withOwnTexts(head: SeriesHead, known: Map<Labels, Labels>): SeriesHead {
  let labels = known.get(head.labels);
  if (labels === undefined) {
    labels = new Map(Array.from(head.labels, ([name, value]) => [ownText(name), copyOf(value)] as const));
    known.set(head.labels, labels);
  }
  return {
    ...head,
    metric: ownText(head.metric),
    ...(head.help !== undefined && { help: ownText(head.help) }),
    ...(head.unit !== undefined && { unit: ownText(head.unit) }),
    labels,
  };
}

function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
