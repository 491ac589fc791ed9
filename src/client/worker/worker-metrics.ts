/**
 * The metrics of task workers, with their names and the rules of their tags in one place: requests, tasks, uploads.
 * Nothing here throws, except that `run` and an instrumented fetch pass on errors of the worker's own code.
 */
import type { SampleTags } from "../options.ts";
import { type FetchFunction, type InstrumentOptions, instrumented } from "./instrumented-fetch.ts";
import { type JobOutcome, QueueJobs, type QueuedJob, type RunningJob } from "./queue-jobs.ts";
import { domainOf, UNKNOWN, urlWithoutQuery } from "./request-address.ts";

/** The part of the client that records. */
export interface WorkerRecorder {
  observe(name: string, value: number, tags?: SampleTags): void;
  increment(name: string, by?: number, tags?: SampleTags): void;
  set(name: string, value: number, tags?: SampleTags): void;
  readonly pushUrl?: string | undefined;
}

/** One HTTP request of a worker. */
export interface WorkerRequest {
  /** `get_task`, `target_request`, `upload_file`, `upload_result`, or a name of your own. */
  readonly operation: string;
  readonly url: unknown;
  readonly method: string;
  /** The status of the answer; absent if there was none. */
  readonly status?: number | string;
  /** The network error or the timeout, if there was no answer. The status is not used then. */
  readonly error?: unknown;
  readonly durationMs: number;
  /** The task; absent, null or empty if there is none. */
  readonly taskId?: string | null;
  /** For `get_task`: whether a task was returned, if the status does not say so. */
  readonly hasTask?: boolean;
}

export interface WorkerTaskFacts {
  readonly taskId?: string | null;
  /** The request to the target. */
  readonly method: string;
  readonly url: unknown;
  /** The status of the target's answer; absent if there was none. */
  readonly httpStatus?: number | string;
  readonly durationMs: number;
}

export interface WorkerUpload {
  readonly bytes: number;
  readonly taskId?: string | null;
}

/** Uploads up to this size are sent within the result. */
export const INLINE_BYTES_MAX = 512;

export interface WorkerMetrics {
  /** `http.request.duration_ms` */
  recordRequest(request: WorkerRequest): void;
  /** `task.processing_duration_ms` */
  recordTask(task: WorkerTaskFacts): void;
  /** `upload.size_bytes` */
  recordUpload(upload: WorkerUpload): void;
  /** Returns a fetch that records each request, and is otherwise the given one. */
  instrumentFetch<Fetch extends FetchFunction>(fetch: Fetch, options?: InstrumentOptions): Fetch;
  /** A job of a queue begins: `jobs_processed_total`, `jobs_active`, `job_queue_wait_seconds`. */
  startJob(job: QueuedJob): RunningJob;
  /** Runs a job, and records how it ended. Returns what `fn` returns. */
  runJob<Result>(
    job: QueuedJob,
    fn: () => Promise<Result> | Result,
    outcome?: (result: Result) => JobOutcome,
  ): Promise<Result>;
}

/** The metrics of one worker, recorded by a client. */
export function createWorkerMetrics(weir: WorkerRecorder): WorkerMetrics {
  const jobs = new QueueJobs(weir);
  const recordRequest = guarded((request: WorkerRequest) =>
    weir.observe("http.request.duration_ms", request.durationMs, requestTags(request)),
  );
  return {
    recordRequest,
    recordTask: guarded((task) =>
      weir.observe("task.processing_duration_ms", task.durationMs, {
        task_id: taskIdOf(task.taskId),
        method: methodOf(task.method),
        domain: domainOf(task.url),
        http_status: statusOf(task.httpStatus),
      }),
    ),
    recordUpload: guarded(({ bytes, taskId }) =>
      weir.observe("upload.size_bytes", bytes, {
        task_id: taskIdOf(taskId),
        upload_type: bytes <= INLINE_BYTES_MAX ? "inline" : "direct",
      }),
    ),
    instrumentFetch: (fetch, options) => instrumented(fetch, recordRequest, weir.pushUrl, options),
    startJob: (job) => jobs.start(job),
    runJob: (job, fn, outcome) => jobs.run(job, fn, outcome),
  };
}

/** The tags of `http.request.duration_ms`. */
export function requestTags(request: WorkerRequest): Record<string, string> {
  const { operation, url, method, error, hasTask } = request;
  const status = error === undefined || error === null ? statusOf(request.status) : UNKNOWN;
  const code = status === UNKNOWN ? undefined : Number(status);
  const tags: Record<string, string> = {
    task_id: taskIdOf(request.taskId),
    operation: typeof operation === "string" && operation !== "" ? operation : UNKNOWN,
    url: urlWithoutQuery(url),
    domain: domainOf(url),
    method: methodOf(method),
    status_code: status,
  };
  const success = String(code !== undefined && code < 400);
  if (operation !== "get_task") tags.success = success;
  else if (hasTask !== undefined) tags.has_task = String(hasTask);
  else if (code === 200) tags.has_task = "true";
  else if (code === 204) tags.has_task = "false";
  // A poll without an answer has neither: nothing says how it ended.
  else if (code !== undefined) tags.success = success;
  if (operation === "upload_result") {
    const type = errorTypeOf(code);
    if (type !== undefined) tags.error_type = type;
  }
  return tags;
}

function errorTypeOf(status: number | undefined): string | undefined {
  if (status === undefined) return undefined;
  if (status === 429) return "rate_limit";
  if (status === 408 || status === 504) return "timeout";
  if (status >= 500 && status <= 599) return "server_error";
  return status >= 400 && status <= 499 ? "client_error" : undefined;
}

/** A status of HTTP as text; `unknown` for anything else, such as the 0 of some libraries. */
function statusOf(status: unknown): string {
  const text = typeof status === "number" || typeof status === "string" ? String(status) : "";
  return /^[1-9]\d\d$/.test(text) ? text : UNKNOWN;
}

const taskIdOf = (taskId: unknown): string =>
  taskId === undefined || taskId === null || taskId === "" ? "none" : String(taskId);

const methodOf = (method: unknown): string =>
  typeof method === "string" && method !== "" ? method.toUpperCase() : UNKNOWN;

/** A function of the worker that passes no facts at all must not fail because of that. */
function guarded<Facts extends object>(record: (facts: Facts) => void): (facts: Facts) => void {
  return (facts) => {
    try {
      record(facts);
    } catch {
      record({} as Facts);
    }
  };
}
