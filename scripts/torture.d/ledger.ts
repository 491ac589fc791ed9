/**
 * What the gateway must have stored. Each push has a name, which is its Idempotency-Key and the beginning of the task_id of
 * its events. So each event can be counted.
 */

import { arrowStream } from "../bench.d/arrow-writer.ts";

export const DURATION = "torture.duration_ms";
export const DONE = "torture.done";
export const SCRAP = "torture.scrap";
/** A gauge, whose samples become blocks. */
export const LEVEL = "torture.level";
/** The most samples of it in a push. */
export const LEVELS = 50_000;
/** With a greater number, a push has none: its samples would be on the next day. */
export const LEVEL_PUSHES = 1_728;
const DAY_MS = 86_400_000;

export interface Push {
  readonly name: string;
  readonly worker: number;
  /** Days since 1970 of all its events. */
  readonly day: number;
  readonly form: PushForm;
  /** The path with its query. */
  readonly path: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  /** Its events of each metric, with the samples of the gauge, and the sums of their values: whole numbers, whose sums are exact. */
  readonly events: number;
  readonly sum: number;
  readonly durations: number;
  readonly durationSum: number;
  readonly doneSum: number;
  /** Its events that a later round may delete. */
  readonly scrap: number;
  readonly round: number;
}

/** What a push contains: events one by one, or a table of observations or of samples of the gauge. */
export type PushForm = "events" | "columns" | "arrow";

interface Event {
  readonly "@timestamp": number;
  readonly metric_name: string;
  readonly type?: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Makes a push of `wanted` events at one time, half of them observations and half increments, and `levels` samples of a
 * gauge on the same day, at most LEVELS. A table has these samples alone, or observations if there are none.
 */
export function makePush(
  { worker, number, round }: { worker: number; number: number; round: number },
  wanted: number,
  scrap: number,
  timestampMs: number,
  form: PushForm = "events",
  levels = 0,
): Push {
  const length = form !== "events" && levels > 0 ? 0 : wanted;
  const name = `w${worker}-${number}`;
  let durations = 0;
  let durationSum = 0;
  let doneSum = 0;
  const events: Event[] = [];
  for (let index = 0; index < length; index++) {
    const isDuration = index % 2 === 0 || form !== "events";
    const value = ((number + index) % 1_000) + 1;
    if (isDuration) {
      durations++;
      durationSum += value;
    } else {
      doneSum += value;
    }
    events.push({
      "@timestamp": timestampMs,
      metric_name: isDuration ? DURATION : DONE,
      ...(!isDuration && { type: "counter" }),
      value,
      tags: { task_id: `${name}/${index}`, worker: `w${worker}` },
    });
  }
  let levelSum = 0;
  const dayMs = Math.floor(timestampMs / DAY_MS) * DAY_MS;
  for (let index = 0; index < levels; index++) {
    // No other sample of its series has this time, or this value.
    const value = number * LEVELS + index;
    levelSum += value;
    events.push({
      "@timestamp": dayMs + value,
      metric_name: LEVEL,
      type: "gauge",
      value,
      tags: { worker: `w${worker}`, place: `p${index % 4}` },
    });
  }
  const scrapped = form === "events" ? scrap : 0;
  for (let index = 0; index < scrapped; index++) {
    events.push({
      "@timestamp": timestampMs,
      metric_name: SCRAP,
      type: "counter",
      value: 1,
      tags: { task_id: `${name}/s${index}`, batch: `r${round}` },
    });
  }
  return {
    name,
    worker,
    day: Math.floor(timestampMs / DAY_MS),
    ...bodyOf(events, form),
    events: length + levels,
    sum: durationSum + doneSum + levelSum,
    durations,
    durationSum,
    doneSum,
    scrap: scrapped,
    round,
  };
}

const PATH = "/api/v1/push";

function bodyOf(
  events: readonly Event[],
  form: PushForm,
): Pick<Push, "form" | "path" | "body" | "contentType"> {
  if (form === "events")
    return { form, path: PATH, body: JSON.stringify(events), contentType: "application/json" };
  const [{ metric_name: metric, type, tags: firstTags }] = events as [Event, ...Event[]];
  const times = events.map((event) => event["@timestamp"]);
  const values = events.map(({ value }) => value);
  const labels = Object.keys(firstTags).map((label) => ({
    name: label,
    values: events.map(({ tags }) => tags[label]!),
  }));
  if (form === "columns") {
    const columns = {
      ts: times,
      value: values,
      ...Object.fromEntries(labels.map((label) => [label.name, label.values])),
    };
    return {
      form,
      path: PATH,
      body: JSON.stringify({ metric, type, columns }),
      contentType: "application/json",
    };
  }
  const body = arrowStream([
    { name: "ts", is: "time", values: Float64Array.from(times) },
    { name: "value", is: "number", values: Float64Array.from(values) },
    ...labels.map((label) => ({
      ...label,
      is: label.name === "task_id" ? ("text" as const) : ("dictionary" as const),
    })),
    { name: "metric", is: "dictionary", values: events.map(() => metric) },
  ]);
  const path = type === undefined ? PATH : `${PATH}?type=${type}`;
  return { form, path, body, contentType: "application/vnd.apache.arrow.stream" };
}

/** What a store has of one push. */
export interface StoredPush {
  readonly name: string;
  readonly events: number;
  readonly ids: number;
  readonly sum: number;
  readonly scrap: number;
  readonly scrapIds: number;
}

/** Counts the events of each push. It reads the view `samples`, or another table with its columns. */
export function countingSql(samples = "samples"): string {
  const level = `labels['worker'] || '-' || floor(value / ${LEVELS})::BIGINT || '/l' || (value % ${LEVELS})::BIGINT`;
  return `SELECT split_part(id, '/', 1) AS name,
    count(*) FILTER (metric <> '${SCRAP}')::INT AS events,
    count(DISTINCT id) FILTER (metric <> '${SCRAP}')::INT AS ids,
    coalesce(sum(value) FILTER (metric <> '${SCRAP}'), 0)::BIGINT AS sum,
    count(*) FILTER (metric = '${SCRAP}')::INT AS scrap,
    count(DISTINCT id) FILTER (metric = '${SCRAP}')::INT AS "scrapIds"
  FROM (SELECT metric, value, CASE WHEN metric = '${LEVEL}' THEN ${level} ELSE task_id END AS id FROM ${samples})
  WHERE metric IN ('${DURATION}', '${DONE}', '${SCRAP}', '${LEVEL}') GROUP BY name`;
}

export interface Verdict {
  lost: number;
  doubled: number;
  /** What else is wrong, and which pushes were lost or stored twice. */
  readonly faults: string[];
}

const SHOWN_MAX = 8;

export class Ledger {
  readonly acknowledged: Push[] = [];
  /** Rounds whose scrap was deleted. */
  readonly deleted = new Set<number>();
  /** The first day that retention keeps. It does not decrease when the clock goes back. */
  firstDay = 0;
  /** The last value of each worker's group that was acknowledged. */
  readonly groups = new Map<number, number>();

