/** Queries that a person starts with for a metric, and the names and texts that they need. Pure. */

export type MetricKind = "observation" | "delta" | "gauge" | "cumulative";

export interface SuggestedQuery {
  readonly language: "promql" | "sql";
  /** What the query answers. */
  readonly title: string;
  readonly text: string;
}

/** An identifier of SQL. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The name of a metric in PromQL: other characters than Prometheus allows are `_`. */
export function promqlName(metric: string): string {
  const name = metric.replace(/[^a-zA-Z0-9_:]/g, "_");
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

/** A selector of the series of a metric whose label has a value. */
export function selectorOf(metric: string, kind: string, label: string, value: string): string {
  const name = promqlName(metric);
  const series = kind === "observation" ? `${name}_count` : kind === "delta" ? totalOf(name) : name;
  const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) ? label : JSON.stringify(label);
  return `${series}{${labelName}=${JSON.stringify(value)}}`;
}

/**
 * The queries of a metric.
 *
 * @param table the table of the metric in SQL
 * @param type counter, gauge, histogram …, as the metric was declared
 */
export function queriesOf(metric: string, kind: string, type: string, table: string): SuggestedQuery[] {
  const name = promqlName(metric);
  const promql = (title: string, text: string): SuggestedQuery => ({ language: "promql", title, text });
  const from = /^[a-z_][a-z0-9_]*$/.test(table) ? table : sqlName(table);
  const rows: SuggestedQuery = {
    language: "sql",
    title: "The newest rows",
    text: `SELECT * FROM ${from} WHERE ts > now() - INTERVAL 1 HOUR ORDER BY ts DESC LIMIT 1000`,
  };
  if (kind === "observation")
    return [
      promql("95th percentile", `histogram_quantile(0.95, sum by (le) (rate(${name}_bucket[5m])))`),
      promql("Events per second", `sum(rate(${name}_count[5m]))`),
      promql("Mean", `sum(rate(${name}_sum[5m])) / sum(rate(${name}_count[5m]))`),
      rows,
      {
        language: "sql",
        title: "Exact quantiles by minute",
        text:
          "SELECT date_trunc('minute', ts) AS ts, quantile_cont(value, 0.5) AS p50, quantile_cont(value, 0.95) AS p95 " +
          `FROM ${from} WHERE ts > now() - INTERVAL 1 HOUR GROUP BY ALL ORDER BY ts`,
      },
    ];
  if (kind === "delta") return [promql("Events per second", `sum(rate(${totalOf(name)}[5m]))`), rows];
  if (type === "counter" || /_(?:total|count|sum|bucket)$/.test(name))
    return name.endsWith("_bucket")
      ? [promql("95th percentile", `histogram_quantile(0.95, sum by (le) (rate(${name}[5m])))`), rows]
      : [promql("Rate per second", `sum(rate(${name}[5m]))`), rows];
  return [promql("The series", name), rows];
}

/** The address of a query in the view of queries. */
export function queryAddress({ language, text }: Pick<SuggestedQuery, "language" | "text">): string {
  return `/query?${new URLSearchParams({ [language === "sql" ? "sql" : "expr"]: text })}`;
}

function totalOf(name: string): string {
  return name.endsWith("_total") ? name : `${name}_total`;
}
