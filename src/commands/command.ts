/**
 * The contract of a command of `weir`: one module in this folder or below it, named for the command, that exports
 * `command`.
 *
 * A command does all input and output through its `Io` and never uses `process`, so that a test can run it with
 * buffers. It resolves to its exit code: 0 for success, 1 if the work failed. It throws `UsageError` or `SettingError`
 * for invalid arguments. main.ts prints these with the usage and exits with 2.
 */
import { RequestError } from "../model/errors.ts";

/**
 * An output of a command. `write` resolves when the reader has taken the data, so that no data accumulates in memory.
 */
export interface Output {
  write(data: string | Uint8Array): Promise<void>;
  /** True for a terminal: only there are progress bars and colour used. */
  readonly isTerminal: boolean;
  /** Width of the terminal in columns; 80 if it is not a terminal. */
  readonly columns: number;
  /** Height of the terminal in lines. Undefined if it is not a terminal. */
  readonly rows?: number | undefined;
}

/** The terminal as streams, for a command that edits lines itself. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** The input, output and environment of a command. */
export interface Io {
  /** Results. */
  readonly stdout: Output;
  /** Everything else: progress, warnings, errors. */
  readonly stderr: Output;
  /** True if stdin is a terminal, so that no data is piped in. */
  readonly stdinIsTerminal: boolean;
  /** The bytes of stdin. Call it only once. */
  stdin(): ReadableStream<Uint8Array>;
  /**
   * Passes on each key of the terminal, also Ctrl-C (U+0003), which then stops nothing by itself. Returns a function that ends
   * that. Undefined if stdin is not a terminal, and in tests.
   */
  readonly keys?: ((onKey: (key: string) => void) => () => void) | undefined;
  /** Undefined unless stdin and stdout are a terminal, and in tests. */
  readonly terminal?: Terminal | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * The umask that the process was started with. Its current umask hides new files from other users. Absent in tests.
   */
  readonly umask?: number;
  /** The text of a file, or undefined if it does not exist. Other errors are thrown. */
  readFile(path: string): string | undefined;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole text of `weir NAME --help`. It begins with `Usage: weir NAME` and ends without a newline. */
  readonly usage: string;
  /**
   * Runs with the arguments after the command's name. main.ts handles `--help`. Resolves to the exit code.
   *
   * @param all loads all commands in the order of the overview, for the commands that describe the others
   */
  run(argv: readonly string[], io: Io, all: () => Promise<readonly Command[]>): Promise<number>;
}

/** The arguments are invalid. The message is one sentence that quotes them. The exit code is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const exitCode = { ok: 0, failure: 1, usage: 2 } as const;

/** What a command says of the error that ended it: one sentence if the reason is known, a stack trace for a bug. */
export function faultText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isExpected = error instanceof RequestError || codeOf(error) !== undefined || isNamed(error);
  return isExpected ? error.message : (error.stack ?? error.message);
}

/** Errors of the operating system and of sockets carry a code: ENOENT, ConnectionRefused … */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Errors with a class of their own (StoreLocked …) have a complete message. Built-in errors are bugs. */
function isNamed(error: Error): boolean {
  return !/^(Error|TypeError|RangeError|ReferenceError|SyntaxError)$/.test(error.name);
}
