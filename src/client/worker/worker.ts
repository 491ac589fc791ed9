/** The entry `weir/client/worker`: the metrics of task workers and queue workers. */
export type { FetchFunction, InstrumentOptions } from "./instrumented-fetch.ts";
export type { JobOutcome, QueuedJob, RunningJob } from "./queue-jobs.ts";
export {
  createWorkerMetrics,
  INLINE_BYTES_MAX,
  requestTags,
  type WorkerMetrics,
  type WorkerRecorder,
  type WorkerRequest,
  type WorkerTaskFacts,
  type WorkerUpload,
} from "./worker-metrics.ts";
