/** The settings of the archive, a part of the table in settings.ts. In weir.toml they can also be in a table `[archive]`. */
import type { Setting } from "../settings.ts";

const hour = 3_600_000;

export const ARCHIVE_SETTINGS = {
  archiveTo: {
    type: { is: "text", optional: true },
    default: "",
    what: "Where days that are over are written as Parquet: an absolute path of a FOLDER, or `s3://BUCKET/PREFIX` (src/archive/README.md). In weir.toml also `[archive] to`.",
    why: "Only you know where they should be kept.",
  },
  archiveAfterMs: {
    type: { is: "milliseconds", max: 720 * hour },
    default: 3 * hour,
    what: "Time after the end of a day (UTC) at which it is archived, if no sample of it has arrived for ten minutes. Late samples wait at most as long for further ones.",
    why: "Most samples of a day that arrive late have arrived then, and its gauges have become blocks.",
  },
  archiveHoldBytes: {
    type: { is: "bytes" },
    default: 0,
    what: "Bytes of days past `retentionDays` that are kept because they are not archived.",
    why: "0 drops every day in time. A bucket that is away for less than the retention time loses nothing.",
  },
} as const satisfies Record<string, Setting>;
