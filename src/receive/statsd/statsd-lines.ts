/**
 * One line of StatsD without its values: `NAME:…|TYPE|@RATE|#TAGS|TTIME`, in the dialects of Etsy, DogStatsD, Influx,
 * Librato and SignalFx. Pure. Lines that are equal except for their values are read here once (statsd.ts).
 *
 * https://github.com/statsd/statsd/blob/master/docs/metric_types.md
 * https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
 */
import { quote } from "../../model/errors.ts";
import type { Kind, Labels, MetricType } from "../../model/sample.ts";
import { DECIMAL } from "../../model/spelling.ts";
import { SentTags } from "../../series/sent-tags.ts";

/** What the types mean here. */
const TYPES = {
  c: { kind: "delta", type: "counter" },
  g: { kind: "gauge", type: "gauge" },
  ms: { kind: "observation", type: "histogram", unit: "ms" },
  h: { kind: "observation", type: "histogram" },
  d: { kind: "observation", type: "histogram" },
  // Each member is a row, so that count(DISTINCT member) is exact over every range of time.
  s: { kind: "delta", type: "counter" },
} as const satisfies Readonly<Record<string, { kind: Kind; type: MetricType; unit?: string }>>;

export type StatsdType = keyof typeof TYPES;

/** The column of the members of a set. */
export const MEMBER = "member";

/** A value with a lower rate would become more rows than this. */
const COPIES_MAX = 1_000;

interface StatsdLine {
  readonly metric: string;
  readonly type: StatsdType;
  readonly kind: Kind;
  readonly metricType: MetricType;
  readonly unit?: string;
  /** 1 divided by the sample rate. */
  readonly weight: number;
  /** Sorted by name, without empty values. */
  readonly labels: Labels;
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** Undefined if the sender gave no time. */
  readonly timestampUs?: number;
}

/** Why a line is rejected. */
interface WrongLine {
  readonly cause: string;
  readonly reason: string;
}

/**
 * Reads a line without its values.
 *
 * @param name the text before the first `:`
 * @param rest the text after the first `|` that follows: `ms|@0.1|#a:b`
 * @param isAttribute whether a tag of a metric's observations and counters is a column and not a label
 */
export function readStatsdLine(
  name: string,
  rest: string,
  isAttribute: (metric: string, tag: string) => boolean,
): StatsdLine | WrongLine {
  const tags = new SentTags();
  const metric = readName(name, tags);
  if (metric === "") return wrong("name", `the name is ${quote(name)}, expected a metric's name before ":"`);
  const [typeText = "", ...sections] = rest.split("|");
  if (!Object.hasOwn(TYPES, typeText)) {
    return wrong("type", `the type is ${quote(typeText)}, expected c, g, ms, h, d or s`);
  }
  const type = typeText as StatsdType;
  const { kind, type: metricType, unit }: { kind: Kind; type: MetricType; unit?: string } = TYPES[type];
  let weight = 1;
  let timestampUs: number | undefined;
  for (const section of sections) {
    if (section.startsWith("@")) {
      const text = section.slice(1);
      const rate = DECIMAL.test(text) ? Number(text) : Number.NaN;
      if (!(rate > 0 && rate <= 1)) {
        return wrong("rate", `the sample rate is ${quote(section)}, expected a number above 0 and up to 1`);
      }
      weight = 1 / rate;
    } else if (section.startsWith("#")) {
      for (const tag of section.slice(1).split(",")) tags.add(tag, ":");
    } else if (/^T\d{1,12}$/.test(section)) {
      timestampUs = Number(section.slice(1)) * 1e6;
    } else if (section.startsWith("T")) {
      return wrong("timestamp", `the time is ${quote(section)}, expected T and whole seconds since 1970`);
    } else if (!/^(?:c|e|card):/.test(section)) {
      return wrong(
        "syntax",
        `the section ${quote(section)} is unknown, expected @RATE, #TAGS, TSECONDS or c:CONTAINER`,
      );
    }
  }
  if (kind === "observation" && Math.round(weight) > COPIES_MAX) {
    return wrong(
      "rate",
      `the sample rate of a timer is ${quote(1 / weight)}, expected at least ${1 / COPIES_MAX}`,
    );
  }
  if (type === "s" && tags.has(MEMBER)) {
    return wrong("labels", `tag ${quote(MEMBER)} is reserved for the members of a set`);
  }
  const isColumn = ([tag]: readonly [string, string]) => kind !== "gauge" && isAttribute(metric, tag);
  const sorted = tags.sorted();
  const labels = new Map(sorted.filter((tag) => !isColumn(tag)));
  const attributes = sorted.filter(isColumn);
  return { metric, type, kind, metricType, unit, weight, labels, attributes, timestampUs };
}

function wrong(cause: string, reason: string): WrongLine {
  return { cause, reason };
}

/** Adds the tags that are part of a name: `name,a=b` (Influx), `name#a=b` (Librato), `na[a=b]me` (SignalFx). */
function readName(text: string, tags: SentTags): string {
  const at = text.search(/[,#[]/);
  if (at < 0) return text;
  const close = text[at] === "[" ? text.indexOf("]", at) : text.length;
  // A bracket that does not close is a part of the name.
  if (close < 0) return text;
  for (const tag of text.slice(at + 1, close).split(",")) tags.add(tag, "=");
  return text.slice(0, at) + text.slice(close + 1);
}
