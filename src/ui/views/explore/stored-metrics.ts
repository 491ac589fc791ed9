/** What the gateway stores: metrics with their size and their senders, and what the labels of one of them contain. */
import { askJson, askSql, askSummary } from "../../api/gateway-api.ts";
import { sqlTimeMs } from "../../format/times.ts";
import { sqlName } from "./metric-queries.ts";

interface TableAnswer {
  readonly table: string;
  readonly metric?: string;
  readonly kind?: string;
  readonly unit?: string;
  readonly help?: string;
  readonly columns: readonly StoredTag[];
  readonly rows: number;
  readonly last?: string | null;
}

export interface StoredTag {
  readonly name: string;
  readonly type: string;
  /** The tag that the column has. Absent for `ts` and `value`. */
  readonly tag?: string;
  /** Whether the tag is a label of the series, an attribute of the rows, or was a label before it was demoted. */
  readonly source?: "label" | "attribute" | "both";
}

export interface StoredMetric {
  readonly metric: string;
  readonly table: string;
  readonly kind: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  readonly columns: readonly StoredTag[];
  readonly samples: number;
  readonly series: number;
  readonly jobs: readonly string[];
  readonly lastMs: number | undefined;
  /** Undefined for a token that may not know what others ask. */
  readonly asked: AskedFor | undefined;
  /** Whether the gateway measures it itself, of itself and its machine. */
  readonly isOwn: boolean;
}

export interface StoredMetrics {
  readonly metrics: readonly StoredMetric[];
  /** The mean over all that is stored. Undefined before anything is on the disk. */
  readonly bytesPerSample: number | undefined;
}

/** How often a metric was asked for since the gateway counts that, which begins at its start. */
export interface AskedFor {
  readonly count: number;
  readonly lastMs: number | undefined;
  readonly sinceMs: number;
}

interface UsageAnswer {
  readonly statsCollectedSince: number;
  readonly records: readonly {
    readonly pushedAs: string;
    readonly queryRequestsCount: number;
    readonly lastQueryRequestTimestamp: number;
  }[];
}

/** More metrics than any setting allows. */
const METRICS_MAX = 1_000_000;

