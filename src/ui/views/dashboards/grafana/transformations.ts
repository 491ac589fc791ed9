/** The transformations of Grafana that change answers before they are drawn. Pure. */
import { plainName } from "../fields/field-settings.ts";
import { type DataFrame, type FrameCell, type FrameField, lengthOf, TIME } from "./frames.ts";
import { at, type Loose, listOf, numberIn, objectOf, objectsOf, textOf } from "./loose-json.ts";
import { reducerOf } from "../fields/reducers.ts";

type Transform = (frames: readonly DataFrame[], options: Loose) => readonly DataFrame[];

/** What is not supported, as a sentence. */
export class UnknownTransformation extends Error {}

/** Applies transformations in their order. Throws `UnknownTransformation`. */
export function transformed(
  frames: readonly DataFrame[],
  transformations: readonly Loose[],
): readonly DataFrame[] {
  return transformations.reduce<readonly DataFrame[]>((before, { id, options }) => {
    const name = textOf(id);
    if (!Object.hasOwn(TRANSFORMS, name))
      throw new UnknownTransformation(`It needs the transformation ${name}, which is not supported.`);
    return TRANSFORMS[name]!(before, objectOf(options));
  }, frames);
}

const NO_LABELS = {};

const perFrame =
  (change: (frame: DataFrame, options: Loose) => DataFrame): Transform =>
  (frames, options) =>
    frames.map((frame) => change(frame, options));

const TRANSFORMS: Readonly<Record<string, Transform>> = {
  merge: (frames) => merged(frames),
  organize: perFrame(organized),
  reduce: (frames, options) =>
    options.mode === "reduceFields"
      ? frames.map((frame) => reducedFields(frame, options))
      : reduced(frames, options),
  sortBy: perFrame(sortedBy),
  limit: perFrame((frame, options) => {
    const most = numberIn(options.limitField) ?? 10;
    return rowsOf(
      frame,
      Array.from({ length: Math.min(most, lengthOf(frame)) }, (_, row) => row),
    );
  }),
  filterFieldsByName: (frames, options) => frames.map((frame) => filteredFields(frame, options)),
  filterByRefId: (frames, options) => {
    const wanted = textOf(options.include).split("|");
    return frames.filter(({ refId }) => wanted.includes(refId));
  },
  filterByValue: perFrame(filteredRows),
  renameByRegex: (frames, { regex, renamePattern }) => {
    const [, source = textOf(regex), flags = ""] = /^\/([\s\S]*)\/([gims]*)$/.exec(textOf(regex)) ?? [];
    const pattern = new RegExp(source, flags);
    const renamed = (field: FrameField) => {
      const name = plainName(field);
      return pattern.test(name) && field.kind !== "time"
        ? { ...field, legend: name.replace(pattern, textOf(renamePattern)) }
        : field;
    };
    return frames.map((frame) => ({ ...frame, fields: frame.fields.map(renamed) }));
  },
  labelsToFields: (frames) => merged(frames.map(withLabelColumns)),
  joinByField: (frames, options) => joined(frames, textOf(options.byField, TIME), options.mode === "inner"),
  seriesToColumns: (frames, options) => joined(frames, textOf(options.byField, TIME), false),
  seriesToRows: (frames) => asRows(frames),
  groupBy: perFrame(grouped),
  calculateField: (frames, options) => frames.map((frame) => calculated(frame, options)),
  convertFieldType: perFrame(converted),
  // Frames of Prometheus are of this form already.
  prepareTimeSeries: (frames) => frames,
};

/** The names of a frame's columns, as transformations know them. */
const named = (frame: DataFrame, name: string) =>
  frame.fields.find((field) => field.name === name) ??
  frame.fields.find((field) => plainName(field) === name);

function rowsOf(frame: DataFrame, rows: readonly number[]): DataFrame {
  const fields = frame.fields.map((field) => ({ ...field, values: rows.map((row) => field.values[row]!) }));
  return { ...frame, fields };
}

