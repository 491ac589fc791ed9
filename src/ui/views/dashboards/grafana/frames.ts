/** Answers as tables of columns, as Grafana's panels and transformations see them. Pure. */
import {
  numberOf,
  type PromAnswer,
  type PromSeries,
  seriesName,
  shortNames,
} from "../../../api/promql-answer.ts";
import { sqlTimeMs } from "../../../format/times.ts";
import type { PanelTarget } from "./panel-model.ts";

export type FrameCell = number | string | null;

export interface FrameField {
  readonly name: string;
  /** Times are milliseconds since 1970. */
  readonly kind: "time" | "number" | "text";
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly FrameCell[];
  /** What the legend calls it. */
  readonly legend?: string;
}

/** Columns of one length. */
export interface DataFrame {
  readonly refId: string;
  readonly fields: readonly FrameField[];
}

const NO_LABELS = {};
export const TIME = "Time";
export const VALUE = "Value";

/** The name of a series by a legend format: `{{instance}} read`. */
export function legendText(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? "");
}

/**
 * The frames of an answer: one with all series if a table is asked for, else one for each series.
 *
 * @param isAlone whether the panel has no other question, so that `Value` needs no number
 */
export function promFrames(
  target: PanelTarget,
  { resultType, result }: PromAnswer,
  isAlone: boolean,
): DataFrame[] {
  const series: readonly PromSeries[] =
    resultType === "scalar" || resultType === "string"
      ? [{ metric: {}, value: result as readonly [number, string] }]
      : (result as readonly PromSeries[]);
  const { refId, format, legend, text } = target;
  if (format === "table") return [tableFrame(target, series, isAlone ? VALUE : `${VALUE} #${refId}`)];
  const names = legend === "__auto" ? shortNames(series) : series.map(({ metric }) => seriesName(metric));
  return series.map((each, index) => {
    const points = pointsOf(each);
    const hasLabels = Object.keys(each.metric).length > 0;
    const named = legend === "" || legend === "__auto" ? "" : legendText(legend, each.metric);
    return {
      refId,
      fields: [
        { name: TIME, kind: "time", labels: NO_LABELS, values: points.map(([seconds]) => seconds * 1_000) },
        {
          name: VALUE,
          kind: "number",
          labels: each.metric,
          values: points.map(([, value]) => numberOf(value)),
          legend: named || (hasLabels ? names[index]! : text),
        },
      ],
    };
  });
}

function pointsOf({ value, values }: PromSeries): readonly (readonly [number, string])[] {
  return values ?? (value === undefined ? [] : [value]);
}

function tableFrame({ refId }: PanelTarget, series: readonly PromSeries[], valueName: string): DataFrame {
  const labels = [...new Set(series.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = series.flatMap((each) => pointsOf(each).map((point) => ({ metric: each.metric, point })));
  return {
    refId,
    fields: [
      {
        ...{ name: TIME, kind: "time", labels: NO_LABELS },
        values: rows.map(({ point: [seconds] }) => seconds * 1_000),
      },
      ...labels.map(
        (label): FrameField => ({
          ...{ name: label, kind: "text", labels: NO_LABELS },
          values: rows.map(({ metric }) => metric[label] ?? null),
        }),
      ),
      {
        ...{ name: valueName, kind: "number", labels: NO_LABELS },
        values: rows.map(({ point: [, value] }) => numberOf(value)),
      },
    ],
  };
}

export interface SqlRows {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/;
const TIMES = /^(?:TIMESTAMP|DATE)/;

/** The frame of rows of SQL. */
export function sqlFrame(refId: string, { columns, rows }: SqlRows): DataFrame {
  return {
    refId,
    fields: columns.map(({ name, type }): FrameField => {
      const kind = TIMES.test(type) ? "time" : NUMERIC.test(type) ? "number" : "text";
      return { name, kind, labels: NO_LABELS, values: rows.map((row) => cellOf(row[name], kind)) };
    }),
  };
}

function cellOf(value: unknown, kind: FrameField["kind"]): FrameCell {
  if (value === null || value === undefined) return null;
  if (kind === "time") {
    const ms = sqlTimeMs(String(value));
    return Number.isNaN(ms) ? null : ms;
  }
  if (kind === "number") return Number(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * Rows with times, numbers and texts as a frame for each line: one per column of numbers and combination of texts. Other frames
 * stay as they are.
 */
export function asLines(frame: DataFrame, legend: string): DataFrame[] {
  const time = frame.fields.find(({ kind }) => kind === "time");
  const texts = frame.fields.filter(({ kind }) => kind === "text");
  const numbers = frame.fields.filter(({ kind }) => kind === "number");
  if (time === undefined || numbers.length === 0) return [frame];
  const rowsOf = new Map<string, number[]>();
  time.values.forEach((_, row) => {
    const key = JSON.stringify(texts.map(({ values }) => values[row]));
    rowsOf.getOrInsertComputed(key, () => []).push(row);
  });
  return [...rowsOf].flatMap(([key, rows]) => {
    const inOrder = rows.toSorted((a, b) => Number(time.values[a]) - Number(time.values[b]));
    const cells = JSON.parse(key) as FrameCell[];
    const labels = Object.fromEntries(texts.map(({ name }, index) => [name, String(cells[index] ?? "")]));
    return numbers.map((number): DataFrame => {
      const own = [
        ...Object.values(labels),
        ...(numbers.length > 1 || texts.length === 0 ? [number.name] : []),
      ];
      return {
        refId: frame.refId,
        fields: [
          { ...time, values: inOrder.map((row) => time.values[row]!) },
          {
            ...{ name: number.name, kind: "number", labels },
            values: inOrder.map((row) => number.values[row]!),
            legend: legend === "" ? own.join(" ") : legendText(legend, labels),
          },
        ],
      };
    });
  });
}

/** The number of rows. */
export function lengthOf({ fields }: DataFrame): number {
  return fields[0]?.values.length ?? 0;
}
