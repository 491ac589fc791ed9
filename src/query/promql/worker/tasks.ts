/** What a Worker does for each kind of task: text in, the text of an answer out. */
import { dayOf } from "../../../model/sample.ts";
import { Engine, type PromqlResult } from "../engine.ts";
import { explainPlan } from "../explain.ts";
import { parse } from "../parse/parse.ts";
import type { ParsedTexts } from "../parse/parsed-texts.ts";
import { formatExpr } from "../parse/print.ts";
import { treeOf } from "../parse/tree.ts";
import { StoreStorage } from "../store/store-storage.ts";
import { ArchiveAway } from "../archived/promql-archive.ts";
import { earlierOf } from "../cells/tracked-series.ts";
import type { StoredDay } from "../store/table-reader.ts";
import { withArchivedDays } from "../archived/archived-rows.ts";
import type { ArchiveOpened, StoredRows } from "../store/stored-rows.ts";
import { checkSelectors } from "../evaluate/bounds.ts";
import type { Matcher } from "../matchers.ts";
import { isShifted, selectorsIn } from "../parse/ast.ts";
import { ParseError, UpstreamUnavailable } from "../query-errors.ts";
import type { Storage } from "../storage.ts";
import { JoinedStorage } from "../../upstream/joined-storage.ts";
import { UpstreamSeries } from "../../upstream/upstream-series.ts";
import { csvLines, jsonLines, type SeriesWriter, textLines } from "../../series-lines.ts";
import { SeriesExport } from "../../series-export.ts";
import type { ExportFormat, ExportTask, SelectorsTask, Shown, Task, TaskSettings } from "./messages.ts";
import { batchLines } from "./batch-lines.ts";
import { resultPieces, valueText } from "./result-text.ts";

type Selectors = readonly (readonly Matcher[])[];

/** What a Worker evaluates with. */
export interface TaskParts {
  readonly settings: TaskSettings;
  readonly rows: StoredRows;
  /** Trees of earlier tasks. */
  readonly parsed: ParsedTexts;
}

/** The pieces of the answer to a task, as text or as bytes in UTF-8. Each has a buffer of its own. */
export async function* answerPieces(
  task: Exclude<Task, SelectorsTask>,
  parts: TaskParts,
  signal: AbortSignal,
): AsyncGenerator<string | Uint8Array<ArrayBuffer>, void, undefined> {
  const { settings, rows, parsed } = parts;
  switch (task.kind) {
    case "format":
      yield valueText(formatExpr(parse(task.text)));
      return;
    case "tree":
      yield valueText(treeOf(parse(task.text)));
      return;
    case "export":
      yield* exported(task, settings, rows, signal);
      return;
    case "batch":
      yield* batchLines(task, parts, signal);
      return;
    default: {
      const { nowMs, observationStepMs, seriesIdleMs } = settings;
      const { result, storage } = await withArchive(task, parts, signal, async (all) => {
        const storage = new StoreStorage({ rows: all, observationStepMs, seriesIdleMs, now: () => nowMs });
        const result = await withUpstream(storage, { task, settings, rows: all, signal }, (joined) =>
          evaluated(new Engine(joined, settings, parsed.parse), task, signal),
        );
        return { result, storage };
      });
      yield* resultPieces(result, task.shown.limit, await extras(task.shown, result, storage));
    }
  }
}

async function* exported(
  { texts, range, format }: ExportTask,
  settings: TaskSettings,
  rows: StoredRows,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const write = writerOf(format);
  const all = await withDaysOf(range, settings, rows);
  const storage = new StoreStorage({ ...settings, rows: all, now: () => settings.nowMs });
  const series = new SeriesExport({ ...settings, rows: all, storage });
  // As VictoriaMetrics: `{__name__!=""}` selects all series.
  const selectors = selectorsOf({ texts, mayFindAll: true });
  for await (const portion of series.samples(selectors, range, signal)) yield* write(portion);
}

/**
 * The rows of the store, and those of archived days of a range. An export that lacks a part of its range would be taken for whole,
 * so it fails if the archive cannot be read.
 *
 * @throws ArchiveAway
 */
async function withDaysOf(
  { startMs, endMs, totalsFromMs = startMs }: ExportTask["range"],
  settings: TaskSettings,
  rows: StoredRows,
): Promise<StoredRows> {
  const beginMs = Math.min(startMs, totalsFromMs);
  const opened = await openedBetween({ afterMs: beginMs, toMs: endMs }, settings, rows);
  if ("failure" in opened) throw new ArchiveAway(opened.failure);
  return opened.days.length === 0 ? rows : withArchivedDays(rows, opened.days);
}

function writerOf(format: ExportFormat): SeriesWriter {
  switch (format.as) {
    case "json":
      return jsonLines(format.rowsMax);
    case "text":
      return textLines();
    case "csv":
      return csvLines(format.columns);
  }
}

interface Evaluated {
  readonly result: PromqlResult;
  readonly storage: StoreStorage;
}

/**
 * Evaluates over the store, and over days of the archive that the query reads back to. If any part of these cannot be read, all is
 * evaluated without them, and the result has a warning.
 */
async function withArchive(
  task: QueryTask,
  { settings, rows, parsed }: TaskParts,
  signal: AbortSignal,
  evaluate: (rows: StoredRows) => Promise<Evaluated>,
): Promise<Evaluated> {
  const opened = await openedDays(task, { settings, rows, parsed }, signal);
  let failure = "failure" in opened ? opened.failure : undefined;
  if ("days" in opened && opened.days.length > 0) {
    try {
      return await evaluate(withArchivedDays(rows, opened.days));
    } catch (error) {
      if (!(error instanceof ArchiveAway)) throw error;
      failure = error.message;
    }
  }
  const { result, storage } = await evaluate(rows);
  if (failure === undefined) return { result, storage };
  const warning = `${failure}; the result has nothing of the archive`;
  return { result: { ...result, warnings: [...result.warnings, warning] }, storage };
}

