/** The settings of the archive, a part of the table in settings.ts. In weir.toml they can also be in a table `[archive]`. */
import type { Setting } from "../settings.ts";

const hour = 3_600_000;
const MiB = 2 ** 20;

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
  archiveRead: {
    type: { is: "flag" },
    default: false,
    what: "Lets SQL and PromQL read archived days that are not here any more, as one with those that are.",
    why: "Off. What reads them fetches files, and is slower.",
  },
  archiveCacheBytes: {
    type: { is: "bytes", min: MiB },
    default: 1024 * MiB,
    what: "Bytes of files of a bucket that are kept in the data folder for `archiveRead`, and the most that one statement or query may read of the archive.",
    why: "A week of ten million events per day, with an id for each, takes as much.",
  },
} as const satisfies Record<string, Setting>;
