/**
 * What a panel asks the gateway, and the frames of the answers. Few requests are in progress at the same time, so that a large
 * dashboard leaves the gateway free for others.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { askJson, askPrometheus } from "../../api/gateway-api.ts";
import type { PromAnswer } from "../../api/promql-answer.ts";
import { may } from "../../api/session.ts";
import { endsOf, type TimeRange } from "../../format/times.ts";
import type { EventDot } from "./grafana/chart-series.ts";
import { intervalMs, intervalsOf, intervalText } from "./grafana/dashboard-times.ts";
import { asLines, type DataFrame, promFrames, type SqlRows, sqlFrame } from "./grafana/frames.ts";
import type { PanelModel, PanelTarget } from "./grafana/panel-model.ts";
import { filled, fixedValue, type VariableValue, type VariableValues } from "./grafana/template-text.ts";

/** The ends of a range in milliseconds. */
export interface PanelEnds {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PanelAnswer extends PanelEnds {
  readonly frames: readonly DataFrame[];
  /** Between two points. */
  readonly stepMs: number;
  readonly warnings: readonly string[];
  /** What may be meant otherwise. */
  readonly infos: readonly string[];
  readonly exemplars: readonly EventDot[];
}

/** More rows are not drawn. */
const ROWS_MAX = 10_000;
/** A browser has six connections to a host. Two are left for what people do meanwhile. */
const REQUESTS_MAX = 4;

/** Lets some tasks run at a time, in the order in which they came. */
class Turns {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async take<Result>(task: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    if (this.#running >= REQUESTS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

const turns = new Turns();

/** The range of a panel: that of the dashboard, unless the panel has its own. */
export function panelEnds({ timeFrom, timeShift }: PanelModel, range: TimeRange, nowMs: number): PanelEnds {
  const { fromMs, toMs } = endsOf(range, nowMs);
  const [lastMs, shiftMs = 0] = [intervalMs(timeFrom), intervalMs(timeShift)];
  return { fromMs: (lastMs === undefined ? fromMs : toMs - lastMs) - shiftMs, toMs: toMs - shiftMs };
}

/** What Grafana itself defines for a range. */
export function builtInValues({ fromMs, toMs }: PanelEnds): Map<string, VariableValue> {
  const rangeS = Math.max(1, Math.round((toMs - fromMs) / 1_000));
  return new Map(
    Object.entries({
      __range: `${rangeS}s`,
      __range_s: String(rangeS),
      __range_ms: String(rangeS * 1_000),
      __from: String(Math.round(fromMs)),
      __to: String(Math.round(toMs)),
    }).map(([name, text]) => [name, fixedValue(text)]),
  );
}

interface AskPanel extends PanelEnds {
  readonly values: VariableValues;
  /** The points that a line may have. */
  readonly points: number;
  readonly signal: AbortSignal;
}

/** Asks all questions of a panel. Throws `ApiError`, or an Error with a sentence. */
export async function askPanel(panel: PanelModel, options: AskPanel): Promise<PanelAnswer> {
  const { fromMs, toMs, points } = options;
  const answers = await Promise.all(panel.targets.map((target) => askTarget(panel, target, options)));
  const { intervalMs: stepMs } = intervalsOf(toMs - fromMs, panel.pointsMax ?? points, undefined);
  return {
    ...{ fromMs, toMs },
    frames: answers.flatMap(({ frames }) => frames),
    stepMs: answers[0]?.stepMs ?? stepMs,
    warnings: [...new Set(answers.flatMap(({ warnings }) => warnings))],
    infos: [...new Set(answers.flatMap(({ infos }) => infos))],
    exemplars: answers.flatMap(({ exemplars }) => exemplars),
  };
}

type TargetAnswer = Omit<PanelAnswer, keyof PanelEnds>;

interface KnownTarget {
  readonly known: VariableValues;
  readonly stepMs: number;
}

/** The variables of a question, with the intervals of its range. */
function knownOf(panel: PanelModel, target: PanelTarget, options: Omit<AskPanel, "signal">): KnownTarget {
  const { fromMs, toMs, points, values } = options;
  const least = intervalMs(filled(target.interval || panel.interval, values, "text"));
  const { intervalMs: stepMs, rateMs } = intervalsOf(toMs - fromMs, panel.pointsMax ?? points, least);
  const known = new Map([...values, ...builtInValues(options)]);
  for (const [name, ms] of [
    ["__interval", stepMs],
    ["__rate_interval", rateMs],
  ] as const) {
    known.set(name, fixedValue(intervalText(ms)));
    known.set(`${name}_ms`, fixedValue(String(ms)));
  }
  return { known, stepMs };
}

/** The address of the view of queries with the questions of a panel. */
export function queryAddress(panel: PanelModel, options: Omit<AskPanel, "signal">): string {
  const query = new URLSearchParams();
  for (const target of panel.targets) {
    const { known, stepMs } = knownOf(panel, target, options);
    if (target.language === "sql")
      query.append("sql", filled(withMacros(target.text, options, stepMs), known, "sql"));
    else query.append("expr", filled(target.text, known, "promql"));
  }
  const { fromMs, toMs } = options;
  query.set("from", String(Math.round(fromMs)));
  query.set("to", String(Math.round(toMs)));
  return `/query?${query}`;
}

async function askTarget(panel: PanelModel, target: PanelTarget, options: AskPanel): Promise<TargetAnswer> {
  const { fromMs, toMs, signal } = options;
  const { known, stepMs } = knownOf(panel, target, options);
  if (target.language === "sql") {
    const rows = await turns.take(
      () => askRows(withMacros(target.text, options, stepMs), known, signal),
      signal,
    );
    const frame = sqlFrame(target.refId, rows);
    const isTable = panel.type === "table";
    const warnings = rows.truncated === true ? [`The first ${ROWS_MAX} rows are shown.`] : [];
    return {
      frames: isTable ? [frame] : asLines(frame, target.legend),
      stepMs,
      warnings,
      infos: [],
      exemplars: [],
    };
  }
  const expr = filled(target.text, known, "promql");
  const named = { ...target, legend: filled(target.legend, known, "text") };
  const frames: DataFrame[] = [];
  const warnings: string[] = [];
  const infos: string[] = [];
  const stepS = stepMs / 1_000;
  const asked = [
    ...(target.isRange
      ? [
          {
            path: "/api/v1/query_range",
            // Whole steps, so that lines keep their points when the range moves.
            parameters: {
              start: Math.floor(fromMs / stepMs) * stepS,
              end: Math.floor(toMs / stepMs) * stepS,
              step: stepS,
            },
          },
        ]
      : []),
    ...(target.isInstant ? [{ path: "/api/v1/query", parameters: { time: toMs / 1_000 } }] : []),
  ];
  for (const { path, parameters } of asked) {
    const body = new URLSearchParams({ query: expr });
    for (const [name, value] of Object.entries(parameters)) body.set(name, String(value));
    const answer = await turns.take(
      () =>
        askJson<{ data: PromAnswer; warnings?: string[]; infos?: string[] }>(path, {
          method: "POST",
          ...{ body, signal },
        }),
      signal,
    );
    warnings.push(...(answer.warnings ?? []));
    infos.push(...(answer.infos ?? []));
    frames.push(...withGaps(promFrames(named, answer.data, panel.targets.length === 1), parameters));
  }
  const exemplars = target.hasExemplars
    ? await turns
        .take(() => askExemplars(expr, options), signal)
        .catch((error: Error) => {
          if (!signal.aborted) warnings.push(`Exemplars could not be loaded: ${error.message}`);
          return [];
        })
    : [];
  return { frames, stepMs, warnings, infos, exemplars };
}

interface ExemplarsOfSeries {
  readonly exemplars: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: string;
    readonly timestamp: number;
  }[];
}

async function askExemplars(query: string, { fromMs, toMs, signal }: AskPanel): Promise<EventDot[]> {
  const series = await askPrometheus<ExemplarsOfSeries[]>("/api/v1/query_exemplars", {
    parameters: { query, start: fromMs / 1_000, end: toMs / 1_000 },
    signal,
  });
  return series.flatMap(({ exemplars }) =>
    exemplars.map(({ labels, value, timestamp }) => ({ time: timestamp, value: Number(value), labels })),
  );
}

/** Series have no point where they have no value. A line needs a gap there. */
function withGaps(
  frames: readonly DataFrame[],
  { start, end, step }: { readonly start?: number; readonly end?: number; readonly step?: number },
): readonly DataFrame[] {
  if (start === undefined || end === undefined || step === undefined) return frames;
  return frames.map((frame) => {
    const [time, value] = frame.fields;
    if (frame.fields.length !== 2 || time?.kind !== "time" || value === undefined) return frame;
    const count = Math.floor((end - start) / step + 1e-9) + 1;
    if (count === time.values.length) return frame;
    const times = Array.from({ length: count }, (_, index) => (start + index * step) * 1_000);
    const values = new Map(
      time.values.map((ms, row) => [Math.round((Number(ms) / 1_000 - start) / step), value.values[row]!]),
    );
    return {
      ...frame,
      fields: [
        { ...time, values: times },
        { ...value, values: times.map((_, index) => values.get(index) ?? null) },
      ],
    };
  });
}

/** The macros of Grafana's data sources of SQL. */
function withMacros(sql: string, { fromMs, toMs }: PanelEnds, stepMs: number): string {
  const time = (ms: number) => `TIMESTAMP '${new Date(ms).toISOString().replace("T", " ").replace("Z", "")}'`;
  return sql
    .replaceAll(/\$__timeFilter\(\s*([^()]+?)\s*\)/g, (_, column: string) => {
      return `(${column} >= ${time(fromMs)} AND ${column} <= ${time(toMs)})`;
    })
    .replaceAll(
      /\$__timeGroup\(\s*([^(),]+?)\s*(?:,[^()]*)?\)/g,
      (_, column: string) => `time_bucket(INTERVAL '${Math.ceil(stepMs / 1_000)} seconds', ${column})`,
    )
    .replaceAll(/\$__timeFrom\(\)/g, time(fromMs))
    .replaceAll(/\$__timeTo\(\)/g, time(toMs));
}

async function askRows(
  sql: string,
  values: VariableValues,
  signal: AbortSignal,
): Promise<SqlRows & { readonly truncated?: boolean }> {
  if (!may("sql")) throw new Error("The panel asks in SQL, for which your token needs the scope sql.");
  return await askJson<SqlRows & { truncated?: boolean }>("/api/v1/sql", {
    method: "POST",
    parameters: { format: "json" },
    body: JSON.stringify({ sql: filled(sql, values, "sql"), limit: ROWS_MAX }),
    headers: { "content-type": "application/json" },
    signal,
  });
}

export interface PanelState {
  /** The last answer. It stays while the next one is awaited. */
  readonly answer: PanelAnswer | undefined;
  readonly error: Error | undefined;
  readonly isAsking: boolean;
}

/**
 * Asks when `key` or `tick` changes, if somebody sees the panel. A change of `key` aborts the request in progress; a change of
 * `tick` does not, so that a slow panel is answered at last.
 */
export function usePanelAnswer(
  load: (signal: AbortSignal) => Promise<PanelAnswer>,
  key: string,
  tick: number,
  isSeen: boolean,
): PanelState {
  const [state, setState] = useState<PanelState>({ answer: undefined, error: undefined, isAsking: true });
  const latest = useRef(load);
  latest.current = load;
  const asked = useRef<{ readonly of: string; readonly ended: AbortController; isDone: boolean }>(undefined);
  useEffect(() => {
    const question = `${key}\n${tick}`;
    const before = asked.current;
    if (!isSeen || before?.of === question) return;
    if (before !== undefined && !before.isDone) {
      if (before.of.startsWith(`${key}\n`)) return;
      before.ended.abort(new DOMException("Something else is asked.", "AbortError"));
    }
    const current = { of: question, ended: new AbortController(), isDone: false };
    asked.current = current;
    setState((earlier) => ({ ...earlier, isAsking: true }));
    const done = (next: Partial<PanelState>) => {
      if (asked.current !== current) return;
      current.isDone = true;
      setState((earlier) => ({ ...earlier, error: undefined, isAsking: false, ...next }));
    };
    latest.current(current.ended.signal).then(
      (answer) => done({ answer }),
      (error: Error) => done({ error }),
    );
  }, [key, tick, isSeen]);
  useEffect(() => () => asked.current?.ended.abort(new DOMException("The view was left.", "AbortError")), []);
  return state;
}
