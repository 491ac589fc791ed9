/** The answer of an expression: a graph over a range, or the values at its end, or what else the tab shows. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { askJson, askPrometheus } from "../../api/gateway-api.ts";
import { useLive } from "../../api/live.ts";
import { unitOfExpression } from "../../format/expression-unit.ts";
import { formatCount, formatSeconds, formatValue, unitOfName } from "../../format/units.ts";
import { formatTime, type Zone } from "../../format/times.ts";
import { Chart } from "../../parts/chart.tsx";
import { Rows } from "../../parts/rows.tsx";
import { Answered, Empty, ErrorNote } from "../../parts/states.tsx";
import { HeatMap } from "../../parts/heat-map.tsx";
import {
  eventMetric,
  heatCells,
  inOrderOfBounds,
  linesOf,
  numberOf,
  type PromAnswer,
  type PromSeries,
  seriesName,
  timesOf,
} from "../../api/promql-answer.ts";
import { type QueryTab, stepOf } from "./query-address.ts";
import { SyntaxTree } from "./syntax-tree.tsx";

interface PromqlResultProps {
  readonly expr: string;
  readonly tab: QueryTab;
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number | undefined;
  readonly zone: Zone;
  readonly isStacked: boolean;
  /** Changes when the query is to be asked again. */
  readonly run: number;
  readonly onSelect: (fromMs: number, toMs: number) => void;
}

interface Answer {
  readonly data: PromAnswer;
  readonly text: string;
  readonly seconds: number;
  readonly warnings: readonly string[];
  readonly times: readonly number[];
  readonly step: number;
}

/** Lines that a graph draws. Others are in the table. */
const LINES_MAX = 200;
/** Text that the tab of JSON shows. */
const JSON_CHARACTERS_MAX = 200_000;

export function PromqlResult(props: PromqlResultProps) {
  const { expr, tab, fromMs, toMs, stepMs, zone, isStacked, run, onSelect } = props;
  const isRange = tab === "graph" || tab === "heatmap";
  const step = stepOf({ stepMs }, toMs - fromMs);
  const live = useLive<Answer>(
    async (signal) => {
      const began = performance.now();
      // Whole steps, so that lines keep their points when the range moves.
      const start = Math.floor(fromMs / 1_000 / step) * step;
      const end = Math.ceil(toMs / 1_000 / step) * step;
      const path = isRange ? "/api/v1/query_range" : "/api/v1/query";
      const times = isRange ? timesOf(start, end, step) : [];
      const parameters = isRange ? { query: expr, start, end, step } : { query: expr, time: toMs / 1_000 };
      const body = new URLSearchParams(
        Object.entries(parameters).map(([name, value]) => [name, String(value)]),
      );
      const answer = await askJson<{ data: PromAnswer; warnings?: string[]; infos?: string[] }>(path, {
        method: "POST",
        body,
        signal,
      });
      const { data, warnings = [], infos = [] } = answer;
      return {
        data,
        // Large answers are not written again.
        text: tab === "json" ? JSON.stringify(answer, null, 2).slice(0, JSON_CHARACTERS_MAX) : "",
        seconds: (performance.now() - began) / 1_000,
        warnings: [...warnings, ...infos],
        times,
        step,
      };
    },
    0,
    `${expr}\n${isRange} ${tab === "json"} ${fromMs} ${toMs} ${step} ${run}`,
  );
  // While another range is asked for, the last answer stays, so that a graph does not vanish at each zoom.
  const question = `${expr}\n${isRange} ${tab === "json"}`;
  const last = useRef<{ readonly question: string; readonly answer: Answer } | undefined>(undefined);
  if (live.answer !== undefined) last.current = { question, answer: live.answer };
  const kept = last.current?.question === question ? last.current.answer : undefined;
  const answer = live.answer ?? (live.error === undefined ? kept : undefined);
  if (tab === "tree") return <SyntaxTree expr={expr} timeMs={toMs} />;
  return (
    <Answered live={{ ...live, answer }} what="The answer" onCancel={live.cancel}>
      {(shown) => (
        <div class={live.answer === undefined ? "older" : undefined} aria-busy={live.answer === undefined}>
          <p class="note">
            {countText(shown.data)} in {formatSeconds(shown.seconds)}
            {isRange ? `, a point each ${formatSeconds(shown.step)}` : `, at ${formatTime(toMs, zone)}`}
          </p>
          {shown.warnings.map((warning) => (
            <p key={warning} class="warning">
              {warning}
            </p>
          ))}
          <Content {...{ answer: shown, expr, tab, zone, isStacked, onSelect }} />
        </div>
      )}
    </Answered>
  );
}

