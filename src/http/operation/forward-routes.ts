/** `GET /api/v1/forward`: the destinations to which samples are sent, what each lacks, and its last error. */
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

export const forwardRoutes = ({
  destinations,
}: {
  readonly destinations: () => readonly ReportedDestination[];
}) =>
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
    return jsonResponse(200, { destinations: listed }, { "cache-control": "no-store" });
  });
