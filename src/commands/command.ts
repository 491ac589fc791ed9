/**
 * What a command of `weir` is: one module in this folder, named for the command, that exports `command`.
 *
 * A command touches the outside through its `Io` alone (no `process` in it), so that a test can run it with
 * buffers. It resolves to its exit code: 0 when all went well, 1 when the work failed; bad arguments are
 * thrown as `UsageError` (or `SettingError`), which main.ts prints with the usage and turns into 2.
 */

/** Where a command writes. `write` resolves when the reader has taken the data, so that nothing piles up. */
export interface Output {
  write(data: string | Uint8Array): Promise<void>;
  /** True where a person looks on: progress bars and colour are for them only. */
  readonly isTerminal: boolean;
  /** Width of the terminal in columns; 80 where there is none. */
  readonly columns: number;
}

/** The outside of a command. */
export interface Io {
  /** Results. */
  readonly stdout: Output;
  /** Everything else: progress, warnings, errors. */
  readonly stderr: Output;
  /** True where stdin is a terminal, and so nothing is piped in. */
  readonly stdinIsTerminal: boolean;
  /** The bytes of stdin; call it once. */
  stdin(): ReadableStream<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The umask of who started this; the process's own hides what it makes. Absent where there is none. */
  readonly umask?: number;
  /** The text of a file, or undefined where there is none; other errors are thrown. */
  readFile(path: string): string | undefined;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole text of `weir NAME --help`; begins with `Usage: weir NAME`, ends without a newline. */
  readonly usage: string;
  /** Runs with the arguments after its name; `--help` was taken out before. Resolves to the exit code. */
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** The arguments make no sense; the message is one sentence that quotes them. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const exitCode = { ok: 0, failure: 1, usage: 2 } as const;
