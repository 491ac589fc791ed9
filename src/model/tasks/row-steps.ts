/**
 * Work over many rows in steps. The loops over rows are plain functions: the engine runs a loop that yields several times
 * slower.
 */

/** Rows of a step: some 10 to 100 µs of work. */
const ROWS_AT_ONCE = 4_096;

/** Calls `run` for ranges of rows, and yields before each. */
export function* inRowSteps(
  rows: number,
  run: (from: number, to: number) => void,
  atOnce = ROWS_AT_ONCE,
): Generator<void> {
  for (let from = 0; from < rows; from += atOnce) {
    yield;
    run(from, Math.min(from + atOnce, rows));
  }
}
