/**
 * Whether a real server of this machine can take part in a test. One written in Go reads the kernel's clock and cannot
 * be told another time: under `scripts/test --clock` its samples would be years away from the gateway's.
 */
const hasRealClock = process.env.FAKETIME === undefined;

/** True when every program is on PATH and agrees on the time with this process. */
export function canRun(...programs: readonly string[]): boolean {
  return hasRealClock && programs.every((program) => Bun.which(program) !== null);
}
