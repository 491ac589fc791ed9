/** How the engine is set when a file is opened, and why so. */

const TEMPORARY_BYTES_MAX = 4 * 1_073_741_824;

export interface DatabaseOptions {
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** Where what does not fit in memory goes. */
  readonly temporaryDirectory: string;
}

/** The engine's settings by their names. */
export function engineSettings(options: DatabaseOptions): Record<string, string> {
  return {
    memory_limit: `${Math.floor(options.memoryLimitBytes / 1_048_576)}MiB`,
    threads: String(options.threads),
    // No worker until something is read: see workers.ts.
    external_threads: String(options.threads),
    temp_directory: options.temporaryDirectory,
    // Checkpoints inside a commit stall it for 0.5 s; the store says when.
    checkpoint_threshold: "1TiB",
    autoload_known_extensions: "false",
    autoinstall_known_extensions: "false",
    allow_community_extensions: "false",
    // What a hostile sort may spill before its time is up.
    max_temp_directory_size: `${TEMPORARY_BYTES_MAX / 1_048_576}MiB`,
  };
}
