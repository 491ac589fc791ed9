/**
 * The tables that SQL can query, with their columns: one table per metric, named as in Prometheus, and `samples`,
 * `series`, `metrics`, `exemplars` and `rejected`.
 *
 * The engine ignores the case of names, and some names are reserved. If several names differ only in case, one of them
 * is used unchanged: the one without capitals, else the first in the order of code units. The others, and reserved
 * names, get the first free one of `name_2`, `name_3` … `GET /api/v1/tables` lists the names that are in use.
 */
import { prometheusLabelName } from "../../model/names.ts";
import type { Metric } from "../../model/sample.ts";
import { sorting } from "../../model/tasks/sorting.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import type { Day } from "../../store/store.ts";
import type { SandboxCatalog } from "../sandbox/walk.ts";

/** The part of the registry of series that this module uses. */
export interface Metrics {
  metrics(): Iterable<Metric & { labelNames(): Iterable<string> }>;
}

/** Whether a tag of a metric is a column of its rows, and not a label. */
export type IsAttribute = (metric: string, tag: string) => boolean;

interface TableColumn {
  readonly name: string;
  /** The engine's type: `TIMESTAMP`, `DOUBLE`, `VARCHAR` … */
  readonly type: string;
  /** The tag that it shows, as pushed. If Prometheus spells several tags alike, the first of them. */
  readonly tag?: string;
  /** Where the tag's values are: in the series' labels, in attribute columns, or for some samples in each. */
  readonly source?: "label" | "attribute" | "both";
}

export interface Table {
  readonly table: string;
  /** The metric that it shows, as pushed; absent for a table that belongs to no metric. */
  readonly metric?: string;
  /** All metrics that it shows: more than one if Prometheus spells them alike. */
  readonly metrics?: readonly string[];
  readonly kind?: string;
  readonly unit?: string;
  readonly help?: string;
  readonly columns: readonly TableColumn[];
}

/** A column of a tag, with the places of its values. */
export interface TagColumn extends TableColumn {
  /** Names of the label, as pushed. */
  readonly labels: readonly string[];
  /** Names of the attribute, as pushed. A `Day` says which column of its table contains it. */
  readonly attributes: readonly string[];
}

/** A metric's table. */
export interface MetricTable extends Table {
  readonly metrics: readonly string[];
  /** Its columns of tags, with the places of their values. */
  readonly tags: readonly TagColumn[];
  /** Whether samples can be in blocks: those of gauges and cumulative series. */
  readonly mayBePacked: boolean;
}

const TS: TableColumn = { name: "ts", type: "TIMESTAMP" };
const VALUE: TableColumn = { name: "value", type: "DOUBLE" };
const METRIC: TableColumn = { name: "metric", type: "VARCHAR" };
const LABELS: TableColumn = { name: "labels", type: "MAP(VARCHAR, VARCHAR)" };

/** The stored views of schema main. sql/schema defines them. */
const STORED: readonly Table[] = [
  {
    table: "series",
    columns: [
      { name: "series_id", type: "UINTEGER" },
      METRIC,
      { name: "kind", type: "VARCHAR" },
      LABELS,
      { name: "first_day", type: "DATE" },
      { name: "last_day", type: "DATE" },
    ],
  },
  {
    table: "metrics",
    columns: [
      METRIC,
      ...["kind", "type", "unit", "help"].map((name) => ({ name, type: "VARCHAR" })),
      { name: "buckets", type: "DOUBLE[]" },
    ],
  },
  {
    table: "exemplars",
    columns: [TS, METRIC, LABELS, VALUE, { name: "exemplar", type: "MAP(VARCHAR, VARCHAR)" }],
  },
  {
    table: "rejected",
    columns: [
      { name: "received_at", type: "TIMESTAMP" },
      ...["protocol", "instance", "reason", "payload", "cause", "metric"].map((name) => ({
        name,
        type: "VARCHAR",
      })),
    ],
  },
];

/** It says what others sent. */
const NOT_OWN: ReadonlySet<string> = new Set(["rejected"]);

/**
 * The tables at one moment. Each query makes its own, since a push can add tables and columns. That takes 10 ms with
 * 10,000 metrics. The columns of a table take as long as those of 100 other tables, so they are only made on demand.
 */
export class Tables implements SandboxCatalog {
  readonly #byName = new Map<string, readonly (Metric & { labelNames(): Iterable<string> })[]>();
  readonly #names: string[] = [];
  readonly #tableOf = new Map<string, string>();
  readonly #days: readonly Pick<Day, "attributes">[];
  readonly #stored: readonly Table[];
  readonly #isOwnAttribute: IsAttribute | undefined;
  #attributes: readonly string[] | undefined;

  /**
   * @param isOwnAttribute set if `registry` contains only the series of one caller. The tables then have only attributes of
   *   its metrics, and none says what others sent
   */
  constructor(registry: Metrics, days: readonly Pick<Day, "attributes">[], isOwnAttribute?: IsAttribute) {
    this.#days = days;
    this.#isOwnAttribute = isOwnAttribute;
    this.#stored = isOwnAttribute === undefined ? STORED : STORED.filter(({ table }) => !NOT_OWN.has(table));
    const families = Map.groupBy(registry.metrics(), (metric) => metric.prometheusName);
    const names = distinctNames(families.keys(), ["samples", ...STORED.map(({ table }) => table)]);
    for (const [prometheusName, metrics] of families) {
      const name = names.get(prometheusName)!;
      this.#names.push(name);
      this.#byName.set(name.toLowerCase(), metrics);
      for (const metric of metrics) this.#tableOf.set(metric.name, name);
    }
  }

