/**
 * The faults of the engine, and of the disk below it, that the gateway acts on. DuckDB reports them as texts: they are
 * recognised here, and nowhere else.
 */

export type EngineFault =
  /** A statement needs more memory than `memoryLimitBytes` leaves. */
  | "out of memory"
  /** A statement was interrupted. */
  | "interrupted"
  /** A statement asks for what is not allowed, such as a file. */
  | "forbidden"
  /** Values for parameters that the driver cannot bind. They do not reach the engine. */
  | "parameters"
  /** A parameter that the statement does not have. */
  | "unknown parameter"
  /** A guard macro of sql/query/macro_weir_*.sql found a value that is too large. */
  | "guarded"
  /** The table of a day that retention dropped between a look at the days and the statement. */
  | "day dropped"
  /** Another process has the file open. */
  | "locked"
  /** The file, or its write-ahead log, is damaged, or it is a file of something else. */
  | "damaged"
  /** The disk, or the user's quota on it, has no room. The engine has undone what it was doing. */
  | "disk full"
  /** The engine gives up on its file with this error: the file must be opened again. */
  | "gave up"
  /** The engine gave up before. Every statement fails until the file is opened again. */
  | "invalidated"
  /** The statement is at fault: its syntax, its names, its types, its values. */
  | "statement";

const STATEMENT =
  /^(?:Error: )?(?:Binder|Parser|Catalog|Conversion|Invalid Input|Invalid|Out of Range|Not implemented|Invalid type|Mismatch Type|Parameter Not Resolved|Parameter Not Allowed|Constraint|Divide by Zero|Decimal|Expression|Syntax|Sequence|TransactionContext) Error: /;

/** In the order in which they are looked for: the texts of later ones may be quoted by those of earlier ones. */
const FAULTS: readonly (readonly [EngineFault, RegExp])[] = [
  ["invalidated", /database has been invalidated/],
  ["gave up", /FATAL Error/],
  ["disk full", /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/],
  ["locked", /conflicting lock|could not set lock/i],
  ["day dropped", /samples_\d{8} does not exist/],
  ["guarded", /^(?:Error: )?Invalid Input Error: weir: /],
  ["statement", STATEMENT],
  ["out of memory", /Out of Memory Error/],
  ["forbidden", /Permission Error/],
  [
    "damaged",
    /not a valid DuckDB database file|Corrupt database file|Could not read enough bytes from file|Failure while replaying WAL file/,
  ],
  ["interrupted", /INTERRUPT Error/],
  ["unknown parameter", /Failed to retrieve bind parameter index/],
  ["parameters", /^[^\n]*parameter/i],
];

/** Which fault an error is; undefined for an error that is none of these. */
export function faultOf(error: unknown): EngineFault | undefined {
  const text = String(error);
  return FAULTS.find(([, pattern]) => pattern.test(text))?.[0];
}

/** Whether the engine does not work on its file any more, from this error on. */
export function isFatal(error: unknown): boolean {
  const fault = faultOf(error);
  return fault === "gave up" || fault === "invalidated";
}

/** Whether an error of the statement CHECKPOINT says that the checkpoint did not take place. */
export function isCheckpointRefused(error: unknown): boolean {
  return /checkpoint/i.test(String(error));
}

/** The engine's reason for an error of a file, as a part of a sentence. */
export function reasonOf(error: Error): string {
  return error.message.split("\n")[0]!.replace(/^IO Error: |[.!]$/g, "");
}

/** Whether the disk, or this user's quota on it, is full. */
export function isDiskFull(error: unknown): boolean {
  return faultOf(error) === "disk full";
}
