/**
 * When JavaScript's compilers work. What a start calls often, it calls for some milliseconds: compilers took 50 of 350 ms of its CPU
 * time, and what they made was used for a moment.
 */

/** How many times as many calls as usual the compilers wait for during a start. */
const START_SCALE = 100;

/** Call it when the process begins. */
export function beginStart(): void {
  Bun.unsafe.setJITPolicy(START_SCALE);
}

/** Call it when somebody uses the gateway, or when so much is to be restored that compiled code is faster. It may be called again. */
export function endStart(): void {
  Bun.unsafe.setJITPolicy(1);
}