async function loadUsage(signal: AbortSignal): Promise<UsageAnswer | undefined> {
  try {
    const parameters = { limit: METRICS_MAX };
    return await askJson<UsageAnswer>("/api/v1/status/metric_names_stats", { parameters, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

interface SendersRow {
  readonly metric: string;
  readonly series: number;
  readonly jobs: readonly (string | null)[];
}

const SENDERS = `SELECT metric, count(*) AS series, list(DISTINCT labels['job']) AS jobs FROM series GROUP BY metric`;

/** All metrics. Several lists of the gateway are joined by the name of the metric. */
export async function loadMetrics(signal: AbortSignal): Promise<StoredMetrics> {
  const [{ tables }, senders, types, bytesPerSample, usage] = await Promise.all([
    askJson<{ tables: TableAnswer[] }>("/api/v1/tables", { parameters: { format: "json" }, signal }),
    askSql<SendersRow>(SENDERS, { signal }),
    askSql<{ metric: string; type: string }>("SELECT metric, type FROM metrics", { signal }),
    loadBytesPerSample(signal),
    loadUsage(signal),
  ]);
  const askedOf = new Map(usage?.records.map((record) => [record.pushedAs, record]));
  const sendersOf = new Map(senders.map((row) => [row.metric, row]));
  const typeOf = new Map(types.map((row) => [row.metric, row.type]));
  // Pushed metrics are listed first, then the tables that always exist, then what the gateway measures.
  const firstFixed = tables.findIndex(({ metric }) => metric === undefined);
  const metrics = tables.flatMap(({ table, metric, kind, unit, help, columns, rows, last }, at) => {
    if (metric === undefined) return [];
    const { series = 0, jobs = [] } = sendersOf.get(metric) ?? {};
    return {
      ...{ metric, table, columns, series, samples: rows },
      kind: kind ?? "",
      type: typeOf.get(metric) ?? "unknown",
      unit: unit ?? "",
      help: help ?? "",
      jobs: jobs.filter((job) => job !== null).sort(),
      lastMs: last ? sqlTimeMs(last) : undefined,
      asked: usage && askedFor(askedOf.get(metric), usage.statsCollectedSince * 1_000),
      isOwn: firstFixed !== -1 && at > firstFixed,
    };
  });
  return { metrics, bytesPerSample };
}

function askedFor(record: UsageAnswer["records"][number] | undefined, sinceMs: number): AskedFor {
  const { queryRequestsCount: count = 0, lastQueryRequestTimestamp: last = 0 } = record ?? {};
  return { count, lastMs: last === 0 ? undefined : last * 1_000, sinceMs };
}

/** A token with labels may not ask for the size of the disk: its samples have no size then. */
async function loadBytesPerSample(signal: AbortSignal): Promise<number | undefined> {
  try {
    const [row] = await askSummary<{ bytes_per_sample: number | null }>("disk_use", {}, signal);
    return row?.bytes_per_sample ?? undefined;
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

export interface TagValues {
  readonly column: StoredTag;
  readonly values: number;
  /** Whether the number is an estimate, because there are many rows. */
  readonly isEstimate: boolean;
}

/** More rows are not counted exactly. */
const EXACT_ROWS = 2_000_000;

/** How many values each tag of a metric has over all its rows. Tags of other metrics have none and are left out. */
export async function loadTagValues(
  { table, columns, samples }: Pick<StoredMetric, "table" | "columns" | "samples">,
  signal: AbortSignal,
): Promise<TagValues[]> {
  const tags = columns.filter(({ tag }) => tag !== undefined);
  if (tags.length === 0) return [];
  const isEstimate = samples > EXACT_ROWS;
  const counts = tags.map(({ name }, at) =>
    isEstimate
      ? `approx_count_distinct(${sqlName(name)}) AS c${at}`
      : `count(DISTINCT ${sqlName(name)}) AS c${at}`,
  );
  const [row = {}] = await askSql<Record<string, number>>(
    `SELECT ${counts.join(", ")} FROM ${sqlName(table)}`,
    {
      signal,
    },
  );
  return tags
    .map((column, at) => ({ column, values: Number(row[`c${at}`] ?? 0), isEstimate }))
    .filter(({ values }) => values > 0)
    .sort((a, b) => b.values - a.values);
}

export interface LargeSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly samples: number;
  readonly lastMs: number;
  readonly last: number | null;
}

const LARGEST = 20;

/** The series with the most samples. */
export async function loadLargest(
  { table, columns }: Pick<StoredMetric, "table" | "columns">,
  signal: AbortSignal,
): Promise<LargeSeries[]> {
  const labels = columns.filter(({ source }) => source === "label");
  const names = labels.map(({ name }) => `${sqlName(name)}, `).join("");
  const rows = await askSql<Record<string, string | number | null>>(
    `SELECT ${names}count(*) AS "number of samples", max(ts) AS "last time", arg_max(value, ts) AS "last value" ` +
      `FROM ${sqlName(table)} GROUP BY ALL ORDER BY "number of samples" DESC, ${names}"last time" LIMIT ${LARGEST}`,
    { signal },
  );
  return rows.map((row) => ({
    labels: Object.fromEntries(
      labels.flatMap(({ name, tag }) => (row[name] == null ? [] : [[tag!, String(row[name])] as const])),
    ),
    samples: Number(row["number of samples"]),
    lastMs: sqlTimeMs(String(row["last time"])),
    last: row["last value"] === null ? null : Number(row["last value"]),
  }));
}

export interface TopValue {
  readonly value: string;
  readonly samples: number;
}

/** The values of a tag with the most rows. */
export async function loadTopValues(table: string, column: string, signal: AbortSignal): Promise<TopValue[]> {
  const name = sqlName(column);
  return await askSql<TopValue>(
    `SELECT ${name} AS value, count(*) AS samples FROM ${sqlName(table)} WHERE ${name} IS NOT NULL ` +
      `GROUP BY ALL ORDER BY samples DESC, value LIMIT ${LARGEST}`,
    { signal },
  );
}

/** The attributes that are columns by a setting. The default if the caller may not read the settings. */
export async function loadAttributes(signal: AbortSignal): Promise<LabelLimits> {
  try {
    const { data } = await askJson<{ data: Record<string, string> }>("/api/v1/status/flags", { signal });
    return {
      attributes: (data.attributes ?? "").split(","),
      valuesMax: Number(data["label-values-max"]),
      seriesMax: Number(data["series-per-metric-max"]),
    };
  } catch (error) {
    if (signal.aborted) throw error;
    return { attributes: ["task_id", "trace_id", "span_id", "request_id"] };
  }
}

export interface LabelLimits {
  readonly attributes: readonly string[];
  readonly valuesMax?: number;
  readonly seriesMax?: number;
}