  /** Every table, those that belong to no metric first. */
  async all(): Promise<Table[]> {
    return await inSlices(this.#all());
  }

  *#all(): Generator<void, Table[]> {
    const names = yield* sorting(this.#names, byCodeUnits);
    const tables = [publicTable(this.samples()), ...this.#stored];
    for (const name of names) {
      tables.push(publicTable(this.metricTable(name)!));
      yield;
    }
    return tables;
  }

  /** The names of all metrics, as pushed, in no particular order. */
  metrics(): Iterable<string> {
    return this.#tableOf.keys();
  }

  columnsOf(table: string): readonly TableColumn[] | undefined {
    if (table === "samples") return this.samples().columns;
    const stored = this.#stored.find((each) => each.table === table);
    return (stored ?? this.metricTable(table))?.columns;
  }

  /** The names of all tables, in no particular order. */
  names(): string[] {
    return ["samples", ...this.#stored.map(({ table }) => table), ...this.#names];
  }

  /** The name of the table of a metric, by the metric's name as pushed or as in Prometheus. */
  tableOf(metric: string): string | undefined {
    const found = this.#tableOf.get(metric);
    if (found !== undefined) return found;
    const named = this.#byName.get(metric.toLowerCase())?.[0];
    const table = named && this.#tableOf.get(named.name);
    return table === metric ? table : undefined;
  }

  /** `samples`: every sample, with its labels in a map and its attributes in columns. */
  samples(): Table & Pick<MetricTable, "tags" | "mayBePacked"> {
    const fixed = [TS, METRIC, LABELS, VALUE];
    const tags = tagColumns([], this.#attributesOf([...this.#tableOf.keys()]), fixed);
    return { table: "samples", columns: [...fixed, ...tags.map(publicColumn)], tags, mayBePacked: true };
  }

  /** The table of a metric, by the table's name in any case. */
  metricTable(table: string): MetricTable | undefined {
    const metrics = this.#byName.get(table.toLowerCase());
    if (metrics === undefined) return undefined;
    const { name, kind, unit, help } = metrics[0]!;
    const labels = new Set(metrics.flatMap((metric) => [...metric.labelNames()]));
    const mergeable = kind === "observation" || kind === "delta";
    const tags = tagColumns(
      [...labels],
      mergeable ? this.#attributesOf(metrics.map((metric) => metric.name)) : [],
      [TS, VALUE],
    );
    return {
      table: this.#tableOf.get(name)!,
      metric: name,
      metrics: metrics.map((metric) => metric.name),
      kind,
      unit,
      help,
      columns: [TS, VALUE, ...tags.map(publicColumn)],
      tags,
      mayBePacked: metrics.some((metric) => metric.kind === "gauge" || metric.kind === "cumulative"),
    };
  }

  #attributesOf(metrics: readonly string[]): readonly string[] {
    const isOwn = this.#isOwnAttribute;
    const all = this.#attributeNames();
    return isOwn === undefined ? all : all.filter((name) => metrics.some((metric) => isOwn(metric, name)));
  }

  #attributeNames(): readonly string[] {
    this.#attributes ??= [
      ...new Set(this.#days.flatMap(({ attributes }) => attributes.map(({ name }) => name))),
    ];
    return this.#attributes;
  }
}

/** Merges tags that Prometheus spells alike into one column. Columns are in the order of their names. */
function tagColumns(
  labels: readonly string[],
  attributes: readonly string[],
  fixed: readonly TableColumn[],
): TagColumn[] {
  const groups = new Map<string, { labels: string[]; attributes: string[] }>();
  const group = (tag: string) => {
    const name = prometheusLabelName(tag);
    const found = groups.get(name) ?? { labels: [], attributes: [] };
    groups.set(name, found);
    return found;
  };
  for (const label of labels) group(label).labels.push(label);
  for (const attribute of attributes) group(attribute).attributes.push(attribute);
  const names = distinctNames(
    groups.keys(),
    fixed.map(({ name }) => name),
  );
  return [...groups]
    .map(
      ([name, tags]): TagColumn => ({
        name: names.get(name)!,
        type: "VARCHAR",
        tag: tags.labels[0] ?? tags.attributes[0]!,
        source: tags.attributes.length === 0 ? "label" : tags.labels.length === 0 ? "attribute" : "both",
        ...tags,
      }),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Maps each name to a name that is unique to the engine, by the rule at the top of this file. */
export function distinctNames(names: Iterable<string>, taken: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  const used = new Set(taken.map((name) => name.toLowerCase()));
  const capitals = (name: string) => (name === name.toLowerCase() ? 0 : 1);
  const byRule = (a: string, b: string) => capitals(a) - capitals(b) || byCodeUnits(a, b);
  const clashing: string[] = [];
  // Nearly all names are alone, and sorting 10,000 of them would take longer than all the rest.
  for (const [lower, alike] of Map.groupBy(names, (name) => name.toLowerCase())) {
    if (alike.length > 1) alike.sort(byRule);
    if (used.has(lower)) clashing.push(...alike);
    else {
      used.add(lower);
      given.set(alike[0]!, alike[0]!);
      clashing.push(...alike.slice(1));
    }
  }
  for (const name of clashing.sort(byRule)) {
    let n = 2;
    while (used.has(`${name}_${n}`.toLowerCase())) n++;
    used.add(`${name}_${n}`.toLowerCase());
    given.set(name, `${name}_${n}`);
  }
  return given;
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function publicColumn({ name, type, tag, source }: TagColumn): TableColumn {
  return { name, type, tag, source };
}

function publicTable({
  tags: _,
  mayBePacked: __,
  ...table
}: Table & Pick<MetricTable, "tags" | "mayBePacked">): Table {
  return table;
}