function countText({ resultType, result }: PromAnswer): string {
  if (resultType === "scalar" || resultType === "string") return `A ${resultType}`;
  return result.length === 1 ? "1 series" : `${formatCount(result.length)} series`;
}

interface ContentProps extends Pick<PromqlResultProps, "expr" | "tab" | "zone" | "isStacked" | "onSelect"> {
  readonly answer: Answer;
}

function Content({ answer, expr, tab, zone, isStacked, onSelect }: ContentProps) {
  const { data, times, step } = answer;
  const [picked, setPicked] = useState<{
    readonly fromS: number;
    readonly toS: number;
    readonly le?: number;
  }>();
  const series = useMemo(() => inOrderOfBounds(seriesOf(data)), [data]);
  const name = series[0]?.metric.__name__;
  const unit = name === undefined ? unitOfExpression(expr) : unitOfName(name);
  const lines = useMemo(
    () => (tab === "graph" ? linesOf(series.slice(0, LINES_MAX), times, step) : []),
    [series, times, step, tab],
  );
  const heat = useMemo(
    () => (tab === "heatmap" ? heatCells(series, times, step) : undefined),
    [series, times, step, tab],
  );
  if (tab === "json") return <pre class="json">{answer.text}</pre>;
  if (series.length === 0)
    return (
      <Empty>
        No series has a value here. Is the range right? <a href="/explore">Explore</a> lists the metrics.
      </Empty>
    );
  const events = picked === undefined ? null : <EventsBehind expr={expr} zone={zone} {...picked} />;
  if (tab === "heatmap") {
    if (heat === undefined)
      return (
        <Empty>
          A heat map needs series that differ in <code>le</code>:{" "}
          <code>sum by (le) (rate(x_bucket[5m]))</code>.
        </Empty>
      );
    return (
      <>
        <HeatMap
          {...{ heat, times, zone }}
          label={expr}
          unit={unitOfName(eventMetric(expr) ?? "")}
          onPick={(time, le) => setPicked({ fromS: time - step, toS: time, le })}
        />
        {events}
      </>
    );
  }
  if (tab === "graph") {
    return (
      <>
        {series.length > LINES_MAX ? (
          <p class="warning">
            The first {LINES_MAX} of {formatCount(series.length)} series are drawn.
          </p>
        ) : null}
        <Chart
          {...{ times, lines, unit, isStacked, zone }}
          label={expr}
          height={320}
          group="query"
          hasTip
          onSelect={(from, to) => onSelect(from * 1_000, to * 1_000)}
          onPick={(_, time) => setPicked({ fromS: time - step, toS: time })}
        />
        {events}
      </>
    );
  }
  return <ValueTable series={series} zone={zone} />;
}

function seriesOf({ resultType, result }: PromAnswer): readonly PromSeries[] {
  if (resultType === "vector" || resultType === "matrix") return result as readonly PromSeries[];
  return [{ metric: {}, value: result as readonly [number, string] }];
}

interface ValueRow {
  readonly name: string;
  readonly value: string;
  readonly number: number;
  readonly seconds: number;
  readonly unit: string;
}

