/** The engine's settings when a file is opened, and the reasons for them. */

/**
 * Rows of a row group, the part of a table that the engine compresses at once. A transaction that appends this number of
 * rows, or a multiple of it, to a table writes them to the file itself. The log then has only a reference to them.
 */
export const ROW_GROUP_ROWS = 122_880;

const TEMPORARY_BYTES_MAX = 4 * 1_073_741_824;

export interface DatabaseOptions {
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** The folder for intermediate results that do not fit in memory. */
  readonly temporaryDirectory: string;
  /** Opens an existing file without changing it. Its log is replayed in memory. */
  readonly isReadOnly?: boolean;
}

/** The engine's settings, by name. */
export function engineSettings(options: DatabaseOptions): Record<string, string> {
  return {
    memory_limit: `${Math.floor(options.memoryLimitBytes / 1_048_576)}MiB`,
    threads: String(options.threads),
    // The engine has no worker until something is read: see workers.ts.
    external_threads: String(options.threads),
    ...(options.isReadOnly === true ? { access_mode: "READ_ONLY" } : {}),
    temp_directory: options.temporaryDirectory,
    // A checkpoint inside a commit delays it by 0.5 s. The store decides when to checkpoint.
    checkpoint_threshold: "1TiB",
    autoload_known_extensions: "false",
    autoinstall_known_extensions: "false",
    allow_community_extensions: "false",
    // The most that a hostile sort can write before its time limit ends it.
    max_temp_directory_size: `${TEMPORARY_BYTES_MAX / 1_048_576}MiB`,
  };
}
