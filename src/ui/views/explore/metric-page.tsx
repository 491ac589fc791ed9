/** One metric: what it is, its labels and what became of them, its largest series, and queries to start with. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useLive } from "../../api/live.ts";
import { formatAgo, formatTime } from "../../format/times.ts";
import { formatBytes, formatCount, formatValue, unitOfName } from "../../format/units.ts";
import { Panel } from "../../parts/panel.tsx";
import { Rows } from "../../parts/rows.tsx";
import { Answered, Empty } from "../../parts/states.tsx";
import { LastAsked, typeText } from "./metric-list.tsx";
import { queriesOf, queryAddress, selectorOf } from "./metric-queries.ts";
import {
  type LabelLimits,
  loadAttributes,
  loadLargest,
  loadTagValues,
  loadTopValues,
  type StoredMetric,
  type TagValues,
} from "./stored-metrics.ts";

interface MetricPageProps {
  readonly metric: StoredMetric;
  readonly bytesPerSample: number | undefined;
}

export function MetricPage({ metric, bytesPerSample }: MetricPageProps) {
  return (
    <>
      <p class="back">
        <a href="/explore">All metrics</a>
      </p>
      <div class="panels">
        <Panel title={metric.metric} note={metric.help} isWide>
          <Facts metric={metric} bytesPerSample={bytesPerSample} />
        </Panel>
        <Panel title="Labels" note="and the number of their values" isWide>
          <Labels metric={metric} />
        </Panel>
        <Panel title="Largest series" note="by the number of samples" isWide>
          <Largest metric={metric} />
        </Panel>
        <Panel title="Queries" isWide>
          <ul class="suggested">
            {queriesOf(metric.metric, metric.kind, metric.type, metric.table).map((query) => (
              <li key={query.text}>
                <a href={queryAddress(query)}>{query.title}</a>{" "}
                <span class="note">{query.language === "sql" ? "SQL" : "PromQL"}</span>
                <code>{query.text}</code>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
    </>
  );
}

function Facts({ metric, bytesPerSample }: MetricPageProps) {
  const { unit, series, samples, jobs, lastMs, table } = metric;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    ["Type", typeText(metric)],
    ["Unit", unit || "not declared"],
    ["Table in SQL", table],
    ["Series", formatCount(series)],
    ["Samples", formatCount(samples)],
    [
      "Dropping it would save",
      bytesPerSample === undefined ? "unknown" : `about ${formatBytes(Math.round(samples * bytesPerSample))}`,
    ],
    ["Last sample", lastMs === undefined ? "never" : formatAgo(lastMs, Date.now())],
    ...(metric.asked === undefined
      ? []
      : [["Last asked", <LastAsked key="asked" usage={metric.asked} nowMs={Date.now()} />] as const]),
    ["Sent by", jobs.length === 0 ? "no job" : jobs.join(", ")],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Labels({ metric }: { readonly metric: StoredMetric }) {
  const [open, setOpen] = useState<string>();
  const live = useLive(
    async (signal) => {
      const [tags, limits] = await Promise.all([loadTagValues(metric, signal), loadAttributes(signal)]);
      return { tags, limits };
    },
    0,
    metric.table,
  );
  return (
    <Answered live={live} what="The labels">
      {({ tags, limits }) =>
        tags.length === 0 ? (
          <Empty>Its series have no labels.</Empty>
        ) : (
          <>
            <table aria-label="Labels">
              <thead>
                <tr>
                  <th>Label</th>
                  <th class="number">Values</th>
                  <th>What it is</th>
                </tr>
              </thead>
              <tbody>
                {tags.map((tag) => (
                  <tr key={tag.column.name}>
                    <td>
                      <button
                        type="button"
                        class="link"
                        aria-expanded={open === tag.column.name}
                        onClick={() => setOpen(open === tag.column.name ? undefined : tag.column.name)}
                      >
                        {tag.column.tag}
                      </button>
                    </td>
                    <td class="number">
                      {tag.isEstimate ? "about " : ""}
                      {formatCount(tag.values)}
                    </td>
                    <td class="wraps">{placeOf(tag, limits)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {open === undefined ? null : (
              <TopValues
                metric={metric}
                column={open}
                tag={tags.find(({ column }) => column.name === open)!}
              />
            )}
          </>
        )
      }
    </Answered>
  );
}

/** What became of a label, and why. */
function placeOf({ column: { source, tag }, values }: TagValues, limits: LabelLimits) {
  if (source === "label") return "a label of the series, in PromQL and SQL";
  if (source === "attribute" && limits.attributes.includes(tag!))
    return "an attribute by the setting attributes: a column in SQL, not a label in PromQL";
  const { valuesMax, seriesMax } = limits;
  const limit =
    valuesMax !== undefined && values > valuesMax
      ? `it has more than ${formatCount(valuesMax)} values (label-values-max)`
      : seriesMax === undefined
        ? "the label had too many values, or the metric too many series"
        : `the metric had more than ${formatCount(seriesMax)} series (series-per-metric-max)`;
  return (
    <>
      <strong class="warning">demoted</strong> to a column in SQL, because {limit}
    </>
  );
}