/** One frame of all. Rows with the same values in the columns that all frames have become one row. */
function merged(frames: readonly DataFrame[]): DataFrame[] {
  const filledFrames = frames.filter((frame) => frame.fields.length > 0);
  const [first] = filledFrames;
  if (first === undefined) return [];
  const columns = new Map<string, FrameField>();
  for (const { fields } of filledFrames)
    for (const field of fields) if (!columns.has(plainName(field))) columns.set(plainName(field), field);
  const shared = [...columns.keys()].filter((name) =>
    filledFrames.every(({ fields }) => fields.some((field) => plainName(field) === name)),
  );
  const rows: Map<string, FrameCell>[] = [];
  const byKey = new Map<string, Map<string, FrameCell>[]>();
  for (const frame of filledFrames) {
    for (let index = 0; index < lengthOf(frame); index++) {
      const row = new Map(frame.fields.map((field) => [plainName(field), field.values[index] ?? null]));
      const key = JSON.stringify(shared.map((name) => row.get(name)));
      const others = shared.length === 0 ? [] : byKey.getOrInsertComputed(key, () => []);
      const same = others.find((other) =>
        [...row].every(([name, value]) => (other.get(name) ?? value) === value),
      );
      if (same === undefined) {
        rows.push(row);
        others.push(row);
      } else for (const [name, value] of row) same.set(name, value);
    }
  }
  const fields = [...columns].map(([name, field]) => ({
    ...field,
    values: rows.map((row) => row.get(name) ?? null),
  }));
  return [{ refId: first.refId, fields }];
}

function organized(frame: DataFrame, options: Loose): DataFrame {
  const [excluded, order, names] = ["excludeByName", "indexByName", "renameByName"].map((name) =>
    objectOf(options[name]),
  ) as [Loose, Loose, Loose];
  const included = objectOf(options.includeByName);
  const keyOf = (field: FrameField) =>
    [field.name, plainName(field)].find((name) =>
      [excluded, order, names, included].some((each) => name in each),
    ) ?? plainName(field);
  const isIncluded = (field: FrameField) =>
    Object.keys(included).length === 0 || included[keyOf(field)] === true;
  const placeOf = (field: FrameField) => numberIn(order[keyOf(field)]) ?? Number.POSITIVE_INFINITY;
  const fields = frame.fields
    .filter((field) => excluded[keyOf(field)] !== true && isIncluded(field))
    .map((field, index) => ({ field, index }))
    .toSorted((a, b) => {
      const [first, second] = [placeOf(a.field), placeOf(b.field)];
      return first === second ? a.index - b.index : first - second;
    })
    .map(({ field }) => {
      const name = textOf(names[keyOf(field)]);
      return name === "" ? field : { ...field, name, legend: name };
    });
  return { ...frame, fields };
}

/** A row for each column of numbers, with a column for each calculation. */
function reduced(frames: readonly DataFrame[], { reducers, labelsToFields }: Loose): DataFrame[] {
  const calculations = listOf(reducers).flatMap((name) => reducerOf(textOf(name)) ?? []);
  const fields = frames.flatMap((frame) => frame.fields.filter(({ kind }) => kind === "number"));
  const labels =
    labelsToFields === true ? [...new Set(fields.flatMap((field) => Object.keys(field.labels)))].sort() : [];
  const column = (name: string, kind: FrameField["kind"], values: FrameCell[]): FrameField => ({
    ...{ name, kind, values },
    labels: NO_LABELS,
  });
  return [
    {
      refId: frames[0]?.refId ?? "A",
      fields: [
        ...(labels.length === 0 ? [column("Field", "text", fields.map(plainName))] : []),
        ...labels.map((label) =>
          column(
            label,
            "text",
            fields.map((field) => field.labels[label] ?? null),
          ),
        ),
        ...calculations.map(({ title, reduce }) =>
          column(
            title,
            "number",
            fields.map(({ values }) => reduce(values)),
          ),
        ),
      ],
    },
  ];
}

/** One row, with each column of numbers as one value. */
function reducedFields(frame: DataFrame, { reducers }: Loose): DataFrame {
  const calculation = reducerOf(textOf(listOf(reducers)[0], "max"));
  const fields = frame.fields
    .filter(({ kind }) => kind === "number")
    .map((field) => ({ ...field, values: [calculation?.reduce(field.values) ?? null] }));
  return { ...frame, fields };
}

/** Orders texts and numbers; null is last. */
export function compareCells(a: FrameCell, b: FrameCell): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortedBy(frame: DataFrame, options: Loose): DataFrame {
  const [sort = {}] = objectsOf(options.sort);
  const field = named(frame, textOf(sort.field));
  if (field === undefined) return frame;
  const sign = sort.desc === true ? -1 : 1;
  const rows = field.values.map((_, row) => row);
  return rowsOf(
    frame,
    rows.toSorted((a, b) => sign * compareCells(field.values[a]!, field.values[b]!)),
  );
}

