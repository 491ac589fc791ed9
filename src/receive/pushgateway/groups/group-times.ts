/** A group without its values, as `/api/v1/groups` lists it: when it was pushed, when a push failed, when it expires. */
import { microsecondsText } from "../../../model/time.ts";
import { type Group, PUSH_FAILURE_TIME, PUSH_TIME } from "./group.ts";
import type { LastValues } from "./pushed.ts";

export interface GroupTimes {
  readonly labels: Readonly<Record<string, string>>;
  /** RFC 3339. Null before the first push that succeeded. */
  readonly pushedAt: string | null;
  /** RFC 3339. Null if no push failed. */
  readonly failedAt: string | null;
  /** RFC 3339. Null if the group does not expire. */
  readonly expiresAt: string | null;
  /** Metrics and series, without the two times of pushes. */
  readonly metrics: number;
  readonly series: number;
}

/** The times and the size of a group. It expires after its last push; without a successful push, after the failure. */
export function groupTimes(group: Group, values: Pick<LastValues, "level">): GroupTimes {
  let metrics = 0;
  let series = 0;
  for (const { name, points } of group.shape.families) {
    if (name === PUSH_TIME || name === PUSH_FAILURE_TIME) continue;
    metrics++;
    for (const { length } of points) series += length;
  }
  const seconds = (name: string) => {
    const seriesId = group.firstSeriesOf(name);
    return seriesId === undefined ? 0 : (values.level(seriesId) ?? 0);
  };
  const [pushed, failed] = [seconds(PUSH_TIME), seconds(PUSH_FAILURE_TIME)];
  const expires = group.ttlMs === undefined ? 0 : (pushed || failed) + group.ttlMs / 1_000;
  return {
    labels: Object.fromEntries([...group.labels].sort(([a], [b]) => (a < b ? -1 : 1))),
    pushedAt: timeText(pushed),
    failedAt: timeText(failed),
    expiresAt: timeText(expires),
    metrics,
    series,
  };
}

function timeText(seconds: number): string | null {
  return seconds === 0 ? null : microsecondsText(Math.round(seconds * 1e6));
}
