/**
 * The metrics of workers that take jobs from a queue: how many started, completed and failed, how many run, how long they
 * waited and ran, and how much they produced.
 */
import type { WorkerRecorder } from "./worker-metrics.ts";
import { UNKNOWN } from "./request-address.ts";

/** A job as the worker takes it from the queue. */
export interface QueuedJob {
  /** What the job is for. */
  readonly service?: string;
  readonly priority?: string | number;
  readonly workerId?: string;
  /** When it entered the queue: milliseconds since 1970, or a Date. */
  readonly queuedAt?: number | Date;
}

export interface JobOutcome {
  /** False if the job failed without an error. */
  readonly success?: boolean;
  readonly outputBytes?: number;
}

/** The second call of either function does nothing. */
export interface RunningJob {
  complete(outcome?: Pick<JobOutcome, "outputBytes">): void;
  fail(error?: unknown): void;
}

export class QueueJobs {
  readonly #weir: WorkerRecorder;
  /** Running jobs by their tags. Tags without a job are removed. */
  readonly #active = new Map<string, number>();

  constructor(weir: WorkerRecorder) {
    this.#weir = weir;
  }

  start(job: QueuedJob): RunningJob {
    const startedMs = performance.now();
    const { service, priority, workerId, queuedAt } = job ?? {};
    const tags = {
      service: textOf(service),
      priority: textOf(priority),
      worker_id: textOf(workerId),
    };
    const weir = this.#weir;
    weir.increment("jobs_processed_total", 1, { ...tags, status: "started" });
    this.#count(tags, 1);
    // The clocks of two machines differ: a job does not leave its queue before it enters it.
    if (queuedAt !== undefined)
      weir.observe("job_queue_wait_seconds", Math.max(0, Date.now() - Number(queuedAt)) / 1_000, tags);
    let isEnded = false;
    const end = (status: "completed" | "failed"): boolean => {
      if (isEnded) return false;
      isEnded = true;
      weir.increment("jobs_processed_total", 1, { ...tags, status });
      weir.observe("job_duration_seconds", (performance.now() - startedMs) / 1_000, { ...tags, status });
      this.#count(tags, -1);
      return true;
    };
    return {
      complete(outcome) {
        if (end("completed") && outcome?.outputBytes !== undefined)
          weir.observe("job_output_size_bytes", outcome.outputBytes, tags);
      },
      fail(error) {
        if (end("failed") && error !== undefined)
          weir.increment("errors_total", 1, { ...tags, ...errorTags(error) });
      },
    };
  }

  async run<Result>(
    job: QueuedJob,
    fn: () => Promise<Result> | Result,
    outcome?: (result: Result) => JobOutcome,
  ): Promise<Result> {
    const running = this.start(job);
    let result: Result;
    try {
      result = await fn();
    } catch (error) {
      running.fail(error ?? UNKNOWN);
      throw error;
    }
    let how: JobOutcome | undefined;
    try {
      how = outcome?.(result);
    } catch {
      // The worker's function does not say how the job ended: it returned.
    }
    if (how?.success === false) running.fail();
    else running.complete(how);
    return result;
  }

  #count(tags: Readonly<Record<string, string>>, change: number): void {
    const key = JSON.stringify(tags);
    const active = (this.#active.get(key) ?? 0) + change;
    if (active > 0) this.#active.set(key, active);
    else this.#active.delete(key);
    this.#weir.set("jobs_active", active, tags);
  }
}

const textOf = (value: string | number | undefined): string =>
  value === undefined || value === null || value === "" ? UNKNOWN : String(value);

/** What kind of error ended a job: by its message first, then by the code of a broken connection. */
function errorTags(error: unknown): { readonly error_type: string; readonly error_name: string } {
  try {
    const { message, code, name } = Object(error) as Record<"message" | "code" | "name", unknown>;
    const text = String(message ?? error).toLowerCase();
    const known = ["timeout", "memory", "network"].find((type) => text.includes(type));
    return {
      error_type: known ?? (code === "ECONNRESET" ? "connection" : UNKNOWN),
      error_name: typeof name === "string" && name !== "" ? name : UNKNOWN,
    };
  } catch {
    return { error_type: UNKNOWN, error_name: UNKNOWN };
  }
}
