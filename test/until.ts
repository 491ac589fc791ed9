/**
 * Waits until a condition holds that no event announces, such as the effect of another program. A condition that throws
 * does not hold yet. Throws after `secondsMax`, which is no measurement: it ends a test that waits for `what` forever.
 */
export async function until(
  what: string,
  holds: () => boolean | undefined | Promise<boolean | undefined>,
  secondsMax = 110,
): Promise<void> {
  const deadline = performance.now() + secondsMax * 1_000;
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
    await Bun.sleep(10);
  }
}
