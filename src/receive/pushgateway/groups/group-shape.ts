/**
 * The shape of a group: its families and their points, without series and without the values of the grouping labels. Groups
 * that are pushed by one kind of job have one shape, which is kept once: a group then takes one object, however many families
 * and points it has.
 */
import type { Labels } from "../../../model/sample.ts";
import { escapeLabelValue, labelText } from "../../../model/spelling.ts";
import type { FamilyType } from "../../../wire/exposition-formats/decoded-families.ts";
import { ownText } from "./own-texts.ts";

/** One metric of a family, as a push or a record lists it. */
export interface Point {
  /** Its labels: see `labelTemplate`. */
  readonly template: string;
  /** The values of `le` or `quantile`, ascending. Undefined for a plain value. */
  readonly edges?: readonly string[];
  /** The series of a plain value, or those of the edges, then of the sum, then of the count. */
  readonly seriesIds: readonly number[];
}

export interface GroupFamily {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly unit: string;
  readonly points: readonly Point[];
}

/** A point without its series. */
export interface ShapePoint extends Omit<Point, "seriesIds"> {
  /** The position of its first series in its group. */
  readonly at: number;
  readonly length: number;
  /** `template` at the grouping labels. Each text but the first begins with the number of a label, as a character. */
  readonly pieces: readonly string[];
}

export interface ShapeFamily extends Omit<GroupFamily, "points"> {
  readonly points: readonly ShapePoint[];
}

/** Stands before the number of a grouping label. No label contains this character. */
const GROUPING = "\u0000";

/**
 * The labels of a point between the braces, without `le` or `quantile`, and with `instance=""` if there is none. The values of
 * grouping labels are left out, so that equal points of two groups have equal templates.
 *
 * @param grouping the grouping labels in ascending order of names, without empty ones
 */
export function labelTemplate(labels: Labels, grouping: Labels): string {
  const names = [...grouping.keys()];
  return labelText(labels, true, undefined, (name, value) =>
    // A bound may be spelled otherwise than the grouping label.
    grouping.get(name) === value
      ? GROUPING + String.fromCharCode(1 + names.indexOf(name))
      : escapeLabelValue(value),
  );
}

/** The labels of a point between the braces, in a group with these labels. */
export function pointText({ pieces }: ShapePoint, labels: Labels): string {
  let text = pieces[0]!;
  if (pieces.length === 1) return text;
  const values: string[] = [];
  for (const value of labels.values()) if (value !== "") values.push(value);
  for (let at = 1; at < pieces.length; at++) {
    const piece = pieces[at]!;
    text += escapeLabelValue(values[piece.charCodeAt(0) - 1]!) + piece.slice(1);
  }
  return text;
}

export class GroupShape {
  /** In ascending order of names. */
  readonly families: readonly ShapeFamily[];
  /** The number of series. */
  readonly length: number;
  readonly byName: ReadonlyMap<string, ShapeFamily>;
  /** The ids of the series of the group that was made last, from its first one. Those of most groups follow each other alike. */
  #offsets: Float64Array | undefined;

  constructor(families: readonly GroupFamily[]) {
    let length = 0;
    this.families = families.map(({ name, type, help, unit, points }) => ({
      name: ownText(name),
      type: ownText(type) as FamilyType,
      help: ownText(help),
      unit: ownText(unit),
      points: points.map(({ template, edges, seriesIds }) => {
        const at = length;
        length += seriesIds.length;
        const own = ownText(template);
        return { template: own, edges, at, length: seriesIds.length, pieces: own.split(GROUPING) };
      }),
    }));
    this.length = length;
    this.byName = new Map(this.families.map((family) => [family.name, family]));
  }

  /** A list with these numbers, which groups may share. */
  shared(offsets: Float64Array): Float64Array {
    const known = this.#offsets;
    if (known?.every((offset, at) => offset === offsets[at])) return known;
    this.#offsets = offsets;
    return offsets;
  }

  /** Whether the shape is that of these families. */
  isOf(families: readonly GroupFamily[]): boolean {
    return (
      families.length === this.families.length &&
      families.every((family, at) => isFamilyOf(this.families[at]!, family))
    );
  }
}

/** Whether two families are equal but for their series. */
export function isFamilyOf(shape: ShapeFamily, family: GroupFamily | ShapeFamily): boolean {
  const { points } = shape;
  if (shape.name !== family.name || shape.type !== family.type || shape.help !== family.help) return false;
  if (shape.unit !== family.unit || points.length !== family.points.length) return false;
  for (let at = 0; at < points.length; at++) {
    const own = points[at]!;
    const other = family.points[at]!;
    if (own.template !== other.template || !isSameList(own.edges, other.edges)) return false;
  }
  return true;
}

function isSameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((text, at) => text === b[at]);
}

/** The most shapes that are found again. */
const SHAPES_MAX = 10_000;

/** The shapes of a gateway's groups. A shape that no group has is collected. */
export class GroupShapes {
  /** By a hash. */
  readonly #shapes = new Map<number, WeakRef<GroupShape>>();

  /** The shape of families in ascending order of names. Equal families have one shape. */
  of(families: readonly GroupFamily[]): GroupShape {
    let text = "";
    for (const { name, type, help, points } of families) {
      text += `${name} ${type} ${help} `;
      for (const { template, edges } of points) text += `${template} ${edges?.join() ?? ""} `;
    }
    const hash = Bun.hash.xxHash32(text);
    const known = this.#shapes.get(hash)?.deref();
    if (known?.isOf(families)) return known;
    const shape = new GroupShape(families);
    if (this.#shapes.size >= SHAPES_MAX) this.#shapes.clear();
    this.#shapes.set(hash, new WeakRef(shape));
    return shape;
  }
}