/** The archived days that a query reads. */
async function openedDays(
  task: QueryTask,
  { settings, rows, parsed }: TaskParts,
  signal: AbortSignal,
): Promise<ArchiveOpened> {
  if (rows.archive === undefined) return { days: [] };
  const engine = new Engine(new StoreStorage({ rows, ...settings }), settings, parsed.parse);
  const options = { ...task.options, signal };
  const reach =
    task.kind === "instant"
      ? engine.reach(task.text, task.timeMs, undefined, options)
      : engine.reach(task.text, task.startMs, task, options);
  return reach === undefined ? { days: [] } : await openedBetween(reach, settings, rows);
}

/** The archived days between two times, and what totals of events need before them. */
async function openedBetween(
  reach: { readonly afterMs: number; readonly toMs: number },
  { observationStepMs: stepMs, seriesIdleMs, nowMs }: TaskSettings,
  rows: StoredRows,
): Promise<ArchiveOpened> {
  const { archive } = rows;
  if (archive === undefined) return { days: [] };
  const firstDay = dayOf(reach.afterMs * 1000);
  const lastDay = Math.min(dayOf((reach.toMs + stepMs) * 1000), dayOf(nowMs * 1000) - 1);
  const isWhole = ({ day, isPartial }: StoredDay) => day >= firstDay && day <= lastDay && isPartial !== true;
  const here = rows.days().filter(isWhole).length;
  if (here >= lastDay - firstDay + 1) return { days: [] };
  // Totals begin with what came before them.
  const baseMs = Math.floor(reach.afterMs / stepMs) * stepMs;
  return await archive.open(dayOf(earlierOf(baseMs, stepMs, seriesIdleMs) * 1000), lastDay);
}

/** Evaluates over the store and the upstream, if there is one. Its failure is a warning, or the error of the query. */
async function withUpstream(
  stored: StoreStorage,
  {
    task,
    settings,
    rows,
    signal,
  }: Pick<TaskParts, "settings" | "rows"> & { task: QueryTask; signal: AbortSignal },
  evaluate: (storage: Storage) => Promise<PromqlResult>,
): Promise<PromqlResult> {
  const { upstream: rules } = settings;
  if (rules === undefined || rows.upstream === undefined) return await evaluate(stored);
  const waitMs = Math.min(rules.waitMs, (task.options.promqlTimeoutMs ?? settings.promqlTimeoutMs) / 2);
  const upstream = new UpstreamSeries((asked) => rows.upstream!(asked, signal), { ...rules, waitMs });
  const result = await evaluate(new JoinedStorage({ stored, rows, upstream, rules }));
  if (upstream.failure === undefined) return result;
  if (task.shown.needsUpstream) throw new UpstreamUnavailable(upstream.failure);
  const warning = `${upstream.failure}; the result has only what is stored here`;
  return { ...result, warnings: [...result.warnings, warning] };
}

type QueryTask = Extract<Task, { kind: "instant" | "range" }>;

function evaluated(engine: Engine, task: QueryTask, signal: AbortSignal): Promise<PromqlResult> {
  const options = { ...task.options, signal };
  return task.kind === "instant"
    ? engine.instant(task.text, task.timeMs, options)
    : engine.range(task.text, task.startMs, task.endMs, task.stepMs, options);
}

async function extras(
  { stats, explain }: Shown,
  result: PromqlResult,
  storage: StoreStorage,
): Promise<Readonly<Record<string, unknown>>> {
  return {
    ...(stats ? { stats: statsOf(result) } : {}),
    ...(explain ? { explain: await explainPlan(result.plan, (read) => storage.explain(read)) } : {}),
  };
}

/** As upstream's `stats=all`, with the statistics that this engine has. */
function statsOf({ stats }: PromqlResult): unknown {
  const total = stats.parseMs + stats.evaluationMs;
  return {
    timings: {
      evalTotalTime: stats.evaluationMs / 1000,
      resultSortTime: 0,
      queryPreparationTime: stats.parseMs / 1000,
      innerEvalTime: stats.evaluationMs / 1000,
      execQueueTime: 0,
      execTotalTime: total / 1000,
    },
    samples: { totalQueryableSamples: stats.samplesRead, peakSamples: Math.ceil(stats.bytesPeak / 9) },
  };
}

/** The matchers of the selectors. */
export function selectorsOf({ texts, isExpression, mayFindAll }: Omit<SelectorsTask, "kind">): Selectors {
  const selectors = isExpression
    ? texts.flatMap((text) => selectorsIn(parse(text)))
    : texts.map((text) => ({ matchers: parseSelector(text, mayFindAll) }));
  checkSelectors(selectors);
  return selectors.map(({ matchers }) => matchers);
}

/** The matchers of a series selector such as `up{job="x"}`; throws for any other expression. */
function parseSelector(text: string, mayFindAll?: boolean): readonly Matcher[] {
  const expr = parse(text, mayFindAll);
  if (expr.type !== "vectorSelector" || isShifted(expr)) {
    throw new ParseError(
      `expected a series selector without modifiers, got ${JSON.stringify(text)}`,
      "match[]",
    );
  }
  return expr.matchers;
}
