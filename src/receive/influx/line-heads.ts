/**
 * What the decoder remembers of lines: the series that their fields belong to. The bytes of measurement and tags lead to
 * a `LineHead`, and the name of a field in it to a `FieldSlot`. A line that was seen before creates no object.
 *
 * Two rules decide the kind of a field (README.md):
 *
 * - A line is an event if it has a tag or a string field that identifies one event (`task_id`), or if its measurement is
 *   declared to consist of events. Its fields are observations. Its other strings are labels, as its tags are.
 * - Any other field is a gauge, unless its metric is stored as an observation already.
 */
import type { Kind, Labels, SeriesHead } from "../../model/sample.ts";
import type { AttributeBuffer, BatchBuilder } from "../../wire/batch-builder.ts";
import { equals } from "./line-scanner.ts";
import type { Measurement } from "./measurements.ts";

export interface SeriesOptions {
  /** Whether a tag of a metric's observations is a column and not a label. */
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** The kind of a stored metric. */
  readonly kindOf: (metric: string) => Kind | undefined;
}

/** A series as a decoder uses it again and again. */
export interface SeriesSlot {
  readonly head: SeriesHead;
  /** Tags that are columns of this metric, but not of all metrics of its measurement. */
  readonly constants: readonly { readonly column: AttributeBuffer; readonly bytes: Buffer }[];
  /** The batch that used it last, and its index among the heads of that batch. */
  usedBy: number;
  index: number;
}

/** A field of lines with one head. */
export interface FieldSlot {
  readonly bytes: Buffer;
  readonly name: string;
  readonly metric: string;
  /** The unit, if it is in the name of the measurement: `request_ms value=1`. */
  readonly unit: string | undefined;
  /** The column, if a string of this name identifies one event. */
  readonly column: AttributeBuffer | undefined;
  /** Whether a line with such a string is an event. */
  readonly makesEvent: boolean;
  /** Its place among the fields of the head. */
  readonly place: number;
  /** Whether the measurement knows that it has a number. */
  isLearned: boolean;
  /** The line that has it: a second one in a line is an error. */
  line: number;
  /** Its series in lines that are events, and in others. */
  event: SeriesSlot | undefined;
  other: SeriesSlot | undefined;
}

/** Up to this number of fields they are compared one by one. */
const COMPARED_MAX = 16;

export class LineHead {
  /** No other head of the decoder has this number. */
  readonly id: number;
  readonly measurement: Measurement;
  /** The tags that identify no event. */
  readonly tags: Labels;
  readonly fields: FieldSlot[] = [];
  /** Its block, and the head of the line after its last one: senders repeat the order of their lines. */
  block = -1;
  next: LineHead | undefined;
  #byName: Map<string, FieldSlot> | undefined;

  constructor(id: number, measurement: Measurement, tags: Labels) {
    this.id = id;
    this.measurement = measurement;
    this.tags = tags;
  }

  /** The field whose name has these bytes. */
  find(body: Buffer, from: number, to: number): FieldSlot | undefined {
    const { fields } = this;
    const length = to - from;
    if (this.#byName !== undefined) return this.#byName.get(body.toString("latin1", from, to));
    for (const field of fields)
      if (field.bytes.length === length && equals(body, from, field.bytes)) return field;
    return undefined;
  }

  add(field: FieldSlot): void {
    this.fields.push(field);
    if (this.fields.length > COMPARED_MAX) {
      this.#byName ??= new Map(this.fields.map((each) => [each.bytes.toString("latin1"), each]));
      this.#byName.set(field.bytes.toString("latin1"), field);
    }
  }
}

/**
 * The series of a field.
 *
 * @param strings the string fields of the line that identify no event; labels of an observation, and no part of a gauge
 */
export function seriesSlot(
  field: FieldSlot,
  tags: Labels,
  strings: Labels,
  isEvent: boolean,
  builder: BatchBuilder,
  { isAttribute, kindOf }: SeriesOptions,
): SeriesSlot {
  const { metric, unit } = field;
  const kind: Kind = isEvent || kindOf(metric) === "observation" ? "observation" : "gauge";
  if (kind === "gauge") {
    const head: SeriesHead = { metric, kind, type: "gauge", unit, labels: tags };
    return { head, constants: [], usedBy: 0, index: 0 };
  }
  const labels: [string, string][] = [];
  const constants: { column: AttributeBuffer; bytes: Buffer }[] = [];
  for (const [name, value] of [...tags, ...strings]) {
    if (isAttribute(metric, name))
      constants.push({ column: builder.attribute(name), bytes: Buffer.from(value) });
    else labels.push([name, value]);
  }
  labels.sort(([a], [b]) => (a < b ? -1 : 1));
  const head: SeriesHead = { metric, kind, type: "histogram", unit, labels: new Map(labels) };
  return { head, constants, usedBy: 0, index: 0 };
}
