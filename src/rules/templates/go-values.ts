/**
 * The values of templates, with the types that Go would give them, because what is printed depends on the type: `1` is an
 * integer and `1.0` is not. Strings, booleans and numbers (float64) are those of JavaScript, an integer is a bigint, and
 * undefined is nil. Labels are entries of a Map, so that a label can have any name.
 */
import { compareText } from "../../query/promql/labels.ts";

export type GoValue = undefined | string | boolean | number | bigint | GoObject;

/** A parameter of a function: what Go calls its type, and which values it accepts. */
export interface GoParameter {
  readonly name: string;
  readonly accepts: (value: GoValue) => boolean;
  /** Whether nil is accepted. */
  readonly isNilable: boolean;
}

export interface GoFunction {
  /** `any number of` the last one if the function is variadic. */
  readonly parameters: readonly GoParameter[];
  readonly isVariadic?: boolean;
  /** Throws CallError. */
  call(args: readonly GoValue[], run: TemplateRun): GoValue;
}

/** What a function may use of the expansion that calls it. */
export interface TemplateRun {
  /** Counts work, roughly in units of 64 characters; throws past the limit. */
  spend(units: number): void;
  /** The result of a query at the time of the expansion. */
  query(expression: string): readonly GoSample[];
  /** Expands a template that the text defines. */
  invoke(name: string, dot: GoValue): string;
  /** The time of the expansion in ms. */
  readonly timeMs: number;
  readonly externalURL: string;
}

/** An element of the result of a query. */
export interface GoSample {
  readonly labels: Readonly<Record<string, string>> | ReadonlyMap<string, string>;
  readonly value: number;
}

export abstract class GoObject {
  /** Go's name of the type. */
  abstract readonly typeName: string;
  /** What printing yields, for types that say so themselves. */
  toText(): string | undefined {
    return undefined;
  }
  /** The number that `%d` prints. */
  toInteger(): bigint | undefined {
    return undefined;
  }
  method(_name: string): GoFunction | undefined {
    return undefined;
  }
}

/** A map whose keys are strings. */
export class GoMap extends GoObject {
  readonly typeName: string;
  readonly entries: ReadonlyMap<string, GoValue>;
  /** What an absent key yields. */
  readonly absent: GoValue;
  readonly #methods: Readonly<Record<string, GoFunction>>;

  constructor(
    typeName: string,
    entries: ReadonlyMap<string, GoValue>,
    absent?: GoValue,
    methods: Readonly<Record<string, GoFunction>> = {},
  ) {
    super();
    this.typeName = typeName;
    this.entries = entries;
    this.absent = absent;
    this.#methods = methods;
  }

  /** Sorted by key, as Go prints maps and iterates over them. */
  sorted(): [string, GoValue][] {
    return [...this.entries].sort(([a], [b]) => compareText(a, b));
  }

  override method(name: string): GoFunction | undefined {
    return Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined;
  }
}

export class GoList extends GoObject {
  readonly typeName: string;
  readonly items: GoValue[];
  readonly #methods: Readonly<Record<string, GoFunction>>;

  constructor(typeName: string, items: GoValue[], methods: Readonly<Record<string, GoFunction>> = {}) {
    super();
    this.typeName = typeName;
    this.items = items;
    this.#methods = methods;
  }

  override method(name: string): GoFunction | undefined {
    return Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined;
  }
}

/** A struct, or a pointer to one if the name of the type begins with an asterisk. */
export class GoStruct extends GoObject {
  readonly typeName: string;
  readonly fields: ReadonlyMap<string, GoValue>;
  readonly #methods: Readonly<Record<string, GoFunction>>;

  constructor(
    typeName: string,
    fields: ReadonlyMap<string, GoValue>,
    methods: Readonly<Record<string, GoFunction>> = {},
  ) {
    super();
    this.typeName = typeName;
    this.fields = fields;
    this.#methods = methods;
  }

  override method(name: string): GoFunction | undefined {
    return Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined;
  }
}

/** An integer that prints as a text, such as a month. */
export class GoEnum extends GoObject {
  readonly typeName: string;
  readonly value: bigint;
  readonly text: string;

  constructor(typeName: string, value: number, text: string) {
    super();
    this.typeName = typeName;
    this.value = BigInt(value);
    this.text = text;
  }

  override toText(): string {
    return this.text;
  }

  override toInteger(): bigint {
    return this.value;
  }
}

/** Go's name of the type of a value. */
export function typeNameOf(value: GoValue): string {
  switch (typeof value) {
    case "undefined":
      return "<nil>";
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "number":
      return "float64";
    case "bigint":
      return "int";
    default:
      return value.typeName;
  }
}

/** What `if` makes of a value: false for what is empty, zero or nil. */
export function isTrue(value: GoValue): boolean {
  if (value instanceof GoMap) return value.entries.size > 0;
  if (value instanceof GoList) return value.items.length > 0;
  if (value instanceof GoObject) return (value.toInteger() ?? 1n) !== 0n;
  if (typeof value === "bigint") return value !== 0n;
  // NaN is not zero.
  return typeof value === "number" ? value !== 0 : Boolean(value);
}

/** A map of labels: an absent label is an empty text. */
export function labelMap(labels: GoSample["labels"], typeName = "map[string]string"): GoMap {
  const entries = labels instanceof Map ? labels : new Map(Object.entries(labels));
  return new GoMap(typeName, entries, "");
}

export const STRING: GoParameter = {
  name: "string",
  accepts: (value) => typeof value === "string",
  isNilable: false,
};
export const ANY: GoParameter = { name: "interface {}", accepts: () => true, isNilable: true };
