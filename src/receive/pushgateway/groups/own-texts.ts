/**
 * Copies texts out of a body into memory of their own. A slice would keep the whole body in memory as long as
 * the text.
 */
import { compactMap } from "../../../model/memory/compact-map.ts";
import type { Labels } from "../../../model/sample.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import type { PushedFamily } from "./pushed.ts";

/** Short texts, which most pushes and groups repeat. Each is kept once, for all gateways. */
const texts = new Map<string, string>();
const TEXTS_MAX = 10_000;
const TEXT_LENGTH_MAX = 500;

/** A copy. Equal short texts have one copy. */
export function ownText(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) return copyOf(text);
  const known = texts.get(text);
  if (known !== undefined) return known;
  const own = copyOf(text);
  if (texts.size >= TEXTS_MAX) texts.clear();
  texts.set(own, own);
  return own;
}

/** A family whose name, help and unit are copies. Its metrics are not copied. */
export function withOwnTexts({ name, type, help, unit, metrics }: PushedFamily): PushedFamily {
  const own = { name: ownText(name), type: ownText(type) as FamilyType };
  return { ...own, help: ownText(help), unit: ownText(unit), metrics };
}

/** Labels whose names and values are copies. */
export function ownLabels(labels: Labels): Labels {
  const own = new Map<string, string>();
  for (const [name, value] of labels) own.set(ownText(name), ownText(value));
  return compactMap(own);
}

function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
