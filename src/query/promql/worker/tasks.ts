/** What a Worker does for each kind of task: text in, the text of an answer out. */
import { Engine, type PromqlResult } from "../engine.ts";
import { explainPlan } from "../explain.ts";
import { parse } from "../parse/parse.ts";
import { formatExpr } from "../parse/print.ts";
import { treeOf } from "../parse/tree.ts";
import { StoreStorage } from "../store/store-storage.ts";
import type { StoredRows } from "../store/stored-rows.ts";
import type { Shown, Task, TaskSettings } from "./messages.ts";
import { resultPieces, valueText } from "./result-text.ts";

/** The pieces of the answer to a task. */
export async function* answerPieces(
  task: Task,
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