function filteredFields(frame: DataFrame, options: Loose): DataFrame {
  const isNamed = (given: unknown, field: FrameField) => {
    const names = listOf(at(given, "names"));
    const pattern = textOf(at(given, "pattern"));
    const [, source = pattern] = /^\/([\s\S]*)\/[gims]*$/.exec(pattern) ?? [];
    const isListed = names.includes(field.name) || names.includes(plainName(field));
    return isListed || (pattern !== "" && new RegExp(source).test(plainName(field)));
  };
  const has = (given: unknown) =>
    listOf(at(given, "names")).length > 0 || textOf(at(given, "pattern")) !== "";
  const { include, exclude } = options;
  const fields = frame.fields.filter(
    (field) => (!has(include) || isNamed(include, field)) && !(has(exclude) && isNamed(exclude, field)),
  );
  return { ...frame, fields };
}

function filteredRows(frame: DataFrame, options: Loose): DataFrame {
  const filters = objectsOf(options.filters).flatMap(({ fieldName, config }) => {
    const field = named(frame, textOf(fieldName));
    const [id, value] = [textOf(at(config, "id")), at(config, "options.value")];
    const [from, to] = [at(config, "options.from"), at(config, "options.to")];
    return field === undefined ? [] : [(row: number) => isSelected(id, field.values[row]!, value, from, to)];
  });
  const combine = options.match === "any" ? "some" : "every";
  const keeps = options.type !== "exclude";
  const rows = Array.from({ length: lengthOf(frame) }, (_, row) => row);
  if (filters.length === 0) return frame;
  return rowsOf(
    frame,
    rows.filter((row) => filters[combine]((isMatch) => isMatch(row)) === keeps),
  );
}

function isSelected(id: string, cell: FrameCell, value: unknown, from: unknown, to: unknown): boolean {
  const [number, limit] = [Number(cell), numberIn(value) ?? Number.NaN];
  switch (id) {
    case "greater":
      return number > limit;
    case "greaterOrEqual":
      return number >= limit;
    case "lower":
      return number < limit;
    case "lowerOrEqual":
      return number <= limit;
    case "equal":
      return String(cell) === String(value);
    case "notEqual":
      return String(cell) !== String(value);
    case "isNull":
      return cell === null;
    case "isNotNull":
      return cell !== null;
    case "regex":
      return new RegExp(textOf(value)).test(String(cell));
    case "substring":
      return String(cell).toLowerCase().includes(String(value).toLowerCase());
    case "between":
      return number >= (numberIn(from) ?? Number.NaN) && number <= (numberIn(to) ?? Number.NaN);
    default:
      throw new UnknownTransformation(`It filters by ${id}, which is not supported.`);
  }
}

/** The labels of a series as columns. */
function withLabelColumns(frame: DataFrame): DataFrame {
  const labels = new Map(frame.fields.flatMap((field) => Object.entries(field.labels)));
  const columns = [...labels].map(
    ([name, value]): FrameField => ({
      ...{ name, kind: "text", labels: NO_LABELS },
      values: Array.from({ length: lengthOf(frame) }, () => value),
    }),
  );
  const [time, ...others] = frame.fields.map(({ legend: _, ...field }) => ({ ...field, labels: NO_LABELS }));
  return { ...frame, fields: time === undefined ? columns : [time, ...columns, ...others] };
}

/** One frame with a row for each value of a column, and the other columns of all frames. */
function joined(frames: readonly DataFrame[], name: string, isInner: boolean): DataFrame[] {
  const parts = frames.flatMap((frame) => {
    const key = named(frame, name);
    return key === undefined ? [] : [{ frame, key }];
  });
  const [first] = parts;
  if (first === undefined) return [...frames];
  const rowsByKey = parts.map(({ key }) => new Map(key.values.map((value, row) => [value, row])));
  const keys = [...new Set(parts.flatMap(({ key }) => key.values))].filter(
    (value) => !isInner || rowsByKey.every((rows) => rows.has(value)),
  );
  if (first.key.kind !== "text") keys.sort(compareCells);
  const others = parts.flatMap(({ frame, key }, part) =>
    frame.fields
      .filter((field) => field !== key)
      .map((field) => ({
        ...field,
        values: keys.map((value) => field.values[rowsByKey[part]!.get(value) ?? -1] ?? null),
      })),
  );
  return [{ refId: first.frame.refId, fields: [{ ...first.key, values: keys }, ...others] }];
}

/** One frame with the columns Time, Metric and Value. */
function asRows(frames: readonly DataFrame[]): DataFrame[] {
  const rows = frames.flatMap((frame) => {
    const time = frame.fields.find(({ kind }) => kind === "time");
    const values = frame.fields.filter(({ kind }) => kind === "number");
    return values.flatMap((field) =>
      field.values.map((value, row): FrameCell[] => [time?.values[row] ?? null, plainName(field), value]),
    );
  });
  rows.sort((a, b) => compareCells(b[0]!, a[0]!));
  const kinds = ["time", "text", "number"] as const;
  const fields = [TIME, "Metric", "Value"].map(
    (name, column): FrameField => ({
      ...{ name, kind: kinds[column]!, labels: NO_LABELS },
      values: rows.map((row) => row[column]!),
    }),
  );
  return [{ refId: frames[0]?.refId ?? "A", fields }];
}

