/** How tests wait for what no event announces. */

const PAUSE_MS_MIN = 5;
const PAUSE_MS_MAX = 200;

/**
 * Waits until a condition holds that no event announces, such as the effect of another program. A condition that throws
 * does not hold yet. Throws after `secondsMax`, which is no measurement: it ends a test that waits for `what` forever.
 */
export async function until(
  what: string,
  holds: () => boolean | undefined | Promise<boolean | undefined>,
  secondsMax = 110,
): Promise<void> {
  const begun = performance.now();
  const deadline = begun + secondsMax * 1_000;
  let fault: unknown;
  const isTrue = async () => {
    try {
      return await holds();
    } catch (error) {
      fault = error;
      return false;
    }
  };
  while (!(await isTrue())) {
    if (performance.now() > deadline)
      // The test runner does not print the cause of an error.
      throw new Error(
        `waited ${secondsMax} seconds for ${what}${fault === undefined ? "" : `: ${String(fault)}`}`,
      );
    // An eighth of the time so far: a condition is often a query, and many of them would delay what it waits for.
    await Bun.sleep(Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, (performance.now() - begun) / 8)));
  }
}