  /** The sums of each worker that /metrics shows. They include what retention dropped. */
  totalsOf(worker: number): { durations: number; durationSum: number; doneSum: number } {
    const totals = { durations: 0, durationSum: 0, doneSum: 0 };
    for (const push of this.acknowledged) {
      if (push.worker !== worker) continue;
      totals.durations += push.durations;
      totals.durationSum += push.durationSum;
      totals.doneSum += push.doneSum;
    }
    return totals;
  }

  /**
   * Compares what a store has with what was acknowledged.
   *
   * @param mayHave pushes that were sent and not acknowledged: stored whole, once, or not at all
   */
  compare(
    stored: readonly StoredPush[],
    acknowledged: readonly Push[],
    mayHave: (name: string) => Push | undefined,
    isScrapDeleted: (push: Push) => boolean | undefined = ({ round }) => this.deleted.has(round),
  ): Verdict {
    const found = new Map(stored.map((each) => [each.name, each]));
    const verdict: Verdict = { lost: 0, doubled: 0, faults: [] };
    const note = (text: string) => {
      if (verdict.faults.length < SHOWN_MAX) verdict.faults.push(text);
    };
    const check = (push: Push, has: StoredPush | undefined, isCertain: boolean) => {
      const { events = 0, ids = 0, sum = 0, scrap = 0, scrapIds = 0 } = has ?? {};
      if (events > ids || scrap > scrapIds) {
        verdict.doubled += events - ids + scrap - scrapIds;
        note(`${push.name} is stored more than once: ${events} events, ${ids} different ones`);
      }
      const isKept = push.day >= this.firstDay;
      if (!isCertain || !isKept) {
        if (ids !== 0 && (ids !== push.events || sum !== push.sum)) note(`${push.name} is stored in part`);
        return;
      }
      if (ids < push.events) {
        verdict.lost += push.events - ids;
        note(`${push.name} was acknowledged with ${push.events} events, and ${ids} are stored`);
      } else if (sum !== push.sum) {
        note(`${push.name} has the sum ${sum}, expected ${push.sum}`);
      }
      const isDeleted = isScrapDeleted(push);
      if (isDeleted === undefined) return;
      const wanted = isDeleted ? 0 : push.scrap;
      if (scrapIds < wanted) verdict.lost += wanted - scrapIds;
      if (scrapIds !== wanted)
        note(`${push.name} has ${scrapIds} samples to delete, expected ${wanted} (round ${push.round})`);
    };
    for (const push of acknowledged) {
      check(push, found.get(push.name), true);
      found.delete(push.name);
    }
    for (const [name, has] of found) {
      const push = mayHave(name);
      if (push === undefined) note(`${name} is stored, and was never sent or was rejected`);
      else check(push, has, false);
    }
    return verdict;
  }
}
