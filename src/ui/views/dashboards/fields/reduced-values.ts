/** The values that panels of single values show: one for each series, or one for each row. Pure. */
import type { FieldSettings, ShownField } from "./field-settings.ts";
import type { FrameCell } from "../grafana/frames.ts";
import { at, listOf, numberIn, textOf } from "../grafana/loose-json.ts";
import type { PanelModel } from "../grafana/panel-model.ts";
import { reducerOf } from "./reducers.ts";

export interface ReducedValue {
  readonly name: string;
  readonly value: FrameCell;
  readonly settings: FieldSettings;
  /** All values of the series, for a small line behind the number. */
  readonly series: readonly FrameCell[];
}

/** More values cannot be read, and draw slowly. */
const VALUES_MAX = 200;

export function reducedValues({ options }: PanelModel, fields: readonly ShownField[]): ReducedValue[] {
  const wanted = textOf(at(options, "reduceOptions.fields"));
  const pattern = /^\/([\s\S]*)\/$/.exec(wanted)?.[1];
  const chosen = fields.filter(({ field, settings }) => {
    if (wanted === "") return field.kind === "number";
    return pattern === undefined ? settings.name === wanted : new RegExp(pattern).test(settings.name);
  });
  if (at(options, "reduceOptions.values") === true) return eachRow(chosen, fields, options);
  const reduce = calculationOf(options)?.reduce;
  return chosen.slice(0, VALUES_MAX).map(({ field, settings }) => ({
    ...{ name: settings.name, settings, series: field.values },
    value: reduce?.(field.values) ?? null,
  }));
}

function calculationOf(options: PanelModel["options"]) {
  return reducerOf(calculationName(options));
}

function calculationName(options: PanelModel["options"]): string {
  return textOf(listOf(at(options, "reduceOptions.calcs"))[0]) || "lastNotNull";
}

/** The names of rows are the texts of the first column of texts. */
function eachRow(
  chosen: readonly ShownField[],
  fields: readonly ShownField[],
  options: PanelModel["options"],
): ReducedValue[] {
  const limit = Math.min(VALUES_MAX, numberIn(at(options, "reduceOptions.limit")) ?? VALUES_MAX);
  return chosen
    .flatMap(({ frame, field, settings }) => {
      const names = fields.find((each) => each.frame === frame && each.field.kind === "text")?.field;
      return field.values.map((value, row) => ({
        name: names === undefined ? settings.name : String(names.values[row] ?? settings.name),
        ...{ value, settings, series: [] },
      }));
    })
    .slice(0, limit);
}

/** What of the options is not supported, as sentences. */
export function reduceFaults({ options }: PanelModel): string[] {
  const name = calculationName(options);
  return reducerOf(name) === undefined ? [`It needs the calculation ${name}, which is not supported.`] : [];
}

/** The least and the greatest of some values. */
export function endsOfValues(values: readonly FrameCell[]): readonly [least: number, most: number] {
  const numbers = values.filter(
    (value): value is number => typeof value === "number" && Number.isFinite(value),
  );
  return [
    numbers.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
    numbers.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  ];
}