function ValueTable({ series, zone }: { readonly series: readonly PromSeries[]; readonly zone: Zone }) {
  const rows = useMemo(
    () =>
      series.flatMap(({ metric, value, values }): ValueRow[] => {
        const name = seriesName(metric);
        const unit = unitOfName(metric.__name__ ?? "");
        return (values ?? (value === undefined ? [] : [value])).map(([seconds, text]) => ({
          name,
          value: text,
          number: numberOf(text),
          seconds,
          unit,
        }));
      }),
    [series],
  );
  return (
    <Rows<ValueRow>
      label="Values"
      rows={rows}
      keyOf={({ name, seconds }) => `${name} ${seconds}`}
      columns={[
        { title: "Series", cell: ({ name }) => <code>{name}</code>, order: ({ name }) => name },
        {
          title: "Value",
          isNumber: true,
          cell: ({ value, number, unit }) => <span title={value}>{formatValue(number, unit)}</span>,
          order: ({ number }) => number,
        },
        {
          title: "Time",
          cell: ({ seconds }) => formatTime(seconds * 1_000, zone),
          order: ({ seconds }) => seconds,
        },
      ]}
    />
  );
}

interface ExemplarSeries {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: string;
    readonly timestamp: number;
  }[];
}

const EVENTS_MAX = 50;

interface EventsBehindProps {
  readonly expr: string;
  readonly fromS: number;
  readonly toS: number;
  /** The upper bound of the bucket. Undefined for all of them. */
  readonly le?: number;
  readonly zone: Zone;
}

/** The events behind a point of a graph: raw rows with their `task_id`, and the statement that lists them. */
function EventsBehind({ expr, fromS, toS, le, zone }: EventsBehindProps) {
  const [found, setFound] = useState<readonly ExemplarSeries[]>();
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const ended = new AbortController();
    setFound(undefined);
    setError(undefined);
    askPrometheus<ExemplarSeries[]>("/api/v1/query_exemplars", {
      parameters: { query: expr, start: fromS, end: toS },
      signal: ended.signal,
    }).then(setFound, (reason: Error) => {
      if (!ended.signal.aborted) setError(reason);
    });
    return () => ended.abort();
  }, [expr, fromS, toS]);
  const rows = (found ?? [])
    .filter(
      ({ seriesLabels }) =>
        le === undefined || seriesLabels.le === undefined || numberOf(seriesLabels.le) === le,
    )
    .flatMap(({ exemplars }) => exemplars)
    .toSorted((a, b) => b.timestamp - a.timestamp);
  const metric = eventMetric(expr);
  const between = `ts > TIMESTAMP '${sqlTime(fromS)}' AND ts <= TIMESTAMP '${sqlTime(toS)}'`;
  const sql = metric === undefined ? undefined : `SELECT * FROM ${metric} WHERE ${between} ORDER BY ts`;
  return (
    <section class="events-behind" aria-label="Events behind the point">
      <header>
        <strong>
          Events until {formatTime(toS * 1_000, zone)}
          {le === undefined ? "" : `, ≤ ${le}`}
        </strong>
        {sql === undefined ? null : (
          <a href={`/query?${new URLSearchParams({ sql })}`}>All raw rows in SQL</a>
        )}
      </header>
      {error === undefined ? null : (
        <ErrorNote title="The events could not be loaded" detail={error.message} />
      )}
      {found !== undefined && rows.length === 0 ? (
        <Empty>No event with an identifying attribute is known here.</Empty>
      ) : null}
      {rows.length === 0 ? null : (
        <Rows
          label="Events"
          height={260}
          rows={rows.slice(0, EVENTS_MAX)}
          keyOf={({ timestamp, value, labels }) => `${timestamp} ${value} ${JSON.stringify(labels)}`}
          columns={[
            { title: "Time", cell: ({ timestamp }) => formatTime(timestamp * 1_000, zone) },
            { title: "Value", isNumber: true, cell: ({ value }) => value },
            {
              title: "Attributes",
              cell: ({ labels }) =>
                Object.entries(labels).map(([name, text]) =>
                  name === "task_id" ? (
                    <a key={name} href={`/tasks?${new URLSearchParams({ task_id: text })}`}>
                      task_id={text}{" "}
                    </a>
                  ) : (
                    <span key={name}>
                      {name}={text}{" "}
                    </span>
                  ),
                ),
            },
          ]}
        />
      )}
    </section>
  );
}

function sqlTime(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace("T", " ").replace("Z", "");
}
