/**
 * The events of the property tests, drawn so that interesting cases are frequent: equal series and timestamps, late
 * and too late samples, labels with too many values, conflicting kinds, and each spelling of an event. Times avoid
 * the exact limits (an hour, ten minutes), which have tests of their own.
 */
import fc from "fast-check";
import type { Event, EventType } from "../reference.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** An event whose time is relative to its push, with its spelling. */
export interface Draft {
  readonly name: string;
  readonly type: EventType;
  readonly unit?: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly agoMs: number;
  readonly spelling: Spelling;
}

export interface Spelling {
  /** `name` and `timestamp` for `metric_name` and `@timestamp`. */
  readonly short: boolean;
  readonly rfc3339: boolean;
  /** `"type":"observation"`, which may be omitted. */
  readonly explicit: boolean;
  /** Tags that look like numbers are written as numbers, with a null and an empty tag beside them. */
  readonly loose: boolean;
}

const METRICS: readonly (readonly [string, EventType, string?])[] = [
  ["http.request.duration_ms", "observation"],
  ["upload.bytes", "observation"],
  ["queue.wait_seconds", "observation"],
  ["cache.hit_ratio", "observation"],
  ["batch.size", "observation"],
  ["render.time", "observation", "ms"],
  ["jobs.done", "counter"],
  ["retries_total", "counter"],
  ["queue.depth", "gauge"],
  ["worker.temperature", "gauge"],
  // Conflicts with a name above, once that is stored.
  ["jobs_done", "gauge"],
  ["queue.depth", "counter"],
];

/** Half of the events have these, so that a metric gets many series. */
const USUAL = METRICS.filter(([name]) =>
  ["http.request.duration_ms", "jobs.done", "worker.temperature"].includes(name),
);

const oneOf = (prefix: string, values: number) => fc.nat(values - 1).map((index) => `${prefix}${index}`);

// Most events share a few series. The others spread over labels, two of which exceed the limit of values in the tests
// and are demoted.
const narrow = fc.record(
  { operation: oneOf("op", 2), task_id: oneOf("t", 5) },
  { requiredKeys: ["operation"] },
);
const wide = fc.record(
  {
    operation: oneOf("op", 3),
    status_code: fc.constantFrom("200", "404", "500"),
    domain: oneOf("d", 9),
    "url.path": oneOf("/p", 7),
    instance: oneOf("w", 2),
    job: fc.constant("crawler"),
    task_id: oneOf("t", 5),
    trace_id: oneOf("none-", 2),
  },
  { requiredKeys: [] },
);
// A gauge's task_id is one of its labels, so few events would share a series.
const level = fc.record(
  { operation: oneOf("op", 2), instance: oneOf("w", 2) },
  { requiredKeys: ["operation"] },
);
const tagsOf = (type: EventType) =>
  fc.oneof(
    { weight: 3, arbitrary: type === "gauge" ? level : narrow },
    { weight: 2, arbitrary: wide },
  ) as fc.Arbitrary<Record<string, string>>;

const value = (type: EventType): fc.Arbitrary<number> =>
  fc
    .oneof(
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 2_000_000 }) },
      // Doubles do not represent hundredths exactly: their sums show whether rounding errors are compensated.
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 4_000_000 }).map((each) => each / 100) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 4 }).map((each) => each / 4) },
    )
    // Gauges have one of a few values, so that equal timestamps also have equal values.
    .map((each) => (type === "gauge" ? each % 3 : each < 2 ** -8 ? 0 : each));

const ago = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 3 }).map((each) => each * MINUTE) },
  { weight: 2, arbitrary: fc.integer({ min: 5, max: 55 }).map((each) => each * MINUTE) },
  { weight: 2, arbitrary: fc.integer({ min: 66, max: 30 * 60 }).map((each) => each * MINUTE) },
  { weight: 1, arbitrary: fc.constantFrom(-5 * MINUTE, -8 * MINUTE, -12 * MINUTE, -30 * HOUR) },
  { weight: 1, arbitrary: fc.integer({ min: 73, max: 200 }).map((each) => each * HOUR) },
);

const spelling: fc.Arbitrary<Spelling> = fc.record({
  short: fc.boolean(),
  rfc3339: fc.boolean(),
  explicit: fc.boolean(),
  loose: fc.boolean(),
});

export const draft: fc.Arbitrary<Draft> = fc
  .oneof(fc.constantFrom(...USUAL), fc.constantFrom(...METRICS))
  .chain(([name, type, unit]) =>
    fc.record({
      name: fc.constant(name),
      type: fc.constant(type),
      unit: fc.constant(unit),
      value: value(type),
      tags: tagsOf(type),
      agoMs: ago,
      spelling,
    }),
  );

/** The event of a draft that is pushed at `nowMs`: on whole minutes, so that timestamps repeat. */
export function eventOf(draft: Draft, nowMs: number): Event {
  const { name, type, unit, value, tags, agoMs } = draft;
  return { name, type, unit, value, tags, timestampMs: Math.floor(nowMs / MINUTE) * MINUTE - agoMs };
}

/** The event as JSON, in its spelling. */
export function written(event: Event, { short, rfc3339, explicit, loose }: Spelling): string {
  const tags: Record<string, unknown> = { ...event.tags };
  if (loose) {
    for (const [tag, value] of Object.entries(tags))
      if (/^\d+$/.test(String(value))) tags[tag] = Number(value);
    tags.nothing = null;
    tags.empty = "";
  }
  return JSON.stringify({
    [short ? "timestamp" : "@timestamp"]: rfc3339
      ? new Date(event.timestampMs).toISOString()
      : event.timestampMs,
    [short ? "name" : "metric_name"]: event.name,
    value: event.value,
    tags,
    ...((explicit || event.type !== "observation") && { type: event.type }),
    ...(event.unit && { unit: event.unit }),
  });
}

/** The forms of a body with several events. */
export type Framing = "array" | "ndjson" | "gzip";
export const framing: fc.Arbitrary<Framing> = fc.constantFrom("array", "ndjson", "gzip");

export interface Body {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

export function framed(lines: readonly string[], framing: Framing): Body {
  const json = { "Content-Type": "application/json" };
  const encoder = new TextEncoder();
  if (framing === "ndjson")
    return {
      bytes: encoder.encode(`${lines.join("\n")}\n`),
      headers: { "Content-Type": "application/x-ndjson" },
    };
  const bytes = encoder.encode(lines.length === 1 ? lines[0]! : `[${lines.join(",")}]`);
  if (framing === "array") return { bytes, headers: json };
  return { bytes: Bun.gzipSync(bytes), headers: { ...json, "Content-Encoding": "gzip" } };
}
