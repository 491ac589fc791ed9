/** Lines of events for programs that are no gateway: stale markers are no events, and are left out. */
import type { RefusedSample } from "../sending/destination-status.ts";

/** What such a program stores of an event. */
export interface PlainEvent {
  readonly "@timestamp": number | string;
  readonly metric_name: string;
  readonly value: number | string;
  readonly tags: Readonly<Record<string, string>>;
}

/** The value of a stale marker, behind the time and the name: a tag can be named `value` too. */
const STALE = /^\{"@timestamp":[^,]+,"metric_name":"(?:[^"\\]|\\.)*","value":"stale",/;

/** The lines of events, without their line feeds. */
export function plainLines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !STALE.test(line));
}

/** The time of a line, in milliseconds since the epoch. It is the first field of each. */
export function timeOfLine(line: string): number {
  const [, text = "0"] = /^\{"@timestamp":("[^"]*"|[0-9.-]+)/.exec(line) ?? [];
  return text.startsWith('"') ? Date.parse(text.slice(1, -1)) : Number(text);
}

export function refusedLine(line: string, reason: string): RefusedSample {
  const { metric_name: metric, tags: labels } = JSON.parse(line) as PlainEvent;
  return { metric, labels, reason, payload: line };
}
