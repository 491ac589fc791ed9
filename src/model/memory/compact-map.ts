/**
 * Small maps that are kept for long, such as the labels of a series. A Map of up to four entries takes 260 bytes, and
 * one of six 910. A compact map takes 50 bytes and 8 per entry, because all maps with the same keys share their list.
 */

/** A look-up compares keys one by one. Larger maps stay as they are. */
const ENTRIES_MAX = 12;
/** Lists of keys that are shared. */
const LISTS_MAX = 10_000;

const lists = new Map<string, readonly string[]>();
/** The list that was shared last: maps of one source have the same keys one after the other. */
let last: readonly string[] = [];

/** The same entries, in the same order. They do not change any more. */
export function compactMap<Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  if (map.size > ENTRIES_MAX || map instanceof CompactMap) return map;
  // A list that is spread keeps 16 bytes more.
  return new CompactMap([...map.keys()], Array.from(map.values()));
}

/** As `compactMap`, of distinct keys and their values, in one order. The lists belong to the map from now on. */
export function compactMapOf<Value>(
  keys: readonly string[],
  values: readonly Value[],
): ReadonlyMap<string, Value> {
  return keys.length > ENTRIES_MAX
    ? new Map(keys.map((key, at) => [key, values[at]!]))
    : new CompactMap(keys, values);
}

class CompactMap<Value> implements ReadonlyMap<string, Value> {
  readonly #keys: readonly string[];
  readonly #values: readonly Value[];

  constructor(keys: readonly string[], values: readonly Value[]) {
    this.#keys = sharedKeys(keys);
    this.#values = values;
  }

  get size(): number {
    return this.#keys.length;
  }

  get(key: string): Value | undefined {
    const at = this.#keys.indexOf(key);
    return at < 0 ? undefined : this.#values[at];
  }

  has(key: string): boolean {
    return this.#keys.includes(key);
  }

  keys() {
    return this.#keys.values();
  }

  values() {
    return this.#values.values();
  }

  entries() {
    return this.#keys.map((key, at): [string, Value] => [key, this.#values[at]!]).values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  forEach(use: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void, self?: unknown): void {
    this.#keys.forEach((key, at) => {
      use.call(self, this.#values[at]!, key, this);
    });
  }
}

function sharedKeys(keys: readonly string[]): readonly string[] {
  if (!isEqual(keys, last)) last = listed(keys);
  return last;
}

function isEqual(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

function listed(keys: readonly string[]): readonly string[] {
  // No key of ours contains this byte. If one did, its list would not be found again, or not be equal.
  const joined = keys.join("\u0000");
  const known = lists.get(joined);
  if (known !== undefined && isEqual(known, keys)) return known;
  if (lists.size >= LISTS_MAX) lists.clear();
  lists.set(joined, keys);
  return keys;
}
