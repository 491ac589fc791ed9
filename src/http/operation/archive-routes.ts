/** `GET /api/v1/archive`: the days that are here, what the archive has of each, and the last error. */
import { jsonResponse } from "../error-answers.ts";
import { rejectUnknown } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";

/** A day as the answer has it. Times are in milliseconds since the epoch. */
interface ReportedDay {
  readonly date: string;
  readonly rows: number;
  readonly state: string;
  readonly archivedRows: number;
  readonly files: number;
  readonly bytes: number;
  readonly archivedAtMs?: number;
  readonly lastError?: string;
}

interface ArchiveRoutesParts {
  readonly reports: () => readonly ReportedDay[];
  /** Identifies the store in manifests. */
  readonly id: string;
  /** Where the archive is. */
  readonly to: string;
}

export const archiveRoutes = ({ reports, id, to }: ArchiveRoutesParts) =>
  new Routes().on(
    "GET",
    "/api/v1/archive",
    "read",
    "lists the days, and what the archive has of them",
    (request) => {
      rejectUnknown(queryOf(request.url), []);
      const days = reports().map((day) => ({
        date: day.date,
        rows: day.rows,
        state: day.state,
        archived_rows: day.archivedRows,
        files: day.files,
        bytes: day.bytes,
        archived_at: day.archivedAtMs === undefined ? null : new Date(day.archivedAtMs).toISOString(),
        last_error: day.lastError ?? null,
      }));
      return jsonResponse(
        200,
        { to: to === "" ? null : to, gateway: id, days },
        { "cache-control": "no-store" },
      );
    },
  );
