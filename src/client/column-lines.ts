/**
 * Samples as text: JSON columns, one object per line for the samples of one metric with the same tags. That takes a third
 * of the bytes of an event per line, and a fifth less once compressed. The gateway stores the same samples.
 */
import type { OwnIncrement } from "./client-counts.ts";
import type { RecordedSample } from "./recorder.ts";

type Tags = Readonly<Record<string, unknown>>;

/** Names of columns that are no tags. A batch with such a tag is sent as events. */
const RESERVED: ReadonlySet<string> = new Set([
  "ts",
  "@timestamp",
  "timestamp",
  "time",
  "value",
  "metric",
  "metric_name",
]);

interface TextOptions {
  readonly labels: Tags;
  readonly nowMs: number;
  readonly own: readonly OwnIncrement[];
}

interface Sample {
  readonly kind: string;
  readonly name: string;
  readonly atMs: number;
  readonly value: number;
  readonly tags: Tags | undefined;
}

/** The samples of one metric with the same names of tags. */
interface Group {
  readonly kind: string;
  readonly name: string;
  readonly names: readonly string[];
  readonly ts: number[];
  readonly value: number[];
  /** By name of a tag: its values. */
  readonly cells: unknown[][];
}

/** The text of a batch: JSON columns, or events if a tag has the name of another column. */
export function batchText(samples: readonly RecordedSample[], { labels, nowMs, own }: TextOptions): string {
  const groups = new Map<string, Group>();
  const all: Iterable<Sample>[] = [
    samples,
    own.map(({ name, value, tags }) => ({ kind: "counter", name, value, atMs: nowMs, tags })),
  ];
  for (const part of all) {
    for (const { kind, name, atMs, value, tags: own } of part) {
      const tags: Tags = own === undefined ? labels : { ...labels, ...own };
      const names = Object.keys(tags).filter((tag) => tags[tag] !== null && tags[tag] !== undefined);
      if (names.some((tag) => RESERVED.has(tag))) return eventLines(all, labels);
      const key = JSON.stringify([kind, name, names]);
      let group = groups.get(key);
      if (group === undefined) {
        group = { kind, name, names, ts: [], value: [], cells: names.map(() => []) };
        groups.set(key, group);
      }
      group.ts.push(atMs);
      group.value.push(value);
      for (let index = 0; index < names.length; index++) group.cells[index]!.push(tags[names[index]!]);
    }
  }
  let text = "";
  for (const group of groups.values()) text += `${lineOf(group)}\n`;
  return text;
}

function lineOf({ kind, name, names, ts, value, cells }: Group): string {
  // A tag that all samples have with one value is written once.
  const tags = names.map((tag, index): [string, unknown] => {
    const [first] = cells[index]!;
    return [tag, cells[index]!.every((cell) => cell === first) ? first : cells[index]];
  });
  return JSON.stringify({
    metric: name,
    type: kind === "observation" ? undefined : kind,
    columns: Object.fromEntries([["ts", ts], ["value", value], ...tags]),
  });
}

function eventLines(all: readonly Iterable<Sample>[], labels: Tags): string {
  let text = "";
  for (const part of all) {
    for (const { kind, name, value, atMs, tags } of part) {
      const event = {
        "@timestamp": atMs,
        metric_name: name,
        value,
        type: kind,
        tags: { ...labels, ...tags },
      };
      text += `${JSON.stringify(event)}\n`;
    }
  }
  return text;
}
