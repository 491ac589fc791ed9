/**
 * A group as Pushgateway's `/api/v1/metrics` lists it
 * (https://github.com/prometheus/pushgateway#query-api): numbers as text, types in capitals, keys in order.
 */
import type { Labels } from "../../../model/sample.ts";
import { microsecondsText } from "../../../model/time.ts";
import { goNumber } from "./describe.ts";
import { type Group, PUSH_FAILURE_TIME, PUSH_TIME } from "./group.ts";
import type { GroupFamily, Point } from "./group-shape.ts";
import type { LastValues } from "./pushed.ts";

type Values = Pick<LastValues, "level" | "lastUs">;

/** One group in JSON, with a pause after each point. */
export function* groupJson(
  group: Group,
  values: Values,
  labelsOf: (seriesId: number) => Labels | undefined,
): Generator<void, string> {
  const fields = new Map([
    ["labels", JSON.stringify(sorted(group.labels))],
    [
      "last_push_successful",
      String(level(group, PUSH_TIME, values) > level(group, PUSH_FAILURE_TIME, values)),
    ],
  ]);
  for (const family of group.families()) {
    const about = JSON.stringify({
      time_stamp: microsecondsText(values.lastUs(family.points[0]?.seriesIds[0] ?? 0)),
      type: family.type.toUpperCase(),
      ...(family.help !== "" && { help: family.help }),
    });
    const points: string[] = [];
    for (const point of family.points) {
      const labels = new Map([
        ["instance", ""],
        ...(labelsOf(point.seriesIds.at(-1)!) ?? []),
        ...group.labels,
      ] as [string, string][]);
      points.push(JSON.stringify({ labels: sorted(labels), ...pointValues(family, point, values) }));
      yield;
    }
    fields.set(family.name, `${about.slice(0, -1)},"metrics":[${points.join(",")}]}`);
  }
  const names = [...fields.keys()].sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${fields.get(name)}`).join(",")}}`;
}

function level(group: Group, name: string, values: Values): number {
  const seriesId = group.firstSeriesOf(name);
  return seriesId === undefined ? 0 : (values.level(seriesId) ?? 0);
}

function pointValues({ type }: GroupFamily, { edges, seriesIds }: Point, values: Values) {
  const texts = seriesIds.map((seriesId) => goNumber(values.level(seriesId) ?? Number.NaN));
  if (edges === undefined) return { value: texts[0] };
  // Edges are OpenMetrics floats. Here an integer has no decimal point.
  const byEdge = Object.fromEntries(edges.map((edge, at) => [edge.replace(/\.0$/, ""), texts[at]]));
  const [sum, count] = texts.slice(edges.length);
  return { [type === "histogram" ? "buckets" : "quantiles"]: byEdge, sum, count };
}

function sorted(labels: Labels): Record<string, string> {
  return Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}
