/** Reads JSON that others wrote: what is missing or of another type is as good as absent. Pure. */

export type Loose = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOf(value: unknown): Loose {
  return isObject(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function objectsOf(value: unknown): readonly Loose[] {
  return listOf(value).filter(isObject);
}

export function textOf(value: unknown, otherwise = ""): string {
  return typeof value === "string" ? value : otherwise;
}

/** A number, also one that is written as a text. */
export function numberIn(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** The value at a path such as `custom.stacking.mode`. */
export function at(value: unknown, path: string): unknown {
  let found = value;
  for (const key of path.split(".")) found = isObject(found) ? found[key] : undefined;
  return found;
}

/** The object with a value at a path. */
export function withValue(object: Loose, path: string, value: unknown): Loose {
  const [first = "", ...rest] = path.split(".");
  return {
    ...object,
    [first]: rest.length === 0 ? value : withValue(objectOf(object[first]), rest.join("."), value),
  };
}