interface TopValuesProps {
  readonly metric: StoredMetric;
  readonly column: string;
  readonly tag: TagValues;
}

/** The values of a label with the most samples. Each links to its series, or to its rows. */
function TopValues({ metric, column, tag }: TopValuesProps) {
  const live = useLive(
    (signal) => loadTopValues(metric.table, column, signal),
    0,
    `${metric.table} ${column}`,
  );
  const name = tag.column.tag!;
  const address = (value: string) =>
    tag.column.source === "label"
      ? queryAddress({ language: "promql", text: selectorOf(metric.metric, metric.kind, name, value) })
      : queryAddress({
          language: "sql",
          text:
            `SELECT * FROM "${metric.table.replaceAll('"', '""')}" WHERE "${column.replaceAll('"', '""')}" = ` +
            `'${value.replaceAll("'", "''")}' ORDER BY ts DESC LIMIT 1000`,
        });
  return (
    <section class="inner" aria-label={`Values of ${name}`}>
      <h3>Values of {name} with the most samples</h3>
      <Answered live={live} what="The values">
        {(values) => (
          <Rows
            label={`Values of ${name}`}
            rows={values}
            keyOf={({ value }) => value}
            height={400}
            columns={[
              { title: "Value", cell: ({ value }) => <a href={address(value)}>{value || "(empty)"}</a> },
              { title: "Samples", isNumber: true, cell: ({ samples }) => formatCount(samples) },
            ]}
          />
        )}
      </Answered>
    </section>
  );
}

function Largest({ metric }: { readonly metric: StoredMetric }) {
  const live = useLive((signal) => loadLargest(metric, signal), 0, metric.table);
  const unit = metric.unit || unitOfName(metric.metric);
  return (
    <Answered live={live} what="The series">
      {(rows) => (
        <Rows
          label="Largest series"
          rows={rows}
          keyOf={({ labels }) => JSON.stringify(labels)}
          columns={[
            {
              title: "Labels",
              cell: ({ labels }) => (
                <code>
                  {`{${Object.entries(labels)
                    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
                    .join(", ")}}`}
                </code>
              ),
            },
            {
              title: "Samples",
              isNumber: true,
              cell: ({ samples }) => formatCount(samples),
              order: ({ samples }) => samples,
            },
            {
              title: "Last value",
              isNumber: true,
              cell: ({ last }) => (last === null ? "" : formatValue(last, unit)),
            },
            {
              title: "Last sample",
              isNumber: true,
              cell: ({ lastMs }) => formatTime(lastMs),
              order: ({ lastMs }) => lastMs,
            },
          ]}
        />
      )}
    </Answered>
  );
}
