/** Evaluates several expressions at one time in a Worker, and writes a line for each as soon as its result is there. */
import { Engine } from "../engine.ts";
import { MergedReads } from "../store/merged-reads.ts";
import { StoreStorage } from "../store/store-storage.ts";
import type { BatchTask } from "./messages.ts";
import { plainError } from "./plain-error.ts";
import { resultPieces } from "./result-text.ts";
import type { TaskParts } from "./tasks.ts";

/** See BatchTask. An expression that fails has a line with its error, and the others are evaluated. */
export async function* batchLines(
  { texts, timeMs, options, shown }: BatchTask,
  { settings, rows, parsed }: TaskParts,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const { nowMs, observationStepMs, seriesIdleMs } = settings;
  const storage = new StoreStorage({ rows, observationStepMs, seriesIdleMs, now: () => nowMs });
  const engine = new Engine(new MergedReads(storage, signal), settings, parsed.parse);
  const lines: string[] = [];
  let onLine: () => void = () => {};
  const evaluate = async (text: string, places: readonly number[]) => {
    let rest: string;
    try {
      const result = await engine.instant(text, timeMs, { ...options, signal });
      const answer = Buffer.concat([...resultPieces(result, shown.limit)]).toString();
      rest = `"answer":${answer.trimEnd()}`;
    } catch (error) {
      rest = `"error":${JSON.stringify(plainError(error).message)}`;
    }
    for (const at of places) lines.push(`{"at":${at},${rest}}\n`);
    onLine();
  };
  // Rules that differ in a threshold of `for` or in labels ask the same.
  const placesOf = Map.groupBy(texts.keys(), (at) => texts[at]!);
  for (const [text, places] of placesOf) void evaluate(text, places);
  for (let written = 0; written < texts.length; ) {
    while (lines.length === 0) {
      await new Promise<void>((resolve) => {
        onLine = resolve;
      });
    }
    signal.throwIfAborted();
    // Each piece is a message.
    written += lines.length;
    yield lines.splice(0).join("");
  }
}