function grouped(frame: DataFrame, options: Loose): DataFrame {
  const settings = objectOf(options.fields);
  const of = (field: FrameField) => objectOf(settings[plainName(field)] ?? settings[field.name]);
  const keys = frame.fields.filter((field) => of(field).operation === "groupby");
  const groups = new Map<string, number[]>();
  for (let row = 0; row < lengthOf(frame); row++) {
    const key = JSON.stringify(keys.map(({ values }) => values[row]));
    groups.getOrInsertComputed(key, () => []).push(row);
  }
  const rows = [...groups.values()];
  const aggregated = frame.fields
    .filter((field) => of(field).operation === "aggregate")
    .flatMap((field) =>
      listOf(of(field).aggregations).flatMap((name): FrameField[] => {
        const calculation = reducerOf(textOf(name));
        if (calculation === undefined) return [];
        return [
          {
            ...{ name: `${plainName(field)} (${textOf(name)})`, labels: NO_LABELS },
            kind: name === "count" ? "number" : field.kind,
            values: rows.map((each) => calculation.reduce(each.map((row) => field.values[row]!))),
          },
        ];
      }),
    );
  const columns = keys.map((field) => ({ ...field, values: rows.map(([row]) => field.values[row!]!) }));
  return { ...frame, fields: [...columns, ...aggregated] };
}

const OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
};

function calculated(frame: DataFrame, options: Loose): DataFrame {
  const isBinary = options.mode === "binary";
  if (!isBinary && options.mode !== undefined && options.mode !== "reduceRow")
    throw new UnknownTransformation(
      `It calculates a column by ${textOf(options.mode)}, which is not supported.`,
    );
  const numbers = frame.fields.filter(({ kind }) => kind === "number");
  const length = lengthOf(frame);
  let values: FrameCell[];
  let name: string;
  if (isBinary) {
    const { left, right, operator, reducer } = objectOf(options.binary);
    const sideName = (side: unknown) =>
      textOf(at(side, "matcher.options")) || textOf(at(side, "fixed")) || textOf(side);
    const side = (given: unknown) => {
      const field = named(frame, sideName(given));
      const fixed = numberIn(sideName(given)) ?? Number.NaN;
      return (row: number) => (field === undefined ? fixed : Number(field.values[row] ?? Number.NaN));
    };
    const sign = textOf(operator, textOf(reducer, "+"));
    const operate = OPERATORS[sign] ?? OPERATORS["+"]!;
    const [a, b] = [side(left), side(right)];
    values = Array.from({ length }, (_, row) => operate(a(row), b(row)));
    name = `${sideName(left)} ${sign} ${sideName(right)}`;
  } else {
    const included = listOf(at(options, "reduce.include"));
    const calculation = reducerOf(textOf(at(options, "reduce.reducer"), "sum"));
    const wanted =
      included.length === 0 ? numbers : numbers.filter((field) => included.includes(plainName(field)));
    values = Array.from(
      { length },
      (_, row) => calculation?.reduce(wanted.map((field) => field.values[row] ?? null)) ?? null,
    );
    name = calculation?.title ?? "Total";
  }
  const field: FrameField = {
    ...{ name: textOf(options.alias) || name, kind: "number", labels: NO_LABELS },
    values: values.map((value) => (Number.isNaN(value) ? null : value)),
  };
  const kept =
    options.replaceFields === true ? frame.fields.filter(({ kind }) => kind === "time") : frame.fields;
  return { ...frame, fields: [...kept, field] };
}

function converted(frame: DataFrame, options: Loose): DataFrame {
  const types = new Map(
    objectsOf(options.conversions).map(({ targetField, destinationType }) => [
      textOf(targetField),
      textOf(destinationType),
    ]),
  );
  const fields = frame.fields.map((field): FrameField => {
    const type = types.get(field.name) ?? types.get(plainName(field));
    if (type === "number")
      return { ...field, kind: "number", values: field.values.map((value) => numberIn(value) ?? null) };
    if (type === "string")
      return {
        ...field,
        kind: "text",
        values: field.values.map((value) => (value === null ? null : String(value))),
      };
    if (type !== "time") return field;
    return {
      ...field,
      kind: "time",
      values: field.values.map((value) => (typeof value === "string" ? Date.parse(value) : value)),
    };
  });
  return { ...frame, fields };
}
