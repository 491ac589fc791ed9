/**
 * When JavaScript's compilers work. What a start calls often, it calls for some milliseconds: compilers took 50 of 350 ms of its CPU
 * time, and what they made was used for a moment.
 */

/**
 * How many times as many calls as usual the compilers wait for during a start, and until somebody uses the gateway. With 100, a start
 * with 612 series compiled eight functions, and the second compiler took 3 to 7 CPU-ms at the sampler's next runs.
 */
const START_SCALE = 1_000;

/** Call it when the process begins. */
export function beginStart(): void {
  Bun.unsafe.setJITPolicy(START_SCALE);
}

/** Call it when somebody uses the gateway, or when so much is to be restored that compiled code is faster. It may be called again. */
export function endStart(): void {
  Bun.unsafe.setJITPolicy(1);
}
