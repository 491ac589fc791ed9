/**
 * Which tables people can ask: one for each metric, named as in Prometheus, besides `samples`, `series`,
 * `metrics`, `exemplars` and `rejected`; and which columns each has.
 *
 * The engine ignores the case of names, and some are taken. Of names that differ only in case the one without
 * capitals, else the first in the order of code units, is as it is; the others, and those that are taken, get
 * the first free of `name_2`, `name_3` … `GET /api/v1/tables` says what each is called.
 */
import { prometheusLabelName } from "../../model/names.ts";
import type { Metric } from "../../model/sample.ts";
import type { Day } from "../../store/store.ts";
import type { Catalog } from "../sandbox/walk.ts";

/** What this needs of the registry of series. */
export interface Metrics {
  metrics(): Iterable<Metric & { labelNames(): Iterable<string> }>;
}

export interface TableColumn {
  readonly name: string;
  /** The engine's type: `TIMESTAMP`, `DOUBLE`, `VARCHAR` … */
  readonly type: string;
  /** The tag that it shows, as pushed; of several that Prometheus spells alike, the first. */
  readonly tag?: string;
  /** Where the tag is kept: in the series' labels, in columns of their own, or in both, for some samples each. */
  readonly source?: "label" | "attribute" | "both";
}

export interface Table {
  readonly table: string;
  /** The metric that it shows, as pushed; absent for those that are no metric's. */
  readonly metric?: string;
  /** All metrics that it shows: more than one where Prometheus spells them alike. */
  readonly metrics?: readonly string[];
  readonly kind?: string;
  readonly unit?: string;
  readonly help?: string;
  readonly columns: readonly TableColumn[];
}

/** A column of tags, with where their values are. */
export interface TagColumn extends TableColumn {
  /** Names of the label, as pushed. */
  readonly labels: readonly string[];
  /** Names of the attribute, as pushed: a day's table says in which of its columns it is. */
  readonly attributes: readonly string[];
}

/** A metric's table. */
export interface MetricTable extends Table {
  readonly metrics: readonly string[];
  /** Its columns of tags, with where each is. */
  readonly tags: readonly TagColumn[];
}

const TS: TableColumn = { name: "ts", type: "TIMESTAMP" };
const VALUE: TableColumn = { name: "value", type: "DOUBLE" };
const METRIC: TableColumn = { name: "metric", type: "VARCHAR" };
const LABELS: TableColumn = { name: "labels", type: "MAP(VARCHAR, VARCHAR)" };

/** The stored views of schema main; sql/schema says what they hold. */
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
      ...["protocol", "instance", "reason", "payload"].map((name) => ({ name, type: "VARCHAR" })),
    ],
  },
];

/** The tables as they are now. Made anew for each query: names follow what was pushed since. */
export class Tables implements Catalog {
  readonly #byName = new Map<string, readonly (Metric & { labelNames(): Iterable<string> })[]>();
  readonly #names: string[] = [];
  readonly #tableOf = new Map<string, string>();
  readonly #days: readonly Day[];
  #attributes: readonly string[] | undefined;

  constructor(registry: Metrics, days: readonly Day[]) {
    this.#days = days;
    const families = Map.groupBy(registry.metrics(), (metric) => metric.prometheusName);
    const names = distinctNames(families.keys(), ["samples", ...STORED.map(({ table }) => table)]);
    for (const [prometheusName, metrics] of families) {
      const name = names.get(prometheusName)!;
      this.#names.push(name);
      this.#byName.set(name.toLowerCase(), metrics);
      for (const metric of metrics) this.#tableOf.set(metric.name, name);
    }
    this.#names.sort();
  }

  /** Every table, the generic ones first. */
  all(): Table[] {
    const metrics = this.#names.map((name) => this.metricTable(name)!);
    return [publicTable(this.samples()), ...STORED, ...metrics.map(publicTable)];
  }

  columnsOf(table: string): readonly TableColumn[] | undefined {
    if (table === "samples") return this.samples().columns;
    const stored = STORED.find((each) => each.table === table);
    return (stored ?? this.metricTable(table))?.columns;
  }

  /** The names of all tables, in no order. */
  names(): string[] {
    return ["samples", ...STORED.map(({ table }) => table), ...this.#names];
  }

  /** The name of the table of a metric, by the metric's name as pushed or as in Prometheus. */
  tableOf(metric: string): string | undefined {
    return this.#tableOf.get(metric) ?? this.#names.find((name) => name === metric);
  }

  /** `samples`: every sample, with its labels in a map and its attributes in columns. */
  samples(): Table & { readonly tags: readonly TagColumn[] } {
    const fixed = [TS, METRIC, LABELS, VALUE];
    const tags = tagColumns([], this.#attributeNames(), fixed);
    return { table: "samples", columns: [...fixed, ...tags.map(publicColumn)], tags };
  }

  /** The table of a metric, by the table's name in any case. */
  metricTable(table: string): MetricTable | undefined {
    const metrics = this.#byName.get(table.toLowerCase());
    if (metrics === undefined) return undefined;
    const { name, kind, unit, help } = metrics[0]!;
    const labels = new Set(metrics.flatMap((metric) => [...metric.labelNames()]));
    const mergeable = kind === "observation" || kind === "delta";
    const tags = tagColumns([...labels], mergeable ? this.#attributeNames() : [], [TS, VALUE]);
    return {
      table: this.#tableOf.get(name)!,
      metric: name,
      metrics: metrics.map((metric) => metric.name),
      kind,
      unit,
      help,
      columns: [TS, VALUE, ...tags.map(publicColumn)],
      tags,
    };
  }

  #attributeNames(): readonly string[] {
    this.#attributes ??= [
      ...new Set(this.#days.flatMap(({ attributes }) => attributes.map(({ name }) => name))),
    ];
    return this.#attributes;
  }
}

/** Groups tags that Prometheus spells alike into one column each, in the order of the columns' names. */
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

/** Gives each name one that is the engine's alone, by the rule at the top of this file. */
export function distinctNames(names: Iterable<string>, taken: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  const used = new Set(taken.map((name) => name.toLowerCase()));
  const capitals = (name: string) => (name === name.toLowerCase() ? 0 : 1);
  const ordered = [...names].sort((a, b) => capitals(a) - capitals(b) || (a < b ? -1 : 1));
  const clashing: string[] = [];
  for (const name of ordered) {
    if (used.has(name.toLowerCase())) clashing.push(name);
    else {
      used.add(name.toLowerCase());
      given.set(name, name);
    }
  }
  for (const name of clashing) {
    let n = 2;
    while (used.has(`${name}_${n}`.toLowerCase())) n++;
    used.add(`${name}_${n}`.toLowerCase());
    given.set(name, `${name}_${n}`);
  }
  return given;
}

function publicColumn({ name, type, tag, source }: TagColumn): TableColumn {
  return { name, type, tag, source };
}

function publicTable({ tags: _, ...table }: Table & { readonly tags: readonly TagColumn[] }): Table {
  return table;
}
