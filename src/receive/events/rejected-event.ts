/** A rejected sample as the event that a person can mend and push again. Pure. */
import type { DecodedRejection } from "../../ingest/admission/rejected-sample.ts";

/** What the field `type` of an event is for a kind. An observation needs none. */
const TYPES = { observation: undefined, delta: "counter", gauge: "gauge", cumulative: "cumulative" } as const;
/** The types in Prometheus's metadata that the kinds imply. */
const IMPLIED = {
  observation: "histogram",
  delta: "counter",
  gauge: "gauge",
  cumulative: undefined,
} as const;

/** The event in JSON, with a line for each field. */
export function rejectedEvent(sample: DecodedRejection): string {
  const { metric, kind, type, unit, help, labels, attributes = {}, timestampUs, value } = sample;
  const event = {
    "@timestamp": timeOf(timestampUs),
    metric_name: metric,
    value,
    type: TYPES[kind],
    metadata_type: type === IMPLIED[kind] ? undefined : type,
    unit: unit || undefined,
    help: help || undefined,
    tags: { ...labels, ...attributes },
  };
  return JSON.stringify(event, undefined, 2);
}

/** RFC 3339 if milliseconds are exact, else milliseconds with a fraction. */
function timeOf(us: number): string | number {
  const ms = us / 1000;
  const date = new Date(ms);
  return Number.isInteger(ms) && !Number.isNaN(date.getTime()) ? date.toISOString() : ms;
}
