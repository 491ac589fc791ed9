/**
 * Tags as one text each: `name:value`, or with another separator. Pure.
 *
 * - The value begins after the first separator, so it may contain others: `url:http://x` has the value `http://x`.
 * - A tag without a separator has the value `true`. A tag with an empty value is left out.
 * - A name may appear with several values. They are joined by commas, in the order in which they were sent.
 */

/** The value of a tag without one, such as `urgent`. */
const NO_VALUE = "true";

/** The tags of one sample. */
export class SentTags {
  /** By name: its value, or its values if there are several. */
  readonly #values = new Map<string, string | Set<string>>();

  add(tag: string, separator: ":" | "="): void {
    if (tag === "") return;
    const at = tag.indexOf(separator);
    const name = at < 0 ? tag : tag.slice(0, at);
    const value = at < 0 ? NO_VALUE : tag.slice(at + 1);
    if (value === "") return;
    const known = this.#values.get(name);
    if (known === undefined) this.#values.set(name, value);
    else if (typeof known !== "string") known.add(value);
    else if (known !== value) this.#values.set(name, new Set([known, value]));
  }

  /** Replaces all values of a name. Returns whether it had another value. */
  replace(name: string, value: string): boolean {
    const known = this.#values.get(name);
    this.#values.set(name, value);
    return known !== undefined && known !== value;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Names and values, sorted by name. */
  sorted(): (readonly [name: string, value: string])[] {
    return Array.from(this.#values, ([name, value]) => [name, textOf(value)] as const).sort(([a], [b]) =>
      a < b ? -1 : 1,
    );
  }
}

function textOf(value: string | Set<string>): string {
  return typeof value === "string" ? value : [...value].join(",");
}
