/**
 * The steps of a simulated worker as events, as a worker writes them to its file: one line of JSON per sample, with the
 * names and the tags of the client's rules for workers.
 */
import { createWorkerMetrics } from "../../client/worker/worker.ts";
import type { SampleTags } from "../../client/options.ts";
import type { WorkStep } from "./task-work.ts";

/** The step's sample as a line with its newline. */
export function eventLine(step: WorkStep, atMs = step.atMs): string {
  let line = "";
  const metrics = createWorkerMetrics({
    observe: (name, value, tags) => {
      line = lineOf(name, value, tags, atMs);
    },
    increment: () => undefined,
    set: () => undefined,
  });
  recordStep(metrics, step);
  return line;
}

function lineOf(name: string, value: number, tags: SampleTags | undefined, atMs: number): string {
  return `${JSON.stringify({ "@timestamp": Math.round(atMs), metric_name: name, value, tags })}\n`;
}

/** Records a step as a worker does at its end. */
export function recordStep(
  metrics: Pick<ReturnType<typeof createWorkerMetrics>, "recordRequest" | "recordTask" | "recordUpload">,
  step: WorkStep,
): void {
  if (step.kind === "request") metrics.recordRequest(step);
  else if (step.kind === "upload") metrics.recordUpload(step);
  else metrics.recordTask({ ...step, httpStatus: step.status });
}
