/**
 * Texts that are parts of a body, in memory of their own: a slice would keep the whole body there as long as it is
 * kept itself.
 */
import type { Labels } from "../../../model/sample.ts";
import type { PushedFamily } from "./pushed.ts";

/** They mostly come again, with each push and group: kept once, if they are not long. */
const texts = new Map<string, string>();
const TEXTS_MAX = 10_000;
const TEXT_LENGTH_MAX = 500;

function ownText(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) return copyOf(text);
  const known = texts.get(text);
  if (known !== undefined) return known;
  const own = copyOf(text);
  if (texts.size >= TEXTS_MAX) texts.clear();
  texts.set(own, own);
  return own;
}

/** A family of which all but its metrics may be kept for good. */
export function withOwnTexts({ name, type, help, unit, metrics }: PushedFamily): PushedFamily {
  return { name: ownText(name), type, help: ownText(help), unit: ownText(unit), metrics };
}

/** Labels that may be kept for good. */
export function ownLabels(labels: Labels): Labels {
  const own = new Map<string, string>();
  for (const [name, value] of labels) own.set(ownText(name), ownText(value));
  return own;
}

function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
