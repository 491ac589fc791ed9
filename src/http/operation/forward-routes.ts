/**
 * `GET /api/v1/forward`: the destinations to which samples are sent, what each lacks, and its last error; and the upstream from
 * which samples are read.
 */
import { jsonResponse } from "../error-answers.ts";
import { rejectUnknown } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";

/** A destination as the answer has it. Times are in milliseconds since the epoch. */
interface ReportedDestination {
  readonly name: string;
  readonly type: string;
  readonly lagSamples: number;
  readonly lagSeconds: number;
  readonly sentSamples: number;
  readonly sentBytes: number;
  readonly droppedSamples: number;
  readonly failing: boolean;
  readonly lastSuccessMs?: number;
  readonly lastError?: string;
  readonly lastErrorMs?: number;
}

/** The upstream, as the answer has it. */
interface ReportedUpstream {
  readonly name: string;
  /** Whether it is not asked at the moment. */
  readonly isPaused: boolean;
  readonly lastError?: string;
}

interface ForwardRoutesParts {
  readonly destinations: () => readonly ReportedDestination[];
  /** Days before those that retention keeps: destinations have not received them. */
  readonly held: () => { readonly days: number; readonly samples: number };
  readonly upstream: () => ReportedUpstream | undefined;
}

export const forwardRoutes = ({ destinations, held, upstream }: ForwardRoutesParts) =>
  new Routes().on("GET", "/api/v1/forward", "read", "lists the destinations of forwarding", (request) => {
    rejectUnknown(queryOf(request.url), []);
    const timeText = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
    const listed = destinations().map((each) => ({
      name: each.name,
      type: each.type,
      failing: each.failing,
      lag_samples: each.lagSamples,
      lag_seconds: each.lagSeconds,
      sent_samples: each.sentSamples,
      sent_bytes: each.sentBytes,
      dropped_samples: each.droppedSamples,
      last_success: timeText(each.lastSuccessMs),
      last_error: each.lastError ?? null,
      last_error_at: timeText(each.lastErrorMs),
    }));
    const asked = upstream();
    const read =
      asked === undefined
        ? null
        : {
            name: asked.name,
            failing: asked.lastError !== undefined,
            paused: asked.isPaused,
            last_error: asked.lastError ?? null,
          };
    return jsonResponse(
      200,
      { destinations: listed, held: held(), upstream: read },
      { "cache-control": "no-store" },
    );
  });
