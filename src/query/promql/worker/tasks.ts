/** What a Worker does for each kind of task: text in, the text of an answer out. */
import { Engine, type PromqlResult } from "../engine.ts";
import { explainPlan } from "../explain.ts";
import { parse } from "../parse/parse.ts";
import { formatExpr } from "../parse/print.ts";
import { treeOf } from "../parse/tree.ts";
import { StoreStorage } from "../store/store-storage.ts";
import type { StoredRows } from "../store/stored-rows.ts";
import { checkSelectors } from "../evaluate/bounds.ts";
import type { Matcher } from "../matchers.ts";
import { isShifted, selectorsIn } from "../parse/ast.ts";
import { ParseError } from "../query-errors.ts";
import type { PlainMatcher, SelectorsTask, Shown, Task, TaskSettings } from "./messages.ts";
import { resultPieces, valueText } from "./result-text.ts";

/** The pieces of the answer to a task. */
export async function* answerPieces(
  task: Exclude<Task, SelectorsTask>,
  settings: TaskSettings,
  rows: StoredRows,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  switch (task.kind) {
    case "format":
      yield valueText(formatExpr(parse(task.text)));
      return;
    case "tree":
      yield valueText(treeOf(parse(task.text)));
      return;
    default: {
      const { nowMs, observationStepMs, seriesIdleMs } = settings;
      const storage = new StoreStorage({ rows, observationStepMs, seriesIdleMs, now: () => nowMs });
      const result = await evaluated(new Engine(storage, settings), task, signal);
      yield* resultPieces(result, task.shown.limit, await extras(task.shown, result, storage));
    }
  }
}

function evaluated(
  engine: Engine,
  task: Task & { kind: "instant" | "range" },
  signal: AbortSignal,
): Promise<PromqlResult> {
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
export function selectorsOf({ texts, isExpression, mayFindAll }: SelectorsTask): PlainMatcher[][] {
  const selectors = isExpression
    ? texts.flatMap((text) => selectorsIn(parse(text)))
    : texts.map((text) => ({ matchers: parseSelector(text, mayFindAll) }));
  checkSelectors(selectors);
  return selectors.map(({ matchers }) => matchers.map(plainMatcher));
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

function plainMatcher({ name, operator, value }: Matcher): PlainMatcher {
  return { name, operator, value };
}
