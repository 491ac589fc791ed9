/**
 * Health: `/-/healthy` (the process answers) and `/-/ready` (a scrape would render, a commit would succeed), the same
 * under the names that other probes use, and both in one word at `/api/metrics/health`, for dashboards.
 */
import { RequestError, Unavailable } from "../model/errors.ts";
import { jsonResponse } from "./error-answers.ts";
import { Routes } from "./routes.ts";

export interface HealthDependencies {
  /** Renders a scrape without sending it and commits an empty transaction. Rejects with the reason if it fails. */
  ready(): Promise<void>;
  /** Reads from the store. Rejects with the reason if it fails. Called if `ready` rejects. */
  readable(): Promise<void>;
  /**
   * How long a check may take before the answer is 503. 5 s by default, half of the timeout of common orchestrators.
   */
  readonly timeoutMs?: number;
  /** Why the upstream of queries does not work; undefined if it does. */
  readonly upstreamFault?: () => Promise<string | undefined>;
  /** Milliseconds of a clock that never goes back. That of the process by default. */
  readonly elapsedMs?: () => number;
  /** Called when readiness begins to fail by a fault, not at each check. Errors of requests have their own lines. */
  readonly onFault?: (error: unknown) => void;
  /** Called at the first check that succeeds after it. */
  readonly onRecovery?: () => void;
}

const REASON_LENGTH_MAX = 300;
/** Everyone may ask for the health, so the upstream is asked once per second at most. */
const UPSTREAM_KEPT_MS = 1_000;

export const healthRoutes = (dependencies: HealthDependencies) => {
  const { readable, timeoutMs = 5_000 } = dependencies;
  const whyNotReady = checkOf(watched(dependencies), timeoutMs);
  const whyNotReadable = checkOf(readable, timeoutMs);
  const whyNoUpstream = checkOf(
    async () => {
      const fault = await dependencies.upstreamFault?.();
      if (fault !== undefined) throw new Unavailable(fault);
    },
    timeoutMs,
    { ms: UPSTREAM_KEPT_MS, elapsedMs: dependencies.elapsedMs },
  );

  const healthy = () => jsonResponse(200, { status: "healthy" });
  /** https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check, which some clients ask before they push. */
  const pass = () =>
    jsonResponse(200, {
      name: "weir",
      status: "pass",
      message: "the process runs; /-/ready says whether it can store",
    });
  const readiness = async () => {
    const reason = await whyNotReady();
    if (reason === undefined) return jsonResponse(200, { status: "ready" });
    const error = { code: "unavailable", message: `Not ready: ${reason}` };
    return jsonResponse(503, { error }, { "retry-after": "1" });
  };

  return new Routes()
    .on("GET", "/-/healthy", "none", "answers if the process runs", healthy)
    .on("GET", "/health", "none", "answers if the process runs, as health+json", pass)
    .on("GET", "/healthz", "none", "is the same as /-/healthy", healthy)
    .on("GET", "/-/ready", "none", "answers 200 if a scrape and a commit succeed", readiness)
    .on("GET", "/ready", "none", "is the same as /-/ready", readiness)
    .on("GET", "/readyz", "none", "is the same as /-/ready", readiness)
    .on(
      "GET",
      "/api/metrics/health",
      "none",
      "returns one word: healthy, degraded or unhealthy",
      async () => {
        const notReady = await whyNotReady();
        if (notReady === undefined) {
          const fault = await whyNoUpstream();
          // What is stored here can be asked.
          return jsonResponse(
            200,
            fault === undefined ? { status: "healthy" } : { status: "degraded", error: fault },
          );
        }
        const notReadable = await whyNotReadable();
        // Dashboards show the word itself, so the status of the answer is always 200.
        return jsonResponse(
          200,
          notReadable === undefined
            ? { status: "degraded", error: notReady }
            : { status: "unhealthy", error: notReadable },
        );
      },
    );
};

/** The check of readiness, which reports the first of several faults. */
function watched({ ready, onFault, onRecovery }: HealthDependencies): () => Promise<void> {
  let isFaulty = false;
  return async () => {
    try {
      await ready();
    } catch (error) {
      if (!isFaulty && !(error instanceof RequestError)) {
        isFaulty = true;
        onFault?.(error);
      }
      throw error;
    }
    if (isFaulty) onRecovery?.();
    isFaulty = false;
  };
}

/**
 * A check that resolves to the reason of a failure within the timeout, or to undefined if it succeeds.
 *
 * @param kept how long a result counts, from the end of its check
 */
function checkOf(
  check: () => Promise<void>,
  timeoutMs: number,
  { ms = 0, elapsedMs = () => performance.now() } = {},
): () => Promise<string | undefined> {
  // Requests that arrive during a check share its result: many probes do not cause many commits.
  let running: Promise<string | undefined> | undefined;
  let untilMs: number | undefined;
  const checkOnce = (): Promise<string | undefined> => {
    if (untilMs !== undefined && elapsedMs() >= untilMs) running = untilMs = undefined;
    running ??= Promise.resolve()
      .then(check)
      .then(() => undefined, reasonOf)
      .finally(() => {
        untilMs = elapsedMs() + ms;
      });
    return running;
  };
  return async () => {
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => late.resolve(`the check took longer than ${timeoutMs} ms`), timeoutMs);
    const reason = await Promise.race([checkOnce(), late.promise]);
    clearTimeout(timer);
    return reason;
  };
}

/** Operators read this, so the engine's message is passed on: its first line, shortened if it is long. */
function reasonOf(error: unknown): string {
  const message = error instanceof RequestError || error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0].slice(0, REASON_LENGTH_MAX);
}
