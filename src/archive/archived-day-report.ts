/** What is known of a day: how much of it is here, and how much is in the archive. */
import { dateText } from "../model/time.ts";
import type { Day } from "../store/store.ts";
import type { ArchivedDays } from "./writing/archived-days.ts";

export interface ArchivedDayReport {
  readonly date: string;
  /** Samples that are here. */
  readonly rows: number;
  /**
   * `open`: not over, `waiting`: samples arrive still, or it is soon archived, `writing`, `archived`, `late`: samples have arrived
   * since it was archived, `changed`: samples were deleted since, `partial`: the day was dropped, and samples have come since. Only
   * the archive has the earlier ones, `restored`: from an archive, so it is not archived.
   */
  readonly state: "open" | "waiting" | "writing" | "archived" | "late" | "changed" | "partial" | "restored";
  /** Samples, files and bytes in the archive. */
  readonly archivedRows: number;
  readonly files: number;
  readonly bytes: number;
  readonly archivedAtMs?: number;
  readonly lastError?: string;
}

/** What is known of a day that no archive of the settings gets. */
export function reportWithoutArchive(
  { day, rows }: Pick<Day, "day" | "rows">,
  days: ArchivedDays,
  isRestored: (day: number) => boolean,
): ArchivedDayReport {
  const known = days.of(day);
  const state =
    known?.archivedEnd !== undefined && known.gone !== true
      ? known.changed === true
        ? "changed"
        : "archived"
      : isRestored(day)
        ? "restored"
        : "open";
  const { rows: archivedRows = 0, files = 0, bytes = 0, archivedAtMs } = known ?? {};
  return { date: dateText(day), rows, state, archivedRows, files, bytes, archivedAtMs };
}
