/**
 * Lists of what a file has. A start needs neither all series nor all keys before somebody pushes or asks, so a list may still be
 * as it is in the file.
 */

export interface StoredList<Item> {
  readonly length: number;
  /** Decodes the items, each time that it is called. */
  read(): readonly Item[];
}

/** A list that is decoded. */
export function storedList<Item>(items: readonly Item[]): StoredList<Item> {
  return { length: items.length, read: () => items };
}

/** The first id that no series has or had. */
export function idAfter(...lists: readonly (readonly { readonly seriesId: number }[])[]): number {
  let next = 1;
  for (const list of lists) for (const { seriesId } of list) if (seriesId >= next) next = seriesId + 1;
  return next;
}
