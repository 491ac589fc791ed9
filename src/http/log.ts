/**
 * The gateway's log: one JSON object per line, `{"time","level","message",…}`.
 *
 * A fault that repeats a thousand times per second must not fill a disk. Lines past `linesPerSecondMax` in a second
 * are dropped, and the next line says how many (`"dropped"`).
 */

/** Levels, the most important first. */
const LEVELS = ["error", "warn", "info", "debug"] as const;

type Level = (typeof LEVELS)[number];

/** The fields of a line beside its message. No bodies, no secrets. */
type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

export type Log = Readonly<Record<Level, (message: string, fields?: Fields) => void>>;

/** 50 lines of 300 bytes per second are at most 1.3 GB per day, and enough to see what is wrong. */
const linesPerSecondMax = 50;

/**
 * A log that writes lines of `level` and of more important levels.
 *
 * @param write receives one line with its newline; standard error by default
 */
export function createLog(level: Level, write: (line: string) => void = writeStandardError): Log {
  let second = 0;
  let lines = 0;
  let dropped = 0;
  const line = (of: Level) => (message: string, fields?: Fields) => {
    if (LEVELS.indexOf(of) > LEVELS.indexOf(level)) return;
    const now = Date.now();
    if (Math.floor(now / 1000) !== second) {
      second = Math.floor(now / 1000);
      lines = 0;
    }
    lines += 1;
    if (lines > linesPerSecondMax) {
      dropped += 1;
      return;
    }
    const before = dropped > 0 ? { dropped } : undefined;
    dropped = 0;
    write(
      `${JSON.stringify({ time: new Date(now).toISOString(), level: of, message, ...fields, ...before })}\n`,
    );
  };
  return { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug") };
}

function writeStandardError(line: string): void {
  process.stderr.write(line);
}
