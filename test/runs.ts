/**
 * How often a property is checked, and from which seed: the same in each run of the tests, so that a failure can be
 * repeated. `scripts/fuzz` sets other seeds and more runs.
 */

const seed = Number(process.env.WEIR_TEST_SEED ?? 7);
const factor = Number(process.env.WEIR_TEST_FACTOR ?? 1);

/** The parameters of `fc.assert` and `fc.sample` for a property that is usually checked `usual` times. */
export function runs(usual = 100): { readonly seed: number; readonly numRuns: number } {
  return { seed, numRuns: Math.ceil(usual * factor) };
}
