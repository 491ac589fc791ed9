/**
 * What a simulated task worker does, step by step: it polls the server for a task, sends the task's request to its
 * target, uploads the result, and begins again. Pure: the same random numbers give the same steps.
 *
 * A step is what a worker records at the end of something: an HTTP request, a task, an upload.
 */
import type { SeededRandom } from "./seeded-random.ts";

/** One HTTP request. */
export interface RequestStep {
  readonly kind: "request";
  /** When it ended, in ms since the epoch. */
  readonly atMs: number;
  readonly operation: "get_task" | "target_request" | "upload_file" | "upload_result";
  readonly url: string;
  readonly method: "GET" | "POST" | "PUT";
  /** Absent if there was no answer; `error` is present then. */
  readonly status?: number;
  readonly error?: string;
  readonly durationMs: number;
  /** Absent if the poll returned no task. */
  readonly taskId?: string;
}

/** A task, from its request to the target to the upload of its result. */
export interface TaskStep {
  readonly kind: "task";
  readonly atMs: number;
  readonly taskId: string;
  readonly method: "GET" | "POST";
  readonly url: string;
  /** The status of the target; absent if it did not answer. */
  readonly status?: number;
  readonly durationMs: number;
}

export interface UploadStep {
  readonly kind: "upload";
  readonly atMs: number;
  readonly taskId: string;
  readonly bytes: number;
}

export type WorkStep = RequestStep | TaskStep | UploadStep;

interface Target {
  readonly url: string;
  readonly method: "GET" | "POST";
  /** How many tasks it gets, relative to the others. */
  readonly weight: number;
  readonly medianMs: number;
  /** Of the logarithm of the duration. */
  readonly spread: number;
  /** The shares of answers 429, 404 and 503. */
  readonly limited: number;
  readonly missing: number;
  readonly failed: number;
  readonly medianBytes: number;
}

const TARGETS: readonly Target[] = [
  {
    url: "https://api.example.org/v2/issues?page=1",
    method: "GET",
    weight: 5,
    medianMs: 320,
    spread: 0.5,
    limited: 0.005,
    missing: 0.01,
    failed: 0.005,
    medianBytes: 2_500,
  },
  {
    url: "https://git.example.net/api/repos/commits?since=0",
    method: "GET",
    weight: 3,
    medianMs: 700,
    spread: 0.6,
    limited: 0.03,
    missing: 0.01,
    failed: 0.01,
    medianBytes: 9_000,
  },
  {
    url: "https://registry.example.com/packages",
    method: "GET",
    weight: 2,
    medianMs: 140,
    spread: 0.4,
    limited: 0,
    missing: 0.03,
    failed: 0.002,
    medianBytes: 400,
  },
  {
    url: "https://reports.example.org/render",
    method: "POST",
    weight: 1,
    medianMs: 2_400,
    spread: 0.8,
    limited: 0,
    missing: 0,
    failed: 0.05,
    medianBytes: 250_000,
  },
];

const SERVER = "https://app.example.com/api";
/** A request to a target that takes longer than this has no answer. */
const TARGET_TIMEOUT_MS = 30_000;
/** Larger results are uploaded as a file of their own. */
const INLINE_BYTES_MAX = 512;
const UPLOAD_BYTES_MAX = 64 * 2 ** 20;
/** The share of polls that return no task. */
const IDLE = 0.25;
/** How often a worker sends a result that the server did not take. */
const RESULT_ATTEMPTS = 4;

/**
 * The work of one worker from a time on, without an end, in order of time.
 *
 * @param isLimited whether git.example.net limits the rate of requests at a time: every second request gets 429 then
 */
export function* workFrom(
  random: SeededRandom,
  fromMs: number,
  isLimited: (atMs: number) => boolean = () => false,
): Generator<WorkStep, never> {
  let atMs = fromMs + random.between(0, 1_000);
  const pass = (ms: number): number => {
    const durationMs = Math.round(ms * 100) / 100;
    atMs += durationMs;
    return durationMs;
  };
  for (;;) {
    const poll = {
      kind: "request",
      operation: "get_task",
      url: `${SERVER}/get-task?worker=1`,
      method: "GET",
    } as const;
    const pollMs = pass(random.logNormal(180, 0.3));
    if (random.chance(0.003)) {
      yield { ...poll, atMs, status: 503, durationMs: pollMs };
      pass(random.between(1_000, 2_000));
      continue;
    }
    if (random.chance(IDLE)) {
      yield { ...poll, atMs, status: 204, durationMs: pollMs };
      pass(random.between(500, 1_500));
      continue;
    }
    const taskId = `${Math.floor(atMs / 1_000)}_${random.letters(6)}`;
    yield { ...poll, atMs, status: 200, durationMs: pollMs, taskId };

    const beganMs = atMs;
    const target = random.weighted(TARGETS);
    const { url, method } = target;
    const answer = answerOf(target, random, isLimited(atMs));
    const targetMs = pass(answer.durationMs);
    const ended = answer.status === undefined ? { error: "timeout" } : { status: answer.status };
    yield {
      kind: "request",
      atMs,
      operation: "target_request",
      url,
      method,
      ...ended,
      durationMs: targetMs,
      taskId,
    };

    const isFile = answer.bytes > INLINE_BYTES_MAX;
    if (isFile) {
      const uploadMs = pass(random.logNormal(120 + answer.bytes / 20_000, 0.4));
      yield {
        kind: "request",
        atMs,
        operation: "upload_file",
        url: `${SERVER}/files`,
        method: "PUT",
        status: random.chance(0.004) ? 504 : 200,
        durationMs: uploadMs,
        taskId,
      };
    }
    yield { kind: "upload", atMs, taskId, bytes: answer.bytes };

    for (let attempt = 1; attempt <= RESULT_ATTEMPTS; attempt++) {
      const status = random.chance(0.02) ? 429 : random.chance(0.006) ? 503 : 200;
      yield {
        kind: "request",
        durationMs: pass(random.logNormal(150, 0.35)),
        atMs,
        operation: "upload_result",
        url: `${SERVER}/put-result`,
        method: "POST",
        status,
        taskId,
      };
      if (status === 200) break;
      pass(random.between(500, 1_000) * attempt);
    }
    yield {
      kind: "task",
      atMs,
      taskId,
      method,
      url,
      status: answer.status,
      durationMs: Math.round((atMs - beganMs) * 100) / 100,
    };
  }
}

/** How a target answers: its status if it answers in time, how long that takes, and the size of the result. */
function answerOf(
  target: Target,
  random: SeededRandom,
  isLimited: boolean,
): { readonly status?: number; readonly durationMs: number; readonly bytes: number } {
  const errorBytes = Math.round(random.between(60, 300));
  const isGit = target.url.startsWith("https://git.");
  if (random.chance(isLimited && isGit ? 0.5 : target.limited))
    return { status: 429, durationMs: random.logNormal(60, 0.3), bytes: errorBytes };
  const durationMs = random.logNormal(target.medianMs, target.spread);
  if (durationMs > TARGET_TIMEOUT_MS) return { durationMs: TARGET_TIMEOUT_MS, bytes: errorBytes };
  if (random.chance(target.missing))
    return { status: 404, durationMs: random.logNormal(90, 0.3), bytes: errorBytes };
  if (random.chance(target.failed)) return { status: 503, durationMs, bytes: errorBytes };
  const bytes = Math.min(UPLOAD_BYTES_MAX, Math.ceil(random.logNormal(target.medianBytes, 1.2)));
  return { status: 200, durationMs, bytes };
}
